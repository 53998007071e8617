"""Styles of portraits: each drawn whole at any size, each with its artist's credit."""

import json
import zipfile

import numpy as np
import pytest

pytest.importorskip("dicebear")
pytest.importorskip("resvg_py")

from creps.data import portrait, portrait_svg, write_portraits
from creps.data.portraits._styles import STYLES, portrait_style
from creps.errors import ConfigError, DataError

REMIXES = sorted(set(STYLES) - {"toon-head"})


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_portraits_are_distinct_and_the_same_again(style):
    pictures = [portrait(k, (20, 24), style=style) for k in range(12)]
    assert len({p.tobytes() for p in pictures}) == 12
    np.testing.assert_array_equal(portrait(5, (20, 24), style=style), pictures[5])


@pytest.mark.parametrize("style", STYLES)
def test_a_window_shows_the_pixels_of_the_whole(style):
    whole = portrait(2, (48, 64), style=style).astype(int)
    part = portrait(2, (24, 32), style=style, window=(0.25, 0.5, 0.75, 1.0))
    assert np.abs(part - whole[12:36, 32:64]).mean() < 0.6


@pytest.mark.parametrize("style", STYLES)
def test_a_small_picture_is_the_mean_of_a_large_one(style):
    small, large = (portrait(4, size, style=style).astype(float) for size in (48, 192))
    assert np.abs(small - large.reshape(48, 4, 48, 4, 3).mean((1, 3))).mean() < 2.5  # fine outlines


@pytest.mark.parametrize("style", STYLES)
def test_drawing_and_credit_name_artist_and_license(style):
    known, svg = portrait_style(style), portrait_svg(0, style=style)
    for text in (svg, known.attribution):
        assert known.artist in text
        assert known.license_url in text
    assert known.artist in known.credit
    assert known.license in known.credit


@pytest.mark.parametrize("style", REMIXES)
def test_a_set_carries_the_credit_of_its_style(style, tmp_path):
    out = tmp_path / "set.zip"
    write_portraits(out, count=2, size=8, style=style)
    with zipfile.ZipFile(out) as archive:
        assert archive.read("ATTRIBUTION.txt").decode() == portrait_style(style).attribution
        settings = json.loads(archive.read("portraits.json"))
    assert (settings["style"], settings["licence"]) == (style, portrait_style(style).license)
    assert not write_portraits(out, count=2, size=8, style=style)
    with pytest.raises(DataError, match="holds other portraits"):
        write_portraits(out, count=2, size=8)


def test_sets_of_the_default_style_say_what_they_always_said(tmp_path):
    write_portraits(tmp_path / "set.zip", count=1, size=8)
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert "style" not in json.loads(archive.read("portraits.json"))


def test_an_unknown_style_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(ConfigError, match="unknown portrait style 'mica': did you mean micah"):
        write_portraits(tmp_path / "set.zip", count=1, size=8, style="mica")
    with pytest.raises(ConfigError, match="toonhead"):
        portrait(0, 8, style="toonhead")
