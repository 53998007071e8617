"""The cross-scale loss is zero for exact refinements and grows with what differs."""

from __future__ import annotations

import pytest
import torch

from creps.coordinates import Canvas
from creps.training._losses import cross_scale_loss, refined


def test_an_exact_refinement_costs_nothing() -> None:
    coarse = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    fine = coarse.repeat_interleave(3, 2).repeat_interleave(3, 3)
    fine = fine + torch.tensor([-1.0, 0, 1]).repeat(5)  # detail that a pixel's mean does not see
    assert cross_scale_loss(coarse, fine) < 1e-15


def test_a_change_counts_by_its_share_of_the_pixels() -> None:
    coarse, fine = torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 4, 6)
    fine[0, 0, 1, 2] = 1.2  # a quarter of one pixel of six
    assert cross_scale_loss(coarse, fine) == pytest.approx(1.2 / 4 / 6)


def test_gradients_reach_both_scales() -> None:
    coarse = torch.zeros(1, 1, 2, 2, requires_grad=True)
    fine = torch.ones(1, 1, 4, 4, requires_grad=True)
    cross_scale_loss(coarse, fine).backward()
    assert torch.equal(coarse.grad, torch.full((1, 1, 2, 2), -1 / 4))
    assert torch.equal(fine.grad, torch.full((1, 1, 4, 4), 1 / 16))


def test_a_refined_canvas_has_the_same_pixels_in_blocks() -> None:
    canvas = Canvas(3, 5, (0.1, -0.2, 0.7, 1.3))
    finer = refined(canvas, 4)
    assert torch.allclose(finer.rows().unflatten(0, (3, 4)).mean(1), canvas.rows())
    assert torch.allclose(finer.columns().unflatten(0, (5, 4)).mean(1), canvas.columns())
