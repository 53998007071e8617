"""The formats of big pictures, read back by other libraries than those that wrote them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import pyvips
import tifffile
import zarr
from PIL import ExifTags, Image

from big_scene import Picture, average, scene, through_chunks, whole, write_scene  # noqa: F401
from creps.rendering.output._color import profile
from creps.rendering.output._images import read_settings

SETTINGS = {"seed": 7, "name": "Zoë \U0001f600 -- </a>", "credits": "drawn by Ünï ✓"}

SIZES = [(70, 45, 3), (33, 64, 1), (5, 7, 3), (1, 1, 1)]
"""Odd, of whole chunks and a pixel more, smaller than a chunk, a single pixel."""

CLOSE = 12
"""Largest error of a smooth picture at quality 95."""


def written(
    folder: Path, suffix: str, size: tuple[int, int, int], *, rough: bool = True, **other: Any
) -> Path:
    make = scene(size[2], rough=rough)
    options = {"settings": SETTINGS, **other}
    outcome = write_scene(folder / f"a{suffix}", make, size=size, **options)
    assert outcome.path is not None
    return outcome.path


def by_pillow(path: Path) -> Picture:
    with Image.open(path) as image:
        picture = np.asarray(image)
    return picture if picture.ndim == 3 else picture[:, :, None]


def by_vips(path: Path, **options: Any) -> Picture:
    image = pyvips.Image.new_from_file(str(path), **options)
    picture: Picture = np.frombuffer(image.write_to_memory(), np.uint8)
    return picture.reshape(image.height, image.width, image.bands)


def assert_close(found: Picture, expected: Picture) -> None:
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= CLOSE


@pytest.mark.parametrize("size", SIZES)
def test_a_png_holds_the_pixels(tmp_path: Path, size: tuple[int, int, int]) -> None:
    path = written(tmp_path, ".png", size)
    np.testing.assert_array_equal(by_pillow(path), whole(*size))
    np.testing.assert_array_equal(by_vips(path), whole(*size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_a_lossy_file_is_close(tmp_path: Path, suffix: str, size: tuple[int, int, int]) -> None:
    found = by_pillow(written(tmp_path, suffix, size, rough=False))
    expected = whole(*size, rough=False)
    assert_close(found, np.repeat(expected, found.shape[2] // size[2], axis=2))  # gray WebP is RGB
    assert suffix == ".webp" or found.shape[2] == size[2]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_flat_files_tell_how_they_were_made(tmp_path: Path, suffix: str) -> None:
    assert read_settings(written(tmp_path, suffix, (20, 30, 3))) == SETTINGS


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("compression", ["deflate", "deflate:12", "zstd:9", "lzw", "none"])
def test_a_tiff_holds_the_pixels_and_their_averages(
    tmp_path: Path, size: tuple[int, int, int], compression: str
) -> None:
    path, expected = written(tmp_path, ".tif", size, compression=compression), whole(*size)
    with tifffile.TiffFile(path) as file:
        assert not file.is_bigtiff
        (series,) = file.series
        assert len(series.levels) == len(file.pages)
        for number, page in enumerate(file.pages):
            assert page.is_tiled
            assert page.subifds is None
            assert page.subfiletype == (number > 0)
            found = page.asarray().reshape(expected.shape)
            np.testing.assert_array_equal(found, expected)
            if "zstd" not in compression:  # which this libvips reads as black
                np.testing.assert_array_equal(by_vips(path, page=number), expected)
            expected = average(expected)
        assert max(found.shape[:2]) <= 16


def test_a_tiff_tells_how_it_was_made_and_how_large_it_is(tmp_path: Path) -> None:
    settings = {**SETTINGS, "dpi": 300}
    with tifffile.TiffFile(written(tmp_path, ".tif", (90, 20, 3), settings=settings)) as file:
        tags = file.pages.first.tags
        assert json.loads(tags["ImageDescription"].value) == settings
        assert re.fullmatch(r"creps \d+\.\d+\.\d+\S*", tags["Software"].value)
        assert tags["Copyright"].value == SETTINGS["credits"]
        for number, page in enumerate(file.pages):
            assert page.get_resolution("inch") == (300 / 2**number,) * 2
        assert number == 3


def test_a_tiff_of_4_gigabytes_is_a_bigtiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("creps.rendering.output._tiff.CLASSIC", 10_000)
    for size, big in ((20, False), (90, True)):
        with tifffile.TiffFile(written(tmp_path, ".tif", (size, size, 3), overwrite=True)) as file:
            assert file.is_bigtiff == big
            np.testing.assert_array_equal(file.asarray(), whole(size, size))


@pytest.mark.parametrize("size", SIZES)
def test_a_zarr_holds_the_pixels_and_their_averages(
    tmp_path: Path, size: tuple[int, int, int]
) -> None:
    group = zarr.open_group(written(tmp_path, ".zarr", size), mode="r")
    expected = whole(*size)
    (image,) = group.attrs["ome"]["multiscales"]
    for k, dataset in enumerate(image["datasets"]):
        level = group[dataset["path"]]
        np.testing.assert_array_equal(np.moveaxis(level[:], 0, 2), expected)
        assert level.metadata.dimension_names == tuple(axis["name"] for axis in image["axes"])
        (scale, shift) = dataset["coordinateTransformations"]
        # Pixel 0 of level k is centered on 2**k pixels of the full size.
        assert scale == {"type": "scale", "scale": [1, 2**k, 2**k]}
        assert shift["translation"][1:] == [np.arange(2**k).mean()] * 2
        expected = average(expected)
    assert max(expected.shape[:2]) <= 16 / 2 or len(image["datasets"]) == 1


def test_a_zarr_of_a_print_says_how_large_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, ".zarr", (70, 45, 3), settings={**SETTINGS, "dpi": 300})
    (image,) = zarr.open_group(path, mode="r").attrs["ome"]["multiscales"]
    assert [axis.get("unit") for axis in image["axes"]] == [None, "millimeter", "millimeter"]
    pixel = 25.4 / 300
    for k, dataset in enumerate(image["datasets"]):
        scale, shift = dataset["coordinateTransformations"]
        assert scale["scale"] == [1.0, *[pytest.approx(pixel * 2**k)] * 2]
        middle = (2**k - 1) / 2  # of the pixels that its first one averages
        assert shift["translation"] == [0.0, *[pytest.approx(pixel * middle)] * 2]
    assert k == 3


def test_a_zarr_is_described_as_ome_zarr_wants(tmp_path: Path) -> None:
    attributes = zarr.open_group(written(tmp_path, ".zarr", (20, 40, 3)), mode="r").attrs
    assert attributes["ome"]["version"] == "0.5"
    (image,) = attributes["ome"]["multiscales"]
    assert [axis["type"] for axis in image["axes"]] == ["channel", "space", "space"]
    assert [c["color"] for c in attributes["ome"]["omero"]["channels"]] == [
        "FF0000",
        "00FF00",
        "0000FF",
    ]
    assert attributes["creps"]["settings"] == SETTINGS


def test_a_zarr_has_its_format_whatever_zarr_is_told_to_write(tmp_path: Path) -> None:
    with zarr.config.set({"default_zarr_format": 2}):
        path = written(tmp_path, ".zarr", (20, 40, 3))
    assert json.loads((path / "zarr.json").read_text())["zarr_format"] == 3
    assert zarr.open_group(path, mode="r")["0"].shape == (3, 20, 40)


def described(path: Path) -> dict[str, str]:
    """All attributes of a Deep Zoom description."""
    root = ElementTree.parse(path).getroot()
    (size,) = root
    assert {root.tag, size.tag} == {
        "{http://schemas.microsoft.com/deepzoom/2008}" + name for name in ("Image", "Size")
    }
    return {**root.attrib, **size.attrib}


@pytest.mark.parametrize(
    ("height", "width"), [(600, 300), (254, 508), (255, 509), (257, 1), (1, 1), (513, 511)]
)
def test_deep_zoom_has_the_tiles_that_libvips_makes(
    tmp_path: Path, height: int, width: int
) -> None:
    path = written(tmp_path, ".dzi", (height, width, 3), rough=False)
    picture = pyvips.Image.new_from_array(whole(height, width, rough=False), interpretation="srgb")
    picture.dzsave(str(tmp_path / "vips"), suffix=".jpg[Q=95,subsample_mode=off]")
    theirs, ours = tmp_path / "vips_files", tmp_path / "a_files"
    tiles = {file.relative_to(theirs) for file in theirs.rglob("*.jpg")}
    assert {file.relative_to(ours) for file in ours.rglob("*.jpg")} == tiles
    for tile in tiles:
        assert_close(by_pillow(ours / tile), by_pillow(theirs / tile))
    assert described(path) == {**described(tmp_path / "vips.dzi"), "Format": "jpg"}
    assert json.loads((ours / "creps.json").read_text()) == SETTINGS


def test_deep_zoom_of_gray_pictures_is_gray(tmp_path: Path) -> None:
    written(tmp_path, ".dzi", (33, 64, 1), rough=False)
    assert_close(by_pillow(tmp_path / "a_files" / "6" / "0_0.jpg"), whole(33, 64, 1, rough=False))


COLORS = (".png", ".jpg", ".webp", ".tif")


@pytest.mark.parametrize("suffix", COLORS)
@pytest.mark.parametrize("channels", [1, 3])
def test_large_files_say_that_their_colors_are_srgb(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    path = written(tmp_path, suffix, (70, 45, channels), rough=False)
    with Image.open(path) as image:
        gray = image.mode == "L"
        assert image.info["icc_profile"] == profile(1 if gray else 3)
    assert pyvips.Image.new_from_file(str(path)).get("icc-profile-data") == profile(
        1 if gray else 3
    )


@pytest.mark.parametrize("suffix", COLORS)
def test_large_files_have_credits_in_any_script(tmp_path: Path, suffix: str) -> None:
    with Image.open(written(tmp_path, suffix, (70, 45, 3), rough=False)) as image:
        stored = image.getexif()[ExifTags.Base.Copyright]
    # Pillow reads these texts as Latin-1.
    assert stored.encode("latin-1").decode() == SETTINGS["credits"]


def test_transparency_is_kept_or_lies_on_white(tmp_path: Path) -> None:
    expected = whole(70, 45, 4)
    np.testing.assert_array_equal(by_pillow(written(tmp_path, ".png", (70, 45, 4))), expected)
    path = written(tmp_path, ".tif", (70, 45, 4))
    with tifffile.TiffFile(path) as file:
        assert [page.extrasamples for page in file.pages] == [(2,)] * 4  # of its own, not mixed in
        np.testing.assert_array_equal(file.asarray(), expected)
    np.testing.assert_array_equal(by_vips(path), expected)
    group = zarr.open_group(written(tmp_path, ".zarr", (70, 45, 4)), mode="r")
    np.testing.assert_array_equal(np.moveaxis(group["0"][:], 0, 2), expected)
    labels = [each["label"] for each in group.attrs["ome"]["omero"]["channels"]]
    assert labels == ["red", "green", "blue", "opacity"]

    smooth = whole(70, 45, 4, rough=False).astype(float)
    assert_close(by_pillow(written(tmp_path, ".webp", (70, 45, 4), rough=False)), smooth)
    opacity = smooth[:, :, 3:] / 255
    on_white = smooth[:, :, :3] * opacity + 255 * (1 - opacity)
    assert_close(by_pillow(written(tmp_path, ".jpg", (70, 45, 4), rough=False)), on_white)
    written(tmp_path, ".dzi", (70, 45, 4), rough=False)
    assert_close(by_pillow(tmp_path / "a_files" / "7" / "0_0.jpg"), on_white)
