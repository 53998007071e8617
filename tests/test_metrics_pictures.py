"""Sets of pictures: real and generated patches lie at one place; identities tell sets apart."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from creps.coordinates import Canvas
from creps.errors import DataError, UsageError
from creps.metrics._measurements import identity
from creps.metrics._models import draw, model_ref
from creps.metrics._pictures import (
    Filter,
    ModelPatches,
    ModelPictures,
    PatchPlan,
    RealPatches,
    RealPictures,
    ResampledPictures,
)
from creps.metrics._real_images import Images, Portraits, real_images
from creps.rendering._painter import to_uint8
from creps.rendering._renderer import render
from creps.rendering._tiles import Tile
from smooth_model import SmoothModel


def folder(path: Path, sizes: list[tuple[int, int]]) -> Path:
    """Images whose colors are the coordinates of their plane: red down, green across."""
    path.mkdir(exist_ok=True)
    for k, (height, width) in enumerate(sizes):
        y, x = (np.arange(side) + 0.5 for side in (height, width))
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[..., 0] = np.rint(255 * y / height)[:, None]
        pixels[..., 1] = np.rint(255 * x / width)
        pixels[..., 2] = 10 * k
        Image.fromarray(pixels).save(path / f"{k}.png")
    return path


def images(path: Path) -> Images:
    found = real_images(str(path))
    assert isinstance(found, Images)
    return found


def test_samples_are_what_users_get() -> None:
    model = SmoothModel()
    found = ModelPictures(model=model_ref(model), size=(32, 32), first=5).picture(2)
    np.testing.assert_array_equal(found, render(model, seed=7))


def test_the_unit_square_fills_pictures_of_any_shape() -> None:
    model = SmoothModel()
    image = draw(model_ref(model), 3, size=(8, 12))
    grid = Canvas(8, 12, (0, 0, 1, 1)).grid()
    z = torch.from_numpy(np.random.RandomState(3).randn(1, 4)).float()
    torch.testing.assert_close(image, model.synthesize(model.map(z), grid)[0])


def test_a_part_is_cut_out_of_the_whole() -> None:
    model = model_ref(SmoothModel())
    whole = draw(model, 1, size=(20, 24))
    part = draw(model, 1, size=(20, 24), part=Tile(3, 5, 6, 7))
    torch.testing.assert_close(part, whole[:, 3:9, 5:12])


def test_nan_colors_are_refused() -> None:
    with pytest.raises(DataError, match=r"paints NaN.*seed 0, 8x8 px"):
        draw(model_ref(SmoothModel(broken=True)), 0, size=(8, 8))


@pytest.mark.parametrize("frame", [(32, 32), (24, 48)])
def test_real_and_generated_patches_lie_at_one_place(
    tmp_path: Path, frame: tuple[int, int]
) -> None:
    real = images(folder(tmp_path / "set", [(60, 90), (48, 96), (100, 70)]))
    where = PatchPlan(real=real, side=16, smallest=20, largest=48, frame=frame)
    scales = set()
    for index in range(12):
        place = where.place(index)
        height, width = place.shape
        scales.add(min(place.shape))
        assert 20 <= min(place.shape) <= 48
        assert height / width == pytest.approx(frame[0] / frame[1], rel=0.05)
        patch = RealPatches(plan=where).picture(index)
        assert patch.shape == (16, 16, 3)
        # Colors are coordinates: what the patch shows tells where it was cut from its crop.
        y = np.diff(patch[..., 0].astype(float).mean(1)).mean()
        x = np.diff(patch[..., 1].astype(float).mean(0)).mean()
        assert y > 0
        assert x > 0
        crop = real.picture(place.number, place.shape)
        expected = crop[place.tile.rows, place.tile.columns]
        assert np.abs(expected.astype(int) - patch).max() <= 1
    assert len(scales) > 4


def test_generated_patches_are_parts_of_pictures_of_that_size(tmp_path: Path) -> None:
    real = images(folder(tmp_path / "set", [(60, 90)]))
    model = model_ref(SmoothModel())
    where = PatchPlan(real=real, side=16, smallest=20, largest=48, frame=(32, 32), seed=3)
    place = where.place(4)
    found = ModelPatches(
        drawn=ModelPictures(model=model, size=(32, 32), first=10), plan=where
    ).picture(4)
    whole = to_uint8(draw(model, 14, size=place.shape))
    np.testing.assert_array_equal(found, whole[place.tile.rows, place.tile.columns])


def test_patches_are_never_enlarged(tmp_path: Path) -> None:
    real = images(folder(tmp_path / "set", [(30, 30), (64, 64), (20, 80)]))
    where = PatchPlan(real=real, side=16, smallest=32, largest=64, frame=(8, 8))
    assert {where.place(index).number for index in range(20)} == {
        number for number in range(3) if real.picture(number, (64, 64))[0, 0, 2] == 10
    }
    with pytest.raises(DataError, match=r"no image .* is 65 px or larger, the largest has 64"):
        PatchPlan(real=real, side=16, smallest=65, largest=70, frame=(8, 8)).place(0)
    with pytest.raises(UsageError, match="at least 16 px"):
        PatchPlan(real=real, side=16, smallest=15, largest=70, frame=(8, 8))


def test_portraits_exist_at_any_size_and_patches_show_them() -> None:
    pytest.importorskip("resvg_py")
    real = Portraits()
    small, large = real.picture(2, (32, 32)), real.picture(2, (64, 64))
    assert small.shape == (32, 32, 3)
    reduced = large.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(small - reduced).mean() < 1
    patch = real.patch(2, (300, 300), Tile(100, 90, 40, 50))
    whole = real.picture(2, (300, 300))
    assert np.abs(whole[100:140, 90:140].astype(int) - patch).mean() < 0.5


@pytest.mark.parametrize("how", ["lanczos", "bicubic"])
@pytest.mark.parametrize("size", [(48, 56), (8, 10)])
def test_resampled_samples_keep_their_mean(how: Filter, size: tuple[int, int]) -> None:
    drawn = ModelPictures(model=model_ref(SmoothModel()), size=(16, 16))
    pictures = ResampledPictures(drawn=drawn, size=size, how=how)
    assert pictures.picture(0).shape == (*size, 3)
    assert pictures.picture(0).mean() == pytest.approx(drawn.picture(0).mean(), abs=1)
    other = ResampledPictures(
        drawn=drawn, size=size, how="lanczos" if how == "bicubic" else "bicubic"
    )
    assert identity(pictures) != identity(other)


def test_sets_are_told_apart_and_travel(tmp_path: Path) -> None:
    one, other = (
        images(folder(tmp_path / name, [(20 + k, 20)])) for k, name in enumerate(["a", "b"])
    )
    model = model_ref(SmoothModel())
    where = PatchPlan(real=one, side=8, smallest=8, largest=16, frame=(8, 8))
    sets = [
        RealPictures(real=one, size=(8, 8)),
        RealPictures(real=other, size=(8, 8)),
        RealPictures(real=one, size=(8, 9)),
        RealPictures(real=one, size=(8, 8), first=3),
        ModelPictures(model=model, size=(8, 8)),
        ModelPictures(model=model, size=(8, 8), truncation=0.5),
        ModelPictures(model=model_ref(SmoothModel(waves=3)), size=(8, 8)),
        ModelPatches(drawn=ModelPictures(model=model, size=(8, 8)), plan=where),
        RealPatches(plan=where),
    ]
    names = [str(identity(each)) for each in sets]
    assert len(set(names)) == len(sets)
    for each in (sets[0], sets[-1]):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(each)).picture(0), each.picture(0))


def test_a_model_in_memory_stays_in_its_process() -> None:
    with pytest.raises(UsageError, match="workers=0"):
        pickle.dumps(ModelPictures(model=model_ref(SmoothModel()), size=(8, 8)))


def test_a_copy_of_the_data_elsewhere_is_the_same_data(tmp_path: Path) -> None:
    one, other = (images(folder(tmp_path / name, [(20, 20), (9, 9)])) for name in "ab")
    assert one.identity() == other.identity()
    assert one.smaller_than((10, 10)) == 1


def test_rounding_is_the_renderers() -> None:
    image = torch.tensor([[[-1.2, 0.0], [0.5, 1.1]]])
    np.testing.assert_array_equal(to_uint8(image), to_uint8(image))


def test_gray_models_need_gray_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="paints gray"):
        real_images("portraits", channels=1)
    gray = real_images(str(folder(tmp_path / "set", [(20, 20)])), channels=1)
    assert gray.picture(0, (8, 8)).shape == (8, 8, 1)
    with pytest.raises(DataError):
        real_images(str(tmp_path / "none"))
