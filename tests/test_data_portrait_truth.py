"""What is known of a portrait is what is drawn: its parts, its colors, where they lie."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

pytest.importorskip("dicebear")
pytest.importorskip("resvg_py")

from creps.data import portrait, portrait_svg, portrait_truth
from creps.data.portraits._truth import COLORED, DRAWINGS, NONE, PLACED
from creps.errors import GridError


def test_the_drawings_are_those_of_the_art() -> None:
    art = json.loads(files("dicebear_styles").joinpath("toon-head.json").read_text("utf-8"))
    for part, names in DRAWINGS.items():
        assert [name for name in names if name != NONE] == list(art["components"][part]["variants"])


def test_every_drawing_named_is_in_the_svg_and_no_other() -> None:
    for index in range(20):
        svg, truth = portrait_svg(index, 7), portrait_truth(index, 7)
        for part, names in DRAWINGS.items():
            used = [name for name in names if f'href="#{part}-{name}-' in svg]
            assert used == [name for name in [truth.drawings[part]] if name != NONE]


def test_all_drawings_occur() -> None:
    found = [portrait_truth(index).drawings for index in range(200)]
    for part, names in DRAWINGS.items():
        assert {drawn[part] for drawn in found} == set(names)


def test_closed_eyes_have_no_iris_and_all_else_has_a_color() -> None:
    for index in range(40):
        truth = portrait_truth(index)
        missing = set(COLORED) - set(truth.colors)
        assert missing == ({"iris"} if truth.drawings["eyes"] in ("bow", "humble") else set())


def test_colors_are_found_in_the_picture() -> None:
    for index in range(10):
        colors = portrait_truth(index).colors
        pixels = portrait(index, 256).reshape(-1, 3).astype(int)
        for name in ("skin", "hair"):
            assert (np.abs(pixels - colors[name]).sum(1) <= 6).mean() > 0.01, (index, name)


def mouths() -> list[int]:
    """Portraits without a beard whose open mouth is dark red: found in pixels."""
    found = []
    for index in range(150):
        drawn = portrait_truth(index).drawings
        if drawn["mouth"] == "agape" and drawn["beard"] == NONE:
            found.append(index)
    return found[:6]


@pytest.mark.parametrize("index", mouths())
def test_places_are_where_parts_lie(index: int) -> None:
    """Two portraits of one svg, with and without the mouth: they differ around its place."""
    from creps.data.portraits._drawing import _rasterize

    svg, place = portrait_svg(index), portrait_truth(index).places["mouth"]
    start = svg.index("<use", svg.index('href="#clothes-'))
    assert "#mouth-" in svg[start : svg.index("/>", start)]
    without = svg[:start] + svg[svg.index("/>", start) + 2 :]
    whole = (0.0, 0.0, 1.0, 1.0)
    both = [_rasterize(text, 192, 192, whole).astype(int) for text in (svg, without)]
    ys, xs = np.nonzero(np.abs(both[0] - both[1]).sum(2) > 30)
    assert (ys.min() + ys.max() + 1) / 384 == pytest.approx(place.y, abs=0.02)
    assert (xs.min() + xs.max() + 1) / 384 == pytest.approx(place.x, abs=0.02)


def test_mirrored_figures_lie_mirrored() -> None:
    """The eyes of unmirrored figures lie left of the middle a little, those of mirrored right."""
    truths = [portrait_truth(index) for index in range(60)]
    sides = {
        flag: np.mean([t.places["eyes"].x for t in truths if t.mirrored is flag])
        for flag in (False, True)
    }
    assert sides[False] + sides[True] == pytest.approx(1, abs=0.02)
    assert all(set(t.places) == set(PLACED) for t in truths)


def test_unknown_portraits_are_refused() -> None:
    with pytest.raises(GridError, match="portrait -1 of seed 0: both must be at least 0"):
        portrait_truth(-1)
