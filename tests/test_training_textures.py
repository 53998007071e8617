"""Training for tiling: windows of textures from anywhere, painted anywhere on the period."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import creps
from creps.cli import app
from creps.config import replace
from creps.coordinates import Canvas
from creps.errors import ConfigError, DataError, UsageError
from creps.networks.base import families, family_config
from creps.training._batches import load_training_batches, open_training_set, shown_picture
from creps.training._config import TrainConfig
from creps.training._loop import _remarks
from creps.training._presets import preset, tiling
from creps.training.monitoring._doctor import diagnose_run
from test_training_families import SMOKE, toy
from training_pictures import draw_pictures, largest_difference, run_to, tiny

PERIODIC = [family for family in families() if family_config(family).repeats]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of noise of 20x24 px, none of which tiles."""
    return draw_pictures(tmp_path_factory.mktemp("textures"))


def texture(*changes: str) -> TrainConfig:
    return replace(tiling(tiny()), changes)


def test_patches_are_the_files_own_pixels_painted_anywhere(pictures: Path) -> None:
    config = texture("batch=4")
    found = open_training_set(config, pictures)
    files = {name: found.source.image(k).tobytes() for k, name in enumerate(found.source.names)}
    assert len(files) == 10
    batches = load_training_batches(found, config, first_step=0, device=torch.device("cpu"))
    places = []
    for batch in islice(batches, 300):
        assert batch.windows is None
        y0, x0, y1, x1 = batch.region.window
        assert (y1 - y0, x1 - x0) == pytest.approx((0.5, 0.5))  # a quarter of the tile
        assert (batch.region.height, batch.region.width) == (8, 8)
        places.append((y0 % 1, x0 % 1))
    pixels = ((batch.image[0] + 1) * 127.5).round().byte().numpy()
    rows = [row.T.tobytes() for row in pixels.transpose(1, 0, 2)]
    assert any(all(row in file for row in rows) for file in files.values())
    counts = np.histogram2d(*np.array(places).T, bins=3, range=[[0, 1]] * 2)[0]
    assert counts.min() > 12  # of 33: no place of the period is preferred
    assert len({y for y, _ in places}) == 300  # and any fraction of a pixel


@pytest.mark.parametrize(("megabytes", "readings"), [(0, 5), (1, 4), (500, 2)])
def test_decoded_pictures_take_the_memory_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int, readings: int
) -> None:
    for name in "ab":
        Image.fromarray(np.full((600, 400, 3), ord(name), np.uint8)).save(tmp_path / f"{name}.png")
    settings = texture(f"data.cache_megabytes={megabytes}", "data.workers=0")
    found = open_training_set(settings, tmp_path)  # each picture takes 0.7 MB
    decoded = []
    decode = found.source.image
    monkeypatch.setattr(
        found.source, "image", lambda k, **how: decoded.append(k) or decode(k, **how)
    )
    for image in (0, 0, 1, 0, 1):
        shown_picture(found, image, settings.size)
    assert len(decoded) == readings


@pytest.mark.parametrize(("zoom_from", "largest"), [(1.0, 2.0), (2.0, 1.0)])
def test_reduced_patches_cover_as_much_more_of_the_plane(
    pictures: Path, zoom_from: float, largest: float
) -> None:
    config = texture(f"data.zoom_from={zoom_from}", "data.precise=true")
    found = open_training_set(config, pictures)
    batches = load_training_batches(found, config, first_step=0, device=torch.device("cpu"))
    sides, spreads = [], []
    for batch in islice(batches, 40):
        y0, _, y1, _ = batch.region.window
        sides.append((y1 - y0) * 2)  # patches at the scale of the files
        spreads.append(float(batch.image.std()))
    assert 1 - 1e-9 <= min(sides) <= max(sides) <= largest + 1e-9
    if largest > 1:  # averages of noise are flatter, the more so the larger
        assert max(sides) > 1.6
        assert np.corrcoef(sides, spreads)[0, 1] < -0.5


@pytest.mark.slow
@pytest.mark.parametrize("family", PERIODIC)
def test_families_that_repeat_train_for_tiling_and_resume(
    family: str, tmp_path: Path, pictures: Path
) -> None:
    config = toy(SMOKE.get(family, f"{family}-smoke"))
    config = replace(config, ["resolution=8", "discriminator.resolution=8"])
    config = tiling(config)
    assert config.generator.resolution == 16
    unbroken = run_to(tmp_path / "unbroken", config, pictures)
    run_to(tmp_path / "broken", config, pictures, steps=2)
    resumed = run_to(tmp_path / "broken", config, pictures)
    assert largest_difference(unbroken, resumed) == 0
    model = creps.load(tmp_path / "broken/model")
    assert model.period == (1, 1)
    assert diagnose_run(tmp_path / "broken").findings
    picture = creps.render(model, seed=1, size=(10, 6), tile=(2, 3))
    np.testing.assert_array_equal(picture, np.tile(picture[:5, :2], (2, 3, 1)))


def test_one_texture_is_enough(pictures: Path) -> None:
    assert _remarks(open_training_set(texture(), pictures)) == ()
    assert "only 10 pictures" in _remarks(open_training_set(tiny(), pictures))[0]


def test_a_texture_is_shown_by_its_middle(pictures: Path) -> None:
    config = texture()
    image, broken = shown_picture(open_training_set(config, pictures), 3, config.size)
    assert image.shape == (3, 8, 8)
    assert not broken


def test_textures_without_a_period_lie_on_the_unit_square(pictures: Path) -> None:
    config = texture("generator.period=[0,0]")
    found = open_training_set(config, pictures)
    batches = load_training_batches(found, config, first_step=0, device=torch.device("cpu"))
    windows = np.array([batch.region.window for batch in islice(batches, 50)])
    assert windows.min() >= 0
    assert windows.max() <= 1
    assert np.ptp(windows[:, 0]) > 0.4


def test_what_a_run_says_of_its_textures_stays() -> None:
    assert texture().augment.kind == "diffaugment"
    adaptive = tiling(replace(tiny(), ["augment.kind=ada", "data.zoom=4"]))
    assert adaptive.augment.kind == "ada"
    assert adaptive.data.zoom == 2
    wide = replace(preset("texture-64"), ["data.zoom=4", "generator.resolution=256"])
    assert tiling(wide).data.zoom == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.native=true"], "textures: expected native=false"),
        (["data.native=true", "data.window_group=2"], "textures: expected native=false"),
        (["data.zoom_images=100"], "zoom_images=0"),
        (["projected.placed=true", "projected.weight=0.1"], "projected.placed=false"),
        (["discriminator_kind=placed"], "another discriminator_kind than placed"),
        (["teacher.weight=5"], "teacher.weight=0"),
        (["data.zoom_from=3"], "zoom_from 3"),
        (["generator.sampling=corners"], "the seam twice"),
        (["generator.period=[1]"], "period"),
    ],
)
def test_what_textures_cannot_be_trained_with_is_refused(changes: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        texture(*changes)


@pytest.mark.parametrize("family", [f for f in families() if f not in PERIODIC])
def test_families_that_cannot_repeat_are_refused(family: str) -> None:
    with pytest.raises(ConfigError, match="pictures of this family cannot repeat"):
        tiling(preset(f"{family}-smoke"))


def test_pictures_smaller_than_a_patch_are_named(pictures: Path) -> None:
    large = ["resolution=32", "discriminator.resolution=32"]
    with pytest.raises(DataError, match=r"\d\.png has 20x24 pixels, a window of it takes 32x32"):
        open_training_set(texture(*large), pictures)
    with pytest.raises(DataError, match=r"a window of it takes 24x24"):
        open_training_set(texture("data.zoom=3", "data.zoom_from=1"), pictures)


def test_the_plane_of_a_patch_is_that_of_the_canvas() -> None:
    config = texture("height=8", "width=12")
    assert config.canvas() == Canvas(8, 12, (0.0, -0.25, 1.0, 1.25))


def test_tiling_without_a_period_is_refused(tmp_path: Path) -> None:
    words = ["train", "--tile", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*words, "--set", "generator.period=[0,0]"])
    assert isinstance(result.exception, UsageError)
    assert "--tile with generator.period=[0,0]: nothing would repeat" in str(result.exception)
