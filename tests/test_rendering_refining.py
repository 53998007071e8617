"""Samples are added where the picture has edges, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from creps.checkpoints import load
from creps.coordinates import Canvas, undistorted_window
from creps.rendering._sampling import (
    CONTRAST,
    automatic_supersample,
    detail_resolution,
    doubled_lines,
    refined,
    standing_out,
    trained_resolution,
)
from creps.rendering._styles import latents
from creps.rendering._view import Samples
from creps.rendering.warps import Scale, parse_warp
from golden_names import relative_error
from painters import painter_of
from tiny_creps import random_styles, tiny_creps


def step(at: int, *, by: float) -> Tensor:
    """(3, 6, 9): columns from `at` on are lighter by so much, in one color."""
    image = torch.zeros(3, 6, 9)
    image[1, :, at:] = by
    return image


def test_edges_stand_out() -> None:
    found = standing_out(step(4, by=1.01 * CONTRAST))
    assert found.shape == (4, 7)
    assert found[:, [2, 3]].all()
    assert int(found.sum()) == 8
    assert not standing_out(step(4, by=0.99 * CONTRAST)).any()
    turned = standing_out(step(4, by=1.0).transpose(1, 2).flip(1))
    assert turned.any(1).tolist() == [False] * 3 + [True] * 2 + [False] * 2


def test_an_edge_just_outside_a_tile_is_seen() -> None:
    assert standing_out(step(1, by=1.0))[:, 0].all()
    assert standing_out(step(8, by=1.0))[:, -1].all()


def test_what_stands_out_becomes_the_mean_of_its_four_samples() -> None:
    asked: list[tuple[int, int]] = []

    def sub_samples(i: Tensor, j: Tensor) -> Tensor:
        asked.extend(zip(i.tolist(), j.tolist(), strict=True))
        return (i + 100 * j).expand(3, -1) / 1000.0

    image = step(4, by=3.0)  # beyond white
    result = refined(image, sub_samples)
    assert sorted(asked) == [(i, j) for i in range(8) for j in (4, 5, 6, 7)]
    means = [(2 * row + 0.5 + 100 * 4.5) / 1000 for row in range(4)]
    torch.testing.assert_close(result[0, :, 2], torch.tensor(means))
    assert result[1, :, 4:].eq(1).all()
    assert image.max() == 3


def test_smooth_pictures_are_left_as_they_are() -> None:
    def never(i: Tensor, j: Tensor) -> Tensor:
        raise AssertionError

    image = torch.linspace(-0.1, 0.1, 54).view(1, 6, 9)
    assert torch.equal(refined(image, never), image[:, 1:-1, 1:-1])


def test_doubled_lines_are_those_half_as_far_apart() -> None:
    network = tiny_creps(bandwidth=1.0)
    prepared = network.prepare(random_styles(network, 1))
    canvas, fine = Canvas(300, 1), Canvas(600, 1)
    doubled = doubled_lines(prepared.lines(canvas.rows(98, 104), "rows"))
    exact = prepared.lines(fine.rows(200, 200), "rows")
    assert doubled.shape == exact.shape
    assert relative_error(doubled, exact) <= 0.003
    shifted = prepared.lines(fine.rows(201, 200), "rows")
    assert relative_error(doubled, shifted) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("warp", [None, "rotate:30", "zoom:0.7"])
def test_automatic_samples_are_close_to_the_mean_of_all(warp: str | None) -> None:
    """On pictures with edges, in one and a half times the work of one sample."""
    model = load("portraits")
    model.record = {"training": {"phases": [{"patch": 32, "zoom": 4.0}]}}  # detail of 128 pixels
    styles = model.map(latents([3], model))

    def picture(supersample: Samples) -> Tensor:
        canvas = Canvas(96, 72, undistorted_window(96, 72))
        drawer = painter_of(model, styles, canvas, warp=warp, supersample=supersample)
        image = torch.full((1, 3, 96, 72), torch.nan)
        for tile, part in drawer.images():
            image[..., tile.rows, tile.columns] = part
        return image.clamp(-1, 1)

    count = automatic_supersample(
        model,
        Canvas(96, 72, undistorted_window(96, 72)),
        None if warp is None else parse_warp(warp),
    )
    assert count == (3 if warp == "zoom:0.7" else 2)
    full = picture(2 * (count - count // 2))  # in steps of two: twice the samples that come first
    error, plain = ((picture(n) - full).square().mean().sqrt() for n in ("auto", count // 2))
    assert plain > 0.01
    assert error < 0.55 * plain


def test_a_drawer_tells_its_samples() -> None:
    network = tiny_creps()
    styles = random_styles(network, 1)
    assert painter_of(network, styles, Canvas(8, 8), supersample="auto").sampling == "auto, 2"
    assert painter_of(network, styles, Canvas(16, 16), supersample="auto").sampling == 1
    assert painter_of(network, styles, Canvas(8, 8), supersample=3).samples == 3
    dense = tiny_creps(composition="dense")
    assert painter_of(dense, styles, Canvas(8, 8), supersample="auto").sampling == 2


# How many samples


@pytest.mark.parametrize(
    ("warp", "samples"),
    [
        ("zoom:1", 1),
        ("zoom:0.5", 2),
        ("scale:0.5,1", 2),
        ("rotate:45", 1),
        ("rotate:30+zoom:0.3", 4),
        ("zoom:4", 1),
        (Scale(1e-3, 1e-3), 16),
        (Scale(1e-9, 1e-9), 1),  # nothing to be seen
    ],
)
def test_samples_follow_the_warp(warp, samples: int) -> None:
    network = tiny_creps()
    warp = parse_warp(warp) if isinstance(warp, str) else warp
    assert automatic_supersample(network, Canvas(16, 24, (0, 0, 1, 1.5)), warp) == samples


@pytest.mark.parametrize(
    ("record", "resolution"),
    [
        ({}, 16),
        ({"training": {"phases": [{"patch": 8, "zoom": 1}, {"patch": 8, "zoom": 4}]}}, 32),
        ({"training": {"phases": []}}, 16),
        ({"training": {"phases": [{"patch": "8"}, 5]}}, 16),
        ({"training": "by hand"}, 16),
    ],
)
def test_detail_is_that_of_the_training(record, resolution: int) -> None:
    network = tiny_creps()
    network.record = record
    assert detail_resolution(network) == resolution


@pytest.mark.parametrize(
    ("training", "trained", "detail"),
    [
        ({"resolution": 8, "zoom": 4.0}, 8, 32),
        ({"resolution": 8, "zoom": 1.0}, 8, 8),
        ({"resolution": 8}, 8, 16),  # a record that does not say how far windows were magnified
        ({"phases": [{"patch": 8, "zoom": 1}, {"patch": 8, "zoom": 4}]}, 8, 32),
        ({"resolution": "8", "zoom": 4}, 16, 16),
        ({"resolution": 8, "zoom": float("inf")}, 16, 16),
        ({"resolution": 0, "zoom": 4}, 16, 16),
        ({}, 16, 16),
    ],
)
def test_the_size_of_a_training_is_what_it_records(training, trained: int, detail: int) -> None:
    network = tiny_creps()
    network.record = {"training": training}
    assert (trained_resolution(network), detail_resolution(network)) == (trained, detail)
