"""Blends in words: what is written is what is drawn, and mistakes are told at once."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from creps.coordinates import Canvas
from creps.errors import DataError, UsageError
from creps.rendering._blends import (
    BLENDS,
    Gradient,
    Radial,
    StyleField,
    load_mask,
    panorama,
    parse_blend,
)
from creps.rendering._painter import Painter
from creps.rendering._sampling import box_reduced
from creps.rendering._tiles import Tile
from painters import painter_of
from tiny_creps import random_styles, tiny_creps

POINTS = torch.rand(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", sorted(set(BLENDS) - {"mask"}))
def test_words_and_blends_are_one(name: str) -> None:
    first, *rest = BLENDS[name]
    for text in (name, f"{name}:{first}=0.75"):
        blend = parse_blend(text)
        assert str(blend) == text
        assert parse_blend(str(blend)) == blend
    assert parse_blend(f"{name}:0.75") == parse_blend(f"{name}:{first}=0.75")
    assert len(rest) == len(BLENDS[name]) - 1


def test_numbers_reach_the_weights() -> None:
    styles = torch.zeros(3, 2, 4)
    words = {
        "gradient:90,0.5,start=0.1,stop=0.8": Gradient(3, 90, 0.5, 0.1, 0.8),
        "radial:0.1,0.3,y=0.4,x=0.6,softness=0.2": Radial(3, 0.1, 0.3, 0.4, 0.6, 0.2),
    }
    for text, weights in words.items():
        torch.testing.assert_close(parse_blend(text).field(styles).weights(POINTS), weights(POINTS))


def test_side_by_side_styles_need_a_wider_scene() -> None:
    assert [parse_blend(name).across(3) for name in ("panorama", "ring", "radial")] == [3, 3, 1]
    field = parse_blend("ring:0.25").field(torch.zeros(2, 1, 3))
    assert field.frames == panorama(torch.zeros(2, 1, 3), overlap=0.25, closed=True).frames


def test_a_mask_is_known_by_what_is_painted(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(path)
    blend = parse_blend(f"mask:{path},x1=2")
    assert str(blend) == f"mask:{path},x1=2"
    weights = blend.field(torch.zeros(2, 1, 3)).weights(torch.tensor([[0.5, 0.4], [0.5, 1.6]]))
    torch.testing.assert_close(weights, torch.eye(2))
    before = blend.fingerprint
    Image.fromarray(np.array([[255, 0]], np.uint8)).save(path)
    assert blend.fingerprint != before
    assert parse_blend("radial").fingerprint is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gradiant", "did you mean gradient"),
        ("gradient:up", "'up' is not a number; write gradient:angle=0,softness=1,start=0,stop=1"),
        ("gradient:1,2,3,4,5", "blend gradient: extra value '5'"),
        ("gradient:1,angle=2", "angle is given twice"),
        ("gradient:inf", "angle inf: expected a finite number"),
        ("radial:radius=1", "no parameter 'radius'"),
        ("mask:a.png,0,z=1", "write mask:FILE,y0=0,x0=0,y1=1,x1=1"),
        ("mask", "write mask:FILE"),
    ],
)
def test_words_that_are_no_blend_are_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as told:
        parse_blend(text)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("text", "count", "words"),
    [
        ("gradient", 1, "blend gradient of one style"),
        ("gradient:softness=2", 2, "softness 2.0"),
        ("radial:0.5,0.2", 2, "inner < outer"),
        ("stripes:0", 2, "stripes 0.0 wide"),
        ("ring:1.5", 1, "softness 1.5"),
    ],
)
def test_numbers_out_of_range_are_refused_before_there_are_styles(
    text: str, count: int, words: str
) -> None:
    with pytest.raises(UsageError) as told:
        parse_blend(text).check(count)
    assert words in str(told.value)


def test_masks_that_are_none_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "three.npy", np.ones((3, 4, 5)))
    (tmp_path / "text.png").write_text("no mask")
    with pytest.raises(UsageError, match="maps for 3 styles: expected 2"):
        parse_blend(f"mask:{tmp_path}/three.npy").check(2)
    with pytest.raises(DataError, match="neither a picture nor a NumPy array"):
        parse_blend(f"mask:{tmp_path}/text.png").check(2)
    with pytest.raises(DataError, match="no such mask"):
        parse_blend(f"mask:{tmp_path}/none.png").check(2)
    with pytest.raises(UsageError, match="y0 < y1"):
        parse_blend(f"mask:{tmp_path}/three.npy,y1=0").check(3)


def _rgba(path: Path, gray: list[int], alpha: list[int]) -> Path:
    pixels = [[(g, g, g, a) for g, a in zip(gray, alpha, strict=True)]]
    Image.fromarray(np.array(pixels, np.uint8)).save(path)
    return path


def test_what_is_transparent_in_a_mask_counts_as_black(tmp_path: Path) -> None:
    path = _rgba(tmp_path / "a.png", [255, 255, 255, 0], [0, 255, 51, 255])
    values = load_mask(path, 2).maps[1]
    torch.testing.assert_close(values, torch.tensor([[0, 1, 0.2, 0]], dtype=torch.float64))
    path = _rgba(tmp_path / "b.png", [0, 0, 0, 0], [0, 255, 255, 0])
    with pytest.raises(DataError, match="nothing but black on a transparent ground"):
        load_mask(path, 2)


def test_masks_keep_all_digits_and_any_file_that_is_no_mask_is_one_line(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0.25, 0.5]], np.float32))
    assert load_mask(tmp_path / "a.tif", 2).maps[1, 0].tolist() == [0.25, 0.5]
    Image.fromarray(np.array([[257, 65535]], np.uint16)).save(tmp_path / "b.png")
    expected = [257 / 65535, 1.0]
    assert load_mask(tmp_path / "b.png", 2).maps[1, 0].tolist() == pytest.approx(expected)
    np.save(tmp_path / "c.npy", np.ones((2, 2)))
    whole = (tmp_path / "c.npy").read_bytes()
    fractions = (tmp_path / "b.png").with_name("d.tif")
    tifffile.imwrite(fractions, np.ones((4, 4), np.uint8))
    content = bytearray(fractions.read_bytes())
    place = content.index(struct.pack("<HH", 256, 4))
    content[place : place + 4] = struct.pack("<HH", 256, 5)  # the width as a fraction
    fractions.write_bytes(content)
    broken = [whole.replace(b"(2, 2)", b"(2, (2"), whole.replace(b"False", b"((((("), whole[:40]]
    for number, content in enumerate(broken):
        (tmp_path / f"e{number}.npy").write_bytes(content)
    for path in (fractions, *tmp_path.glob("e*.npy")):
        with pytest.raises(DataError, match=r"a (NumPy )?array of numbers|an array of") as told:
            load_mask(path, 2)
        assert "\n" not in str(told.value)


def test_the_name_of_a_mask_may_hold_commas(tmp_path: Path) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    _rgba(folder / "mask,1.png", [0, 255], [255, 255])
    for text, x1 in ((f"{folder}/mask,1.png", 1.0), (f"{folder}/mask,1.png,x1=2", 2.0)):
        blend = parse_blend(f"mask:{text}")
        assert (blend.file, blend.numbers["x1"]) == (f"{folder}/mask,1.png", x1)
        assert str(blend) == f"mask:{text}"
        blend.check(2)
    assert parse_blend("mask:a,b/mask.png,0,0,1,2").file == "a,b/mask.png"


# Drawing


def whole(drawer: Painter, *parts: Tile) -> torch.Tensor:
    """(C, H, W) of a picture drawn part by part."""
    picture = torch.full((3, drawer.canvas.height, drawer.canvas.width), torch.nan).double()
    for part in parts or (None,):
        for tile, image in drawer.images(part):
            picture[:, tile.rows, tile.columns] = image[0]
    return picture


@pytest.mark.parametrize("samples", [1, 2])
def test_parts_make_the_whole(samples: int) -> None:
    network, canvas = tiny_creps(), Canvas(6, 20, (0.0, -0.2, 1.0, 3.1))
    field = panorama(random_styles(network, 3), overlap=0.4)
    one = whole(painter_of(network, field, canvas, supersample=samples))
    drawer = painter_of(network, field, canvas, supersample=samples, tile_edge=3)
    parts = [Tile(y, x, 3, 5) for y in (0, 3) for x in (15, 0, 10, 5)]
    torch.testing.assert_close(whole(drawer, *parts), one, rtol=1e-9, atol=1e-9)


def test_samples_are_means_of_a_larger_picture() -> None:
    network, window = tiny_creps(), (0.0, 0.0, 1.0, 1.0)
    field = StyleField(random_styles(network, 2), Gradient(2))
    large = whole(painter_of(network, field, Canvas(12, 18, window)))
    small = whole(painter_of(network, field, Canvas(4, 6, window), supersample=3))
    torch.testing.assert_close(small, box_reduced(large[None].clamp(-1, 1), 3)[0])
