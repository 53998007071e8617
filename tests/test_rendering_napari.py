"""napari finds the plug-in, and shows parts of pictures far too large for memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import creps
from creps.rendering import Renderer, View, VirtualLevel, VirtualPicture
from creps.rendering.arrays._napari import portrait, read, reader_of
from tiny_creps import tiny_creps

MANIFEST = Path(creps.__file__).parent / "napari.yaml"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "tiny"
    creps.save(tiny_creps().float(), place)
    creps.save(tiny_creps(img_channels=1).float(), place.with_name("gray"))
    return place


def test_it_reads_addresses_and_nothing_else() -> None:
    assert reader_of("creps://portraits?seed=7") is read
    assert reader_of(["creps://portraits?seed=7", "creps://portraits?seed=8"]) is read
    for other in ("picture.tif", ["creps://portraits?seed=7", "picture.tif"], []):
        assert reader_of(other) is None


def test_layers_are_levels_of_color(model: Path) -> None:
    ((levels, about, kind),) = read(f"creps://{model}?seed=7&size=300x520")
    assert (kind, about["rgb"], about["multiscale"]) == ("image", True, True)
    assert [level.shape for level in levels] == [(300, 520, 3), (150, 260, 3), (75, 130, 3)]
    expected = creps.render(model, seed=7, size=(300, 520))
    np.testing.assert_array_equal(np.asarray(levels[0]), expected)


def test_gray_layers_are_flat(model: Path) -> None:
    ((level, about, _),) = read(f"creps://{model.with_name('gray')}?seed=7&size=20x30")
    assert (about["rgb"], about["multiscale"], level.shape) == (False, False, (20, 30))
    picture = creps.render(model.with_name("gray"), seed=7, size=(20, 30))
    np.testing.assert_array_equal(np.asarray(level), picture[:, :, 0])
    np.testing.assert_array_equal(level[3, ::-2], picture[3, ::-2, 0])


def test_the_sample_is_a_million_pixels_wide() -> None:
    ((levels, _, _),) = portrait()
    assert levels[0].shape == (2**20, 2**20, 3)
    assert levels[0][2**19, 2**19].shape == (3,)


@pytest.mark.filterwarnings("ignore")
def test_the_manifest_is_valid() -> None:
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.contributions.sample_data[0].key == "portrait"


@pytest.mark.filterwarnings("ignore")
def test_napari_shows_the_part_that_is_seen() -> None:
    pytest.importorskip("napari")
    from napari.components import ViewerModel

    whole = VirtualPicture(Renderer(tiny_creps(), seed=7), View(size=2**20))
    drawn: list[Any] = []
    pixels = whole.pixels

    def counted(level: int, part: Any) -> Any:
        drawn.append((level, part.height, part.width))
        return pixels(level, part)

    whole.pixels = counted  # type: ignore[method-assign]
    viewer = ViewerModel()
    levels = [VirtualLevel(whole, k, axes="yxc") for k in range(len(whole))]
    layer = viewer.add_image(levels, multiscale=True, rgb=True)
    assert max(height * width for _, height, width in drawn) <= 2**20
    corner = np.array([[2**19, 2**19], [2**19 + 300, 2**19 + 400]])
    layer._update_draw(scale_factor=1.0, corner_pixels_displayed=corner, shape_threshold=(300, 400))
    assert (0, 300, 400) in [(level, min(h, 300), min(w, 400)) for level, h, w in drawn]
    assert max(height * width for _, height, width in drawn) <= 2**20
