"""Other programs see all of what is written: every level, every pixel, and how large a print is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from creps.rendering import save_picture
from readers import KINDS, READERS, Levels, installed, picture_of, seen, written

TABLE = Path(__file__).resolve().parent.parent / "docs" / "rendering.md"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Levels]]:
    folder = tmp_path_factory.mktemp("files")
    return {kind: written(folder, kind) for kind in KINDS}


def told() -> dict[str, dict[str, str]]:
    """The table of the docs: what a reader sees of each kind of file."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TABLE.read_text(encoding="utf-8").splitlines()
        if re.match(rf"\| ({'|'.join(READERS)}) \|", line)
    ]
    return {name: dict(zip(KINDS, cells, strict=True)) for name, _, *cells in rows}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_readers_see_what_the_docs_say(reader: str, kind: str, files) -> None:
    if installed(reader) is None:
        pytest.skip(f"{reader}: {READERS[reader][0]} is not installed")
    found = seen(reader, *files[kind])
    assert found == told()[reader][kind]
    if kind in ("color", "gray", "lzw"):
        assert found == "3 levels"


def test_openslide_knows_the_resolution(files) -> None:
    openslide = pytest.importorskip("openslide", reason="the extra dev has openslide-bin")
    with openslide.OpenSlide(files["color"][0]) as slide:
        assert slide.properties["tiff.XResolution"] == "300"
        assert slide.properties["tiff.ResolutionUnit"] == "inch"
        assert [round(factor) for factor in slide.level_downsamples] == [1, 2, 4]
        assert slide.get_best_level_for_downsample(2.01) == 1  # rounded up, so that 2 is level 1
        assert slide.color_profile is not None


KINDS_OF_ZARR = [(3, np.uint8), (1, np.uint8), (4, np.uint8), (3, np.uint16)]
PIXEL = pytest.approx(25.4 / 300)


@pytest.mark.parametrize(("channels", "dtype"), KINDS_OF_ZARR)
@pytest.mark.filterwarnings("ignore")  # of these packages' own dependencies
def test_bioio_reads_the_zarr_in_millimeters(tmp_path: Path, channels: int, dtype: type) -> None:
    bioio = pytest.importorskip("bioio", reason="the extra dev has bioio")
    pytest.importorskip("bioio_ome_zarr", reason="the extra dev has bioio-ome-zarr")
    picture = picture_of(channels, dtype)
    save_picture(picture, tmp_path / "a.zarr", settings={"dpi": 300})
    image = bioio.BioImage(tmp_path / "a.zarr")
    assert image.resolution_levels == (0, 1, 2)
    assert (image.physical_pixel_sizes.Y, image.physical_pixel_sizes.X) == (PIXEL, PIXEL)
    assert str(image.dimension_properties.X.unit) == "millimeter"
    assert np.array_equal(image.get_image_data("YXC"), picture)


@pytest.mark.parametrize(("channels", "dtype"), KINDS_OF_ZARR)
@pytest.mark.filterwarnings("ignore")
def test_ngff_zarr_reads_the_zarr_in_millimeters(
    tmp_path: Path, channels: int, dtype: type
) -> None:
    pytest.importorskip("ngff_zarr", reason="the extra dev has ngff-zarr")
    picture = picture_of(channels, dtype)
    save_picture(picture, tmp_path / "a.zarr", settings={"dpi": 300})
    images = importlib.import_module("ngff_zarr").from_ngff_zarr(tmp_path / "a.zarr").images
    assert [image.axes_units["y"] for image in images] == ["millimeter"] * 3
    for level, image in enumerate(images):
        assert image.scale["x"] == pytest.approx(25.4 / 300 * 2**level)
    assert np.array_equal(np.moveaxis(np.asarray(images[0].data), 0, 2), picture)
