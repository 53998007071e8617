"""Losses against hand-worked numbers and closed forms."""

import math

import pytest
import torch

from creps.training._losses import (
    discriminator_loss,
    finite_penalty,
    generator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    hinge_generator_loss,
    path_length_penalty,
    path_lengths,
)


def test_undecided_discriminator_costs_log_two():
    zero = torch.zeros(3, 1)
    assert generator_loss("nonsaturating", zero).item() == pytest.approx(math.log(2))
    assert discriminator_loss("nonsaturating", zero, zero).item() == pytest.approx(2 * math.log(2))
    assert generator_loss("relativistic", zero, zero).item() == pytest.approx(math.log(2))
    assert discriminator_loss("relativistic", zero, zero).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("kind", ["nonsaturating", "relativistic"])
def test_the_networks_want_opposite_things(kind):
    fake = torch.tensor([[1.0], [-2.0]], requires_grad=True)
    real = torch.tensor([[0.5], [0.5]])
    (wish,) = torch.autograd.grad(generator_loss(kind, fake, real), fake)
    (fear,) = torch.autograd.grad(discriminator_loss(kind, fake, real), fake)
    assert (wish < 0).all()
    assert (fear > 0).all()


def test_relativistic_loss_ignores_a_common_shift_of_logits():
    fake, real = torch.randn(4, 1), torch.randn(4, 1)
    shifted = discriminator_loss("relativistic", fake + 5, real + 5)
    torch.testing.assert_close(shifted, discriminator_loss("relativistic", fake, real))


def test_penalty_of_a_linear_critic_is_its_squared_weight():
    weight = torch.randn(3, 4, 5)
    images = torch.randn(2, 3, 4, 5, requires_grad=True)
    logits = (images * weight).sum((1, 2, 3), keepdim=True)[:, :, 0, 0]
    torch.testing.assert_close(gradient_penalty(logits, images), weight.square().sum())


def test_differences_measure_the_gradient_of_a_linear_critic():
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 4, 5, generator=random, dtype=torch.float64)
    images = torch.randn(4000, 3, 4, 5, generator=random, dtype=torch.float64)
    noise = torch.randn(images.shape, generator=random, dtype=torch.float64)

    def critic(pictures):
        return (pictures * weight).sum((1, 2, 3))[:, None]

    one = finite_penalty(critic(images[:1]), critic(images[:1] + 0.01 * noise[:1]), noise=0.01)
    torch.testing.assert_close(one, (weight * noise[0]).sum().square())
    many = finite_penalty(critic(images), critic(images + 0.01 * noise), noise=0.01)
    torch.testing.assert_close(many, weight.square().sum(), rtol=0.1, atol=0)


def test_heads_are_content_beyond_their_margins():
    real = [torch.full((2, 1, 3, 4), 1.5), torch.tensor([[[[0.5]]], [[[2.0]]]])]
    fake = [torch.full((2, 1, 3, 4), -1.0), torch.tensor([[[[0.0]]], [[[-2.0]]]])]
    # Only the second head is within its margins: (0.5 + 0) / 2 for real ones, (1 + 0) / 2 else.
    assert hinge_discriminator_loss(fake, real).item() == pytest.approx(0.75)
    assert hinge_generator_loss(fake).item() == pytest.approx(1.0 + 1.0)


def test_path_length_of_a_linear_picture():
    # picture = style . matrix; with noise e_0 the gradient is the matrix row of pixel 0 / sqrt(HW)
    matrix = torch.randn(2, 3, 8)  # K styles, D, H * W * C
    styles = torch.randn(1, 2, 3, requires_grad=True)
    images = torch.einsum("bkd,kdp->bp", styles, matrix).view(1, 2, 1, 4)
    noise = torch.zeros(1, 2, 1, 4)
    noise[0, 0, 0, 0] = 1
    expected = (matrix[:, :, 0] / 2).square().sum(1).mean().sqrt()
    torch.testing.assert_close(path_lengths(images, styles, noise)[0], expected)


def test_path_length_penalty_is_the_squared_distance_from_the_mean():
    lengths = torch.tensor([1.0, 3.0], requires_grad=True)
    mean = torch.tensor(0.5, requires_grad=True)
    penalty = path_length_penalty(lengths, mean)
    assert penalty.item() == pytest.approx((0.5**2 + 2.5**2) / 2)
    slope, none = torch.autograd.grad(penalty, (lengths, mean), allow_unused=True)
    torch.testing.assert_close(slope, torch.tensor([0.5, 2.5]))
    assert none is None  # the mean is a target, not something to be moved
