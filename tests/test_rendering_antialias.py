"""Antialiased pictures: the mean of the larger picture, whatever the tiles, in equal memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas
from creps.metrics._similarity import box_reduce
from creps.networks.creps import Creps
from creps.rendering._sampling import (
    antialiased,
    automatic_supersample,
    box_reduced,
    supersampled,
)
from creps.rendering._tiles import Tile, TilePlan
from tiny_creps import random_styles, tiny_creps

WINDOW = (-0.3, 0.1, 1.2, 2.0)


@pytest.fixture(scope="module")
def network() -> Creps:
    return tiny_creps()


def drawer(
    network: Creps, canvas: Canvas, sizes: list[int] | None = None
) -> Callable[[Tile], Tensor]:
    """Draws tiles of a canvas, and notes how many pixels each has."""
    styles = random_styles(network, 1)

    def draw(tile: Tile) -> Tensor:
        if sizes is not None:
            sizes.append(tile.height * tile.width)
        ys, xs = canvas.rows(tile.top, tile.height), canvas.columns(tile.left, tile.width)
        return network.synthesize(styles, AxisGrid(ys, xs))

    return draw


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
def test_it_is_the_box_mean_of_the_larger_picture(factor: int, tile: int, fine: int) -> None:
    network, canvas = tiny_creps(), Canvas(5, 7, WINDOW)
    larger = supersampled(canvas, factor)
    whole = drawer(network, larger)(Tile(0, 0, 5 * factor, 7 * factor))[0]
    expected = box_reduce(whole.permute(1, 2, 0).numpy(), factor)
    draw = antialiased(drawer(network, larger), factor, tile=fine)
    picture = torch.full((3, 5, 7), torch.nan, dtype=torch.float64)
    for part in reversed(TilePlan(5, 7, tile)):
        picture[:, part.rows, part.columns] = draw(part)[0]
    torch.testing.assert_close(
        picture.permute(1, 2, 0), torch.from_numpy(expected), rtol=1e-6, atol=1e-6
    )


def test_memory_does_not_grow_with_the_samples(network: Creps) -> None:
    for factor in (2, 3, 8):
        sizes: list[int] = []
        draw = antialiased(
            drawer(network, supersampled(Canvas(6, 6), factor), sizes), factor, tile=8
        )
        draw(Tile(0, 0, 6, 6))
        assert max(sizes) <= 64
        assert sum(sizes) == 36 * factor**2


def test_one_sample_is_the_plain_picture(network: Creps) -> None:
    canvas, draw = Canvas(4, 6), drawer(network, Canvas(4, 6))
    assert supersampled(canvas, 1) is canvas
    assert antialiased(draw, 1, tile=8) is draw


@pytest.mark.parametrize("sampling", ["centers", "corners"])
@pytest.mark.parametrize("size", [(3, 5), (1, 2), (1, 1)])
def test_sub_pixels_lie_evenly_about_their_pixel(sampling: str, size: tuple[int, int]) -> None:
    canvas = Canvas(*size, WINDOW, sampling)  # type: ignore[arg-type]
    fine = supersampled(canvas, 3)
    for coarse, sub in ((canvas.rows(), fine.rows()), (canvas.columns(), fine.columns())):
        torch.testing.assert_close(sub.view(-1, 3).mean(1), coarse)
        steps = sub.diff()
        torch.testing.assert_close(steps, steps[:1].expand_as(steps))
        if len(coarse) > 1:
            torch.testing.assert_close(3 * steps[0], coarse[1] - coarse[0])


def test_a_block_becomes_its_mean() -> None:
    image = torch.tensor([[0.0, 2.0, 10.0, 10.0], [4.0, 6.0, 10.0, 10.0]])[None, None]
    assert box_reduced(image, 2).tolist() == [[[[3.0, 10.0]]]]


def test_zooming_out_does_not_shimmer() -> None:
    """Moved by part of a pixel, a small picture changes a little instead of at random."""
    network = tiny_creps(bandwidth=10.0)

    def change(factor: int) -> float:
        """Of the colors, when the picture moves by a quarter of a pixel."""
        pictures = []
        for shift in (0.0, 0.25 / 6):
            canvas = Canvas(6, 6, (0.0, shift, 1.0, 1.0 + shift))
            draw = antialiased(drawer(network, supersampled(canvas, factor)), factor, tile=8)
            pictures.append(draw(Tile(0, 0, 6, 6)))
        return float((pictures[1] - pictures[0]).std())

    assert change(12) < 0.3 * change(1)


# How many samples


@pytest.mark.parametrize(
    ("canvas", "samples"),
    [
        (Canvas(16, 16), 1),
        (Canvas(32, 64), 1),
        (Canvas(16, 32, (0, -0.5, 1, 1.5)), 1),
        (Canvas(15, 16), 2),
        (Canvas(8, 8), 2),
        (Canvas(8, 3), 6),
        (Canvas(32, 32, (0, 0, 4, 4)), 2),
        (Canvas(8, 8, (0.25, 0.25, 0.75, 0.75)), 1),
        (Canvas(1, 1), 16),
        (Canvas(4, 4, (-50, -50, 50, 50)), 16),
        (Canvas(48, 48, (0.1, 0.1, 3.1, 3.1)), 1),
    ],
)
def test_samples_follow_the_detail_of_the_model(
    network: Creps, canvas: Canvas, samples: int
) -> None:
    assert network.config.resolution == 16
    assert automatic_supersample(network, canvas) == samples
