"""Windows of textures: the file's own pixels, from anywhere, the same in every resumed run."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from creps.data import Textures, load_textures, open_images
from creps.data._textures import draw_places
from creps.errors import DataError

SIZES = [(40, 71), (33, 30), (64, 48)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures whose pixels say where they are: (row, column, picture)."""
    path = tmp_path_factory.mktemp("textures")
    for k, (height, width) in enumerate(SIZES):
        y, x = np.mgrid[:height, :width].astype(np.uint8)
        pixels = np.stack([y, x, np.full_like(y, 10 * k)], axis=2)
        (path / f"kind{k}").mkdir()
        Image.fromarray(pixels).save(path / f"kind{k}" / f"{k}.png")
    return path


def textures(folder: Path, **options: object) -> Textures:
    source = open_images(folder, channels=3, labels=True)
    return Textures(source, **{"size": (16, 12), **options})  # type: ignore[arg-type]


shares = st.floats(0, 1, exclude_max=True)


@given(k=st.integers(0, 2), y=shares, x=shares)
def test_windows_at_their_own_scale_are_the_files_pixels(
    folder: Path, k: int, y: float, x: float
) -> None:
    pixels, label, broken = textures(folder, labels=True)[k, y, x, 1.0]
    assert (label, broken) == (k, -1)
    top, left, kind = (int(each) for each in pixels[:, 0, 0])
    assert pixels.shape == (3, 16, 12)
    assert kind == 10 * k
    assert top + 16 <= SIZES[k][0]
    assert left + 12 <= SIZES[k][1]
    assert (pixels[0] == top + np.arange(16)[:, None]).all()
    assert (pixels[1] == left + np.arange(12)).all()


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_picture_that_is_smaller_now_is_left_out(tmp_path: Path, workers: int) -> None:
    for name in "ab":
        Image.new("RGB", (30, 40), {"a": "red", "b": "blue"}[name]).save(tmp_path / f"{name}.png")
    broken: list[str] = []
    drawn = Textures(open_images(tmp_path), size=(16, 12))
    Image.new("RGB", (9, 10), "red").save(tmp_path / "a.png")
    how = {"batch": 4, "seed": 0, "first_step": 0, "workers": workers}
    for images, _ in islice(load_textures(drawn, **how, on_broken=broken.append), 3):  # type: ignore[arg-type]
        assert images.shape == (4, 3, 16, 12)
        assert (images[:, 2] == 255).all()  # blue
    assert broken == ["a.png"]


def test_windows_come_from_everywhere(folder: Path) -> None:
    drawn = textures(folder)
    corners = {
        tuple(drawn[place][0][:2, 0, 0].tolist())
        for step in range(700)
        for place in draw_places([1] * 8, 1.0, seed=0, step=step)
    }
    assert corners == {(y, x) for y in range(33 - 15) for x in range(30 - 11)}


@given(y=shares, x=shares, times=st.floats(1, 2))
def test_reduced_windows_are_averages_of_what_they_cover(
    folder: Path, y: float, x: float, times: float
) -> None:
    pixels, _, _ = textures(folder, size=8, most=2.0, precise=True)[0, y, x, times]
    steps = np.diff(pixels[:2], axis=1)[0], np.diff(pixels[:2], axis=2)[1]
    for each in steps:  # pixels are flat areas: averages of parts of them are off by a quarter
        np.testing.assert_allclose(each, times, atol=0.51)
        np.testing.assert_allclose(each.mean(), times, atol=0.1)
    assert pixels[:2].min() >= (times - 1) / 2 - 0.26
    assert pixels[0].max() <= 39 - (times - 1) / 2 + 0.26


def test_mirror_images_are_a_second_half(folder: Path) -> None:
    both = textures(folder, mirror=True)
    assert len(both) == 6
    np.testing.assert_array_equal(both[4, 0.3, 0.6, 1.0][0], both[1, 0.3, 0.6, 1.0][0][:, :, ::-1])


def test_batches_resume_where_they_were(folder: Path) -> None:
    def batches(first: int, part: tuple[int, int] = (0, 1)) -> list[np.ndarray]:
        loaded = load_textures(
            textures(folder),
            batch=6,
            seed=3,
            first_step=first,
            workers=0,
            on_broken=pytest.fail,
            times=lambda step: 1 + step % 2,
            part=part,
        )
        return [images.numpy() for images, _ in islice(loaded, 5 - first)]

    whole = batches(0)
    for resumed, expected in zip(batches(3), whole[3:], strict=True):
        np.testing.assert_array_equal(resumed, expected)
    halves = [batches(0, (k, 2)) for k in range(2)]
    for step, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([h[step] for h in halves]), expected)
    assert len({images.tobytes() for batch in whole for images in batch}) > 20


def test_broken_pictures_are_told_and_passed_over(folder: Path, tmp_path: Path) -> None:
    for file in folder.rglob("*.png"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = (folder / "kind1" / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(content[: len(content) // 2])
    drawn = Textures(open_images(tmp_path, channels=3), size=16)
    pixels, _, broken = drawn[1, 0.5, 0.5, 1.0]
    assert broken == 1
    assert pixels[2, 0, 0] == 20


@pytest.mark.parametrize(("size", "most"), [(34, 1.0), ((16, 31), 1.0), (16, 2.5)])
def test_pictures_smaller_than_a_window_are_named(
    folder: Path, size: int | tuple[int, int], most: float
) -> None:
    with pytest.raises(DataError, match=r"1\.png has 33x30 pixels, a window of it takes \d+x\d+"):
        textures(folder, size=size, most=most)
