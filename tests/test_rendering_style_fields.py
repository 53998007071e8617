"""Pictures of several styles: tiles meet, a style alone is itself, panoramas flow and close."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from creps.coordinates import Canvas
from creps.errors import UsageError
from creps.networks._prepared import Prepared
from creps.networks.creps import Creps
from creps.rendering import _lines
from creps.rendering._blends import (
    Frame,
    Gradient,
    Radial,
    Stripes,
    StyleField,
    panorama,
    parse_blend,
)
from creps.rendering._latents import Latent
from creps.rendering._renderer import render
from creps.rendering._styles import styles_of
from creps.rendering._tiles import Tile, TilePlan
from creps.rendering._view import View
from painters import painter_of
from tiny_creps import random_styles, tiny_creps

WIDE = Canvas(6, 24, (0.0, 0.0, 1.0, 3.0))


@pytest.fixture(scope="module")
def network() -> Creps:
    return tiny_creps()


def drawn(network: Creps, field: StyleField, canvas: Canvas, *, tile: int = 99) -> Tensor:
    """The whole picture (C, H, W), drawn in tiles, the last one first."""
    painter = painter_of(network, field, canvas)
    draw = painter._strategy.draws(Tile(0, 0, canvas.height, canvas.width))
    picture = torch.full((3, canvas.height, canvas.width), torch.nan, dtype=torch.float64)
    for part in reversed(TilePlan(canvas.height, canvas.width, tile)):
        picture[:, part.rows, part.columns] = draw(part)[0]
    return picture


def plain(network: Creps, style: Tensor, canvas: Canvas) -> Tensor:
    return network.synthesize(style[None], canvas.grid())[0]


@settings(max_examples=15)
@given(st.integers(1, 9), st.sampled_from(["gradient", "radial", "stripes", "panorama"]))
def test_tiles_meet_exactly(tile: int, kind: str) -> None:
    network, canvas = tiny_creps(), Canvas(7, 10, (-0.2, 0.1, 1.1, 2.7))
    styles = random_styles(network, 3)
    field = {
        "gradient": StyleField(styles, Gradient(3)),
        "radial": StyleField(styles, Radial(3)),
        "stripes": StyleField(styles, Stripes(3, softness=0.2)),
        "panorama": panorama(styles),
    }[kind]
    whole, cut = drawn(network, field, canvas), drawn(network, field, canvas, tile=tile)
    torch.testing.assert_close(cut, whole, rtol=1e-9, atol=1e-9)


def test_one_style_is_the_plain_picture(network: Creps) -> None:
    styles, canvas = random_styles(network, 1), Canvas(5, 7)
    for field in (StyleField(styles, Radial(1)), panorama(styles)):
        torch.testing.assert_close(
            drawn(network, field, canvas, tile=3), plain(network, styles[0], canvas)
        )


def test_where_a_style_is_alone_the_picture_is_its_own(network: Creps) -> None:
    styles, canvas = random_styles(network, 2), Canvas(6, 20)
    field = StyleField(styles, Gradient(2, start=0.4, stop=0.6))
    picture = drawn(network, field, canvas)
    left, right = (plain(network, style, canvas) for style in styles)
    torch.testing.assert_close(picture[..., :8], left[..., :8], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(picture[..., 12:], right[..., 12:], rtol=1e-9, atol=1e-9)
    assert float((picture - left)[..., 9:11].abs().max()) > 1e-3
    assert float((picture - right)[..., 9:11].abs().max()) > 1e-3


def test_any_function_of_points_serves_as_weights(network: Creps) -> None:
    styles, canvas = random_styles(network, 2), Canvas(4, 6)

    def checkerboard(points: Tensor) -> Tensor:
        odd = (points * torch.tensor([4, 6])).floor().sum(1).remainder(2)
        return torch.stack([1 - odd, odd])

    picture = drawn(network, StyleField(styles, checkerboard), canvas)
    odd = (torch.arange(4)[:, None] + torch.arange(6)).remainder(2).bool()
    first, second = (plain(network, style, canvas) for style in styles)
    torch.testing.assert_close(picture, torch.where(odd, second, first), rtol=1e-9, atol=1e-9)


def test_colors_change_without_a_jump(network: Creps) -> None:
    styles, canvas = random_styles(network, 2), Canvas(2, 4000)
    for field in (StyleField(styles, Gradient(2)), panorama(styles, overlap=0.5)):
        picture = drawn(network, field, canvas)
        assert float(picture.diff(dim=2).abs().max()) < 0.05 * float(picture.std())


# Panoramas


def test_each_style_fills_its_own_unit_of_a_panorama(network: Creps) -> None:
    styles = random_styles(network, 3)
    picture = drawn(network, panorama(styles, overlap=0.25), WIDE)
    for k, style in enumerate(styles):
        own = plain(network, style, Canvas(6, 8))
        alone = picture[..., 8 * k : 8 * k + 8]
        torch.testing.assert_close(alone[..., 1:-1], own[..., 1:-1], rtol=1e-9, atol=1e-9)


def test_hard_borders_put_the_pictures_side_by_side(network: Creps) -> None:
    styles = random_styles(network, 3)
    expected = torch.cat([plain(network, style, Canvas(6, 8)) for style in styles], dim=2)
    picture = drawn(network, panorama(styles, overlap=0.0), WIDE)
    torch.testing.assert_close(picture, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_closed_panorama_closes(network: Creps, count: int) -> None:
    styles, edge = random_styles(network, count), 1e-9
    field = panorama(styles, overlap=0.6, closed=True)
    left, right = (Canvas(5, 1, (0, x - edge, 1, x + edge)) for x in (0.0, float(count)))
    torch.testing.assert_close(
        drawn(network, field, left), drawn(network, field, right), rtol=1e-7, atol=1e-7
    )
    if count > 1:
        assert not torch.allclose(drawn(network, panorama(styles), left),
                                  drawn(network, panorama(styles), right), atol=1e-3)  # fmt: skip


def test_lines_are_computed_only_within_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_creps()
    asked: dict[str, int] = {"rows": 0, "columns": 0}
    lines = Prepared.lines

    def counted(self: Prepared, coords: Tensor, axis: str, **options: Any) -> Tensor:
        asked[axis] += len(coords)
        return lines(self, coords, axis, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Prepared, "lines", counted)
    monkeypatch.setattr(_lines, "TOGETHER", 1)  # so few would be computed as if they were more
    drawn(network, panorama(random_styles(network, 3), overlap=0.25), WIDE, tile=4)
    assert asked == {"rows": 3 * 6, "columns": 9 + 10 + 9}


def test_a_style_out_of_reach_leaves_a_part_of_the_canvas(network: Creps) -> None:
    styles = random_styles(network, 3)
    part = Canvas(6, 8, (0.0, 2.0, 1.0, 3.0))
    whole, seen = (drawn(network, panorama(styles), c, tile=3) for c in (WIDE, part))
    torch.testing.assert_close(seen, whole[..., 16:], rtol=1e-9, atol=1e-9)


# Mistakes


def test_weights_are_checked(network: Creps) -> None:
    styles, canvas = random_styles(network, 2), Canvas(2, 3)
    for value in (0.6, -0.5, float("nan")):
        field = StyleField(styles, lambda p, v=value: torch.full((2, len(p)), v))
        with pytest.raises(UsageError, match="expected 0 or more, and the sum 1"):
            drawn(network, field, canvas)
    with pytest.raises(UsageError, match=r"weights of shape \(3, 6\): expected \(2, 6\)"):
        drawn(network, StyleField(styles, Gradient(3)), canvas)


def test_impossible_fields_are_refused(network: Creps) -> None:
    styles = random_styles(network, 2)
    with pytest.raises(UsageError, match="1 frames for 2 styles"):
        StyleField(styles, Gradient(2), (Frame(),))
    with pytest.raises(UsageError, match=r"expected \(M, K, D\)"):
        StyleField(styles[0], Gradient(2))
    with pytest.raises(UsageError, match="weights of 0 styles"):
        panorama(styles[:0])
    with pytest.raises(UsageError, match=r"softness 1\.5"):
        panorama(styles, overlap=1.5)


def test_a_network_without_lines_says_so() -> None:
    dense = tiny_creps(composition="dense")
    field = StyleField(random_styles(dense, 2), Gradient(2))
    with pytest.raises(UsageError, match="family creps cannot mix styles in a picture"):
        painter_of(dense, field, Canvas(2, 3))


def test_what_several_styles_cannot_do_is_refused(network: Creps) -> None:
    field = StyleField(random_styles(network, 2), Gradient(2))
    with pytest.raises(UsageError, match="leave the warp out"):
        painter_of(network, field, Canvas(2, 3), warp="rotate:30")
    with pytest.raises(UsageError, match="no dtype"):
        painter_of(network, field, Canvas(2, 3), dtype="float32")


# Wrapping


def test_whole_frequencies_wrap(network: Creps) -> None:
    assert network.period == (0, 0)
    whole = tiny_creps(period=(1.0, 1.0))
    styles = random_styles(whole, 1)
    here, next_door = (Canvas(4, 6, (0, x, 1, x + 1)).grid() for x in (0, 1))
    torch.testing.assert_close(whole.synthesize(styles, here), whole.synthesize(styles, next_door))


# In words


@pytest.mark.parametrize("blend", ["gradient:90", "panorama", "ring"])
def test_words_make_the_picture_of_their_field(blend: str) -> None:
    network = tiny_creps().float()
    latent = Latent(styles="7/12..3@0.5", blend=blend)
    view = View(size=(12, 24), across=latent.across)
    styles = torch.cat([styles_of(recipe, network) for recipe in latent.recipes])
    picture = render(network, latent, view=view)
    assert picture.std() > 1
    assert (picture == render(network, styles=parse_blend(blend).field(styles), view=view)).all()
