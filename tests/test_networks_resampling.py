"""Resampling is what its definition says, zeros written out, and what StyleGAN2 computes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from creps.networks._resampling import (
    Padding,
    conv2d_resample,
    downsample2d,
    resample_filter,
    upfirdn2d,
    upsample2d,
)
from golden_names import golden, relative_error

TOLERANCE = 2e-5
"""max|error| / max|reference| in float32."""
CASES = golden("sg2_resample_ops")
X, FILTER, ASYMMETRIC = CASES["x"], CASES["f"], CASES["f_asym"]


def random(*shape: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=draw)


def by_definition(
    x: Tensor, f: Tensor, up: int, down: int, padding: Padding, flip_filter: bool
) -> Tensor:
    """upfirdn2d with the zeros written out."""
    batch, channels, height, width = x.shape
    zeros = x.new_zeros(batch, channels, height, up, width, up)
    zeros[:, :, :, 0, :, 0] = x
    top, bottom, left, right = padding
    wide = F.pad(
        zeros.reshape(batch, channels, height * up, width * up), (left, right, top, bottom)
    )
    kernel = f if flip_filter else f.flip(0, 1)
    filtered = F.conv2d(wide.flatten(0, 1)[:, None], kernel[None, None])[:, 0]
    return filtered.unflatten(0, (batch, channels))[:, :, ::down, ::down]


@given(
    up=st.integers(1, 3),
    down=st.integers(1, 3),
    padding=st.tuples(*[st.integers(-2, 5)] * 4),
    filter_size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    flip_filter=st.booleans(),
)
def test_upfirdn2d_and_its_gradients_keep_the_definition(
    up: int, down: int, padding: Padding, filter_size: tuple[int, int], flip_filter: bool
) -> None:
    x = random(2, 3, 9, 10).requires_grad_()
    f = random(*filter_size, seed=1)
    expected = by_definition(x, f, up, down, padding, flip_filter) * 1.5
    actual = upfirdn2d(x, f, up=up, down=down, padding=padding, gain=1.5, flip_filter=flip_filter)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-12)
    gradients = []
    for result in (actual, expected):
        (first,) = torch.autograd.grad(result.pow(3).sum(), x, create_graph=True)
        gradients.append((first.detach(), *torch.autograd.grad(first.square().sum(), x)))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12 * (1 + float(theirs.abs().max())))


@given(
    up=st.integers(1, 3),
    down=st.integers(1, 3),
    padding=st.tuples(*[st.integers(-2, 5)] * 4),
    length=st.integers(1, 5),
    flip_filter=st.booleans(),
)
def test_a_separable_filter_is_its_square_filter(
    up: int, down: int, padding: Padding, length: int, flip_filter: bool
) -> None:
    x, taps = random(1, 2, 9, 10), random(length, seed=1)
    passes, once = (
        upfirdn2d(x, f, up=up, down=down, padding=padding, gain=0.5, flip_filter=flip_filter)
        for f in (taps, torch.outer(taps, taps))
    )
    assert torch.allclose(passes, once, rtol=0, atol=1e-12)


def test_upsampling_one_pixel_by_hand() -> None:
    x = torch.tensor([[[[4.0, 8.0]]]])
    f = torch.tensor([[1.0, 1.0], [1.0, 1.0]]) / 4
    assert upsample2d(x, f).tolist() == [[[[4, 4, 8, 8], [4, 4, 8, 8]]]]


def test_downsampling_averages_by_hand() -> None:
    x = torch.tensor([[[[1.0, 3.0, 9.0], [5.0, 7.0, 9.0]]]])
    assert downsample2d(x, resample_filter((1, 1))).tolist() == [[[[4.0]]]]


def test_the_default_filter_has_sum_one_and_the_official_taps() -> None:
    assert torch.equal(resample_filter(), FILTER)
    assert float(FILTER.sum()) == 1.0


@pytest.mark.parametrize("height", [6, 7])
@pytest.mark.parametrize("width", [8, 9])
def test_a_flat_picture_stays_flat_away_from_the_borders(height: int, width: int) -> None:
    x, f = torch.full((1, 2, height, width), 3.0), resample_filter()
    small, same, large = downsample2d(x, f), upfirdn2d(x, f, padding=(2, 1, 2, 1)), upsample2d(x, f)
    assert small.shape == (1, 2, height // 2, width // 2)
    assert same.shape == x.shape
    assert large.shape == (1, 2, 2 * height, 2 * width)
    for inside in (small[:, :, 1:-1, 1:-1], same[:, :, 2:-2, 2:-2], large[:, :, 1:-1, 1:-1]):
        assert torch.allclose(inside, torch.full_like(inside, 3.0))


def test_downsampling_is_the_adjoint_of_upsampling() -> None:
    large, small, f = random(1, 2, 8, 12), random(1, 2, 4, 6, seed=1), resample_filter()
    down = (downsample2d(large, f) * small).sum()
    up = (large * upsample2d(small, f)).sum() / 4
    assert torch.allclose(down, up)


@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("k", [1, 3])
def test_a_delta_kernel_only_resamples(up: int, down: int, k: int) -> None:
    weight = torch.zeros(3, 3, k, k, dtype=torch.float64)
    weight[:, :, k // 2, k // 2] = torch.eye(3)
    x, f, bias = random(2, 3, 7, 10), resample_filter(), random(3, seed=1)
    expected = {(1, 1): x, (2, 1): upsample2d(x, f), (1, 2): downsample2d(x, f)}[up, down]
    actual = conv2d_resample(x, weight, f, bias=bias, up=up, down=down)
    assert torch.allclose(actual, expected + bias[:, None, None], rtol=0, atol=1e-12)


def test_golden_filters() -> None:
    assert (
        relative_error(upfirdn2d(X, FILTER, padding=(2, 1, 2, 1)), CASES["filter2d"]) <= TOLERANCE
    )
    assert relative_error(upsample2d(X, FILTER), CASES["upsample2d"]) <= TOLERANCE
    assert relative_error(downsample2d(X, FILTER), CASES["downsample2d"]) <= TOLERANCE
    flipped = upfirdn2d(X, ASYMMETRIC, flip_filter=True)
    assert relative_error(flipped, CASES["upfirdn_asym_flip"]) <= TOLERANCE
    # The name of this case gives the paddings of x (left, right) before those of y.
    expected = CASES["upfirdn_asym_up2_down3_pad(2,1,-1,3)_gain1.5"]
    actual = upfirdn2d(X, ASYMMETRIC, up=2, down=3, padding=(-1, 3, 2, 1), gain=1.5)
    assert relative_error(actual, expected) <= TOLERANCE


@pytest.mark.parametrize("k", [1, 3])
def test_golden_convolutions(k: int) -> None:
    for name, up, down in (("up2", 2, 1), ("down2", 1, 2)):
        actual = conv2d_resample(X, CASES[f"w{k}"], FILTER, up=up, down=down)
        assert relative_error(actual, CASES[f"conv{k}_{name}"]) <= TOLERANCE


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("mixed", [False, True])
def test_filters_of_half_precision_compute_in_float32_on_a_cpu(
    dtype: torch.dtype, mixed: bool
) -> None:
    x = random(2, 3, 5, 8).to(dtype)
    f = resample_filter()

    def resampled(x: Tensor) -> Tensor:
        return upfirdn2d(x, f, up=2, padding=(2, 1, 1, 3), gain=4)

    exact = x.detach().to(torch.float64 if dtype is torch.float64 else torch.float32)
    exact.requires_grad_()
    resampled(exact).sum().backward()
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        y = resampled(x)
    y.sum().backward()
    assert y.dtype is dtype
    assert torch.equal(y, resampled(exact).to(dtype))
    assert exact.grad is not None
    assert x.grad is not None
    assert torch.equal(x.grad, exact.grad.to(dtype))
