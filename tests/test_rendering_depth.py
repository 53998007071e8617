"""16 bits a channel and dithered 8: the values, the files, and what tiles may not change."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import creps
from creps.checkpoints import save
from creps.cli import app
from creps.errors import CrepsError, UsageError
from creps.rendering._rounding import rounded
from creps.rendering._tiles import Tile
from creps.rendering.output import _save
from creps.rendering.output._images import read_settings
from creps.rendering.output._levels import halve
from smooth_model import SmoothModel
from tiny_creps import tiny_creps


def ramp(height: int, width: int, *, low: float = 100, high: float = 104) -> torch.Tensor:
    """(1, height, width) in [-1, 1]: from one gray level of 255 to another, left to right."""
    levels = torch.linspace(low, high, width).expand(1, height, width)
    return levels / 127.5 - 1


def test_16_bits_are_to_nearest_and_clipped() -> None:
    levels = torch.tensor([-9.0, -1.0, 0.4 / 32767.5 - 1, 0.6 / 32767.5 - 1, 0.0, 1.0, 9.0])
    found = rounded(levels.double().reshape(1, 1, 7), depth=16)
    assert found.dtype == np.uint16
    assert found.ravel().tolist() == [0, 0, 0, 1, 32768, 65535, 65535]


@given(st.integers(0, 255), st.integers(-(2**31), 2**31), st.integers(-(2**31), 2**31))
def test_dithering_leaves_whole_levels_and_their_ends(level: int, top: int, left: int) -> None:
    image = torch.full((3, 5, 7), level / 127.5 - 1, dtype=torch.float64)
    found = rounded(image, dither=True, top=top, left=left).astype(int)
    assert np.abs(found - level).max() <= (0 if level in (0, 255) else 1)


def test_dithering_keeps_means_that_rounding_loses() -> None:
    for level in (100.1, 100.5, 100.9):
        image = torch.full((3, 32, 32), level / 127.5 - 1, dtype=torch.float64)
        found = rounded(image, dither=True)
        assert set(np.unique(found)) == {100, 101}
        for channel in range(3):
            assert abs(found[:, :, channel].mean() - level) < 0.02
            blocks = found[:, :, channel].reshape(4, 8, 4, 8).mean((1, 3))
            assert np.abs(blocks - level).max() < 0.15  # everywhere alike
    assert not np.array_equal(found[:, :, 0], found[:, :, 1])


@given(st.integers(0, 30), st.integers(0, 40), st.integers(1, 20), st.integers(1, 20))
def test_dithering_is_the_same_however_a_picture_is_cut(
    top: int, left: int, height: int, width: int
) -> None:
    image = ramp(50, 60)
    part = image[:, top : top + height, left : left + width]
    found = rounded(part, dither=True, top=top, left=left)
    whole = rounded(image, dither=True)
    assert np.array_equal(found, whole[top : top + height, left : left + width])


@pytest.mark.parametrize("options", [{"depth": 16}, {"dither": True}])
def test_tiles_and_parts_are_those_of_the_picture(options) -> None:
    renderer = creps.Renderer(tiny_creps(), seed=3)
    view = creps.View(size=(37, 52), tile_edge=16, **options)
    whole = renderer.picture(view)
    assert whole.dtype == (np.uint16 if "depth" in options else np.uint8)
    assembled = np.zeros_like(whole)
    for tile, pixels in renderer.tiles(view):
        assembled[tile.rows, tile.columns] = pixels
    assert np.array_equal(assembled, whole)
    part = Tile(5, 9, 20, 30)
    assert np.array_equal(renderer.region(part, view), whole[part.rows, part.columns])


@pytest.mark.parametrize("options", [{}, {"warp": "rotate:30"}, {"supersample": 2}])
def test_16_bits_are_the_8_bits_in_between(options) -> None:
    generator = tiny_creps()
    fine = creps.render(generator, seed=3, size=(20, 30), depth=16, exact=True, **options)
    plain = creps.render(generator, seed=3, size=(20, 30), exact=True, **options)
    assert fine.dtype == np.uint16
    assert np.abs(fine / 257 - plain).max() <= 0.51
    assert len(np.unique(fine)) > 3 * len(np.unique(plain))


def test_a_smooth_backdrop_has_more_levels() -> None:
    generator = SmoothModel(waves=0.02)
    view = {"size": (40, 300), "seed": 1}
    plain, fine = (creps.render(generator, depth=depth, **view) for depth in (8, 16))
    assert len(np.unique(plain)) < 40
    assert len(np.unique(fine)) > 2000


@pytest.mark.slow
def test_16_bits_come_within_a_tenth_of_a_gray_level_of_every_pixel_evaluated() -> None:
    renderer = creps.Renderer(creps.load("portraits"), seed=7)
    for size, part in ((1024, Tile(100, 300, 160, 224)), (16384, Tile(6000, 7000, 224, 160))):
        near = renderer.region(part, size=size, depth=16).astype(int)
        exact = renderer.region(part, size=size, depth=16, exact=True).astype(int)
        assert np.abs(near - exact).max() <= 257 / 10


def test_foveated_pictures_have_depth_too() -> None:
    renderer = creps.Renderer(tiny_creps(), seed=3)
    views = [creps.View(size=(20, 30), depth=depth) for depth in (8, 16)]
    plain, fine = (renderer.foveated(view, share=0.5).pixels() for view in views)
    assert np.abs(fine / 257 - plain).max() <= 0.51


def test_impossible_depths_are_refused() -> None:
    for options, words in (
        ({"depth": 12}, "depth 12: expected 8 or 16 bits"),
        ({"depth": 16, "dither": True}, "dither is for 8 bits"),
    ):
        with pytest.raises(UsageError, match=words):
            creps.View(**options)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("compression", ["deflate", "zstd", "lzw", "none"])
def test_a_tiff_of_16_bits_holds_them_and_their_means(
    tmp_path: Path, channels: int, compression: str
) -> None:
    picture = noise(600, 530, channels)
    creps.save_picture(picture, tmp_path / "a.tif", compression=compression)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for page in file.pages:
            assert page.bitspersample == 16
            assert np.array_equal(page.asarray().reshape(picture.shape), picture)
            picture = halve(picture)
        assert len(file.pages) == 2


def test_means_of_16_bits_do_not_overflow() -> None:
    assert halve(np.full((3, 3, 3), 65535, np.uint16)).tolist() == [[[65535] * 3] * 2] * 2


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_and_zarr_of_16_bits_hold_them(tmp_path: Path, channels: int) -> None:
    picture = noise(70, 45, channels)
    for suffix in (".png", ".zarr"):
        creps.save_picture(picture, tmp_path / f"a{suffix}", settings={"seed": 7})
        assert read_settings(tmp_path / f"a{suffix}") == {"seed": 7}
    image = pyvips.Image.new_from_file(str(tmp_path / "a.png"))
    assert image.format == "ushort"
    assert np.array_equal(image.numpy().reshape(picture.shape), picture)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert np.array_equal(np.moveaxis(group["0"][:], 0, 2), picture)
    assert group.attrs["ome"]["omero"]["channels"][0]["window"]["max"] == 65535


def test_a_zarr_by_url_holds_16_bits() -> None:
    pytest.importorskip("fsspec", reason="the extra arrays has it")
    picture = noise(70, 45, 3)
    creps.save_picture(picture, "memory://depth/a.zarr")
    group = zarr.open_group("memory://depth/a.zarr", mode="r")
    assert np.array_equal(np.moveaxis(group["0"][:], 0, 2), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".dzi"])
def test_formats_of_8_bits_refuse_more_in_one_line(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UsageError, match=r"16 bits are for \.tif, \.tiff, \.zarr, \.png") as told:
        creps.save_picture(noise(8, 9, 3), tmp_path / f"a{suffix}")
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_16_bits_and_resumes(tmp_path: Path, monkeypatch) -> None:
    save(tiny_creps().float(), tmp_path / "model")
    words = ["render", "--model", tmp_path / "model", "--seed", 3, "--size", "40x56"]

    def run(*more: object) -> str:
        result = CliRunner().invoke(app, [*map(str, (*words, *more))])
        return result.output + (str(result.exception) if result.exit_code else "")

    monkeypatch.setattr(_save, "CHUNK", 16)
    run("--depth", 16, "--out", tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        expected = creps.render(
            creps.load(tmp_path / "model"), seed=3, size=(40, 56), depth=16
        ).astype(int)
        assert np.abs(file.asarray().astype(int) - expected).max() <= 1
    assert read_settings(tmp_path / "a.tif")["depth"] == 16
    assert "expected 8 or 16" in run("--depth", 12, "--out", tmp_path / "b.tif")
    assert "16 bits are for" in run("--depth", 16, "--out", tmp_path / "b.jpg")
    run("--dither", "--out", tmp_path / "c.png")
    assert read_settings(tmp_path / "c.png")["dither"] is True


def noise(height: int, width: int, channels: int) -> np.ndarray:
    random = np.random.default_rng(height)
    return random.integers(0, 65536, (height, width, channels), dtype=np.uint16)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("dither", [False, True])
def test_values_that_are_no_numbers_are_an_error_and_not_black(depth: int, dither: bool) -> None:
    image = torch.zeros(3, 4, 5)
    image[1, 2, 3] = math.nan
    with pytest.raises(CrepsError, match="not numbers"):
        rounded(image, depth=depth, dither=dither)
    image[1, 2, 3] = math.inf
    assert rounded(image, depth=depth, dither=dither).max() == 2**depth - 1
