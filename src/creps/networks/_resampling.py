"""Resampling with small filters (StyleGAN2): pad, insert zeros, filter, keep every n-th sample.

Plain convolutions, one group per channel, on any device and differentiable any number of times.
Sizes and factors are the same on both axes; paddings are (top, bottom, left, right) and may be
negative (cropping). Filters are (h, w), or (n,) for a separable filter that serves both axes; they
need not be symmetric and are applied as true convolutions unless `flip_filter` is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Factors = tuple[int, int]
Padding = tuple[int, int, int, int]

BINOMIAL = (1.0, 3.0, 3.0, 1.0)
"""The taps of StyleGAN2's filter: a narrow low-pass."""


def resample_filter(taps: Sequence[float] = BINOMIAL) -> Tensor:
    """The (n, n) filter with `taps` on both axes, of sum one.

    One pass with the square filter is faster than two passes with its taps while it is this small.

    Example:
        >>> resample_filter([1, 1]).tolist()
        [[0.25, 0.25], [0.25, 0.25]]
    """
    row = torch.tensor(taps, dtype=torch.float32)
    square = torch.outer(row, row)
    return square / square.sum()


def upfirdn2d(
    x: Tensor,
    f: Tensor,
    *,
    up: int = 1,
    down: int = 1,
    padding: Padding = (0, 0, 0, 0),
    gain: float = 1.0,
    flip_filter: bool = False,
) -> Tensor:
    """Upsample by zero insertion, pad, filter without borders, downsample by picking.

    Each sample of (B, C, H, W) is followed by up - 1 zeros on both axes, also the last one; then
    every `down`-th result is kept, the first included. `flip_filter` correlates with `f` instead of
    convolving. The result has H' = (H * up + top + bottom - h) // down + 1 rows, columns alike.
    """
    if slow_in_half(x):
        with torch.autocast("cpu", enabled=False):
            y = upfirdn2d(
                x.float(), f, up=up, down=down, padding=padding, gain=gain, flip_filter=flip_filter
            )
        return y.to(x.dtype)
    top, bottom, left, right = padding
    f = f.to(x.device, x.dtype)
    if f.ndim == 1:
        x = _Resample.apply(x, f[:, None], (up, 1), (down, 1), (top, bottom, 0, 0), flip_filter)
        row = f[None, :] * gain
        return _Resample.apply(x, row, (1, up), (1, down), (0, 0, left, right), flip_filter)
    return _Resample.apply(x, f * gain, (up, up), (down, down), padding, flip_filter)


def slow_in_half(x: Tensor) -> bool:
    """Whether `x` would be filtered in half precision on a CPU, up to a hundred times slower.

    One filter a channel, that is; where it has a stride the way back is slow too.
    """
    half = x.dtype in (torch.bfloat16, torch.float16)
    mixed = torch.is_autocast_enabled("cpu") and x.dtype is not torch.float64
    return x.device.type == "cpu" and (half or mixed)


def upsample2d(x: Tensor, f: Tensor, *, up: int = 2) -> Tensor:
    """Enlarge (B, C, H, W) to (B, C, H * up, W * up); the mean stays where `f` has sum one."""
    padding = _paddings(f, up=up)
    return upfirdn2d(x, f, up=up, padding=padding, gain=up * up)


def downsample2d(x: Tensor, f: Tensor, *, down: int = 2) -> Tensor:
    """Shrink (B, C, H, W) to (B, C, H // down, W // down): filter, then pick."""
    padding = _paddings(f, down=down)
    return upfirdn2d(x, f, down=down, padding=padding)


def conv2d_resample(
    x: Tensor,
    weight: Tensor,
    f: Tensor,
    *,
    bias: Tensor | None = None,
    up: int = 1,
    down: int = 1,
) -> Tensor:
    """Convolution and resampling in the order that costs least (StyleGAN2).

    Features (B, I, H, W) to (B, O, H * up // down, W * up // down); at most one factor differs from
    1. Weights (O, I, k, k), k odd, are correlated with the input as in `conv2d`; where `up` > 1 and
    k > 1 convolved as in `conv_transpose2d`, which is what StyleGAN2's weights expect.
    """
    k = weight.shape[-1]
    if up > 1:
        y = _upsampled_conv(x, weight, f, up)
        return y if bias is None else y + bias[:, None, None]
    if down == 1:
        return F.conv2d(x, weight, bias, padding=k // 2)
    if k == 1:
        return F.conv2d(downsample2d(x, f, down=down), weight, bias)
    top, bottom, left, right = (pad + k // 2 for pad in _paddings(f, down=down))
    # Merging filter and weight into one 6x6 kernel was measured: about half as fast on a CPU.
    return F.conv2d(upfirdn2d(x, f, padding=(top, bottom, left, right)), weight, bias, stride=down)


def _upsampled_conv(x: Tensor, weight: Tensor, f: Tensor, up: int) -> Tensor:
    """Transposed convolution, then the filter; a 1x1 kernel goes first, on the small input."""
    k = weight.shape[-1]
    if k == 1:
        return upsample2d(F.conv2d(x, weight), f, up=up)
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=up)
    padding = []
    for size in _filter_size(f):
        # Centerd as an upsampling followed by a convolution that keeps the size; the other side
        # makes the result exactly `up` times as long as the input.
        first = (size + up - 1) // 2 + k // 2 - (k - 1)
        padding += [first, up - k - first + size - 1]
    return upfirdn2d(y, f, padding=(padding[0], padding[1], padding[2], padding[3]), gain=up * up)


class _Resample(torch.autograd.Function):
    """`upfirdn2d` with an (h, w) filter and factors (vertical, horizontal).

    It is linear and its gradient is another upfirdn2d: factors exchanged, filter reversed. With
    that said here, gradient penalties take an eighth less time than with autograd's rule for
    convolutions, which works out gradients of the filter too. Filters are constants: they get none.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        f: Tensor,
        up: Factors,
        down: Factors,
        padding: Padding,
        flip_filter: bool,
    ) -> Tensor:
        if up == (1, 1):
            y = _gathered(x, f, down, padding, flip_filter)
        else:
            y = _scattered(x, f, up, padding, flip_filter)
            if down != (1, 1):
                y = y[:, :, :: down[0], :: down[1]].clone()
        ctx.save_for_backward(f)
        ctx.settings = up, down, padding, flip_filter
        ctx.sizes = x.shape[2:], y.shape[2:]
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (f,) = ctx.saved_tensors
        up, down, padding, flip_filter = ctx.settings
        back: list[int] = []
        for axis, (size, result) in enumerate(zip(*ctx.sizes, strict=True)):
            first = f.shape[axis] - 1 - padding[2 * axis]
            reach = (size - 1) * up[axis] + f.shape[axis]
            back += [first, reach - first - result * down[axis]]
        grad = _Resample.apply(gradient, f, down, up, tuple(back), not flip_filter)
        return grad, None, None, None, None, None


def _gathered(x: Tensor, f: Tensor, down: Factors, padding: Padding, flip_filter: bool) -> Tensor:
    """Without upsampling: a strided convolution of each channel."""
    top, bottom, left, right = padding
    inside = (top, left)
    if min(inside) < 0 or inside != (bottom, right):
        inside, x = (0, 0), F.pad(x, (left, right, top, bottom))
    channels = x.shape[1]
    kernel = (f if flip_filter else f.flip(0, 1)).expand(channels, 1, -1, -1)
    return F.conv2d(x, kernel, stride=down, padding=inside, groups=channels)


def _scattered(x: Tensor, f: Tensor, up: Factors, padding: Padding, flip_filter: bool) -> Tensor:
    """Upsampling: each sample scatters the filter, which is zero insertion without the zeros."""
    channels = x.shape[1]
    kernel = (f.flip(0, 1) if flip_filter else f).expand(channels, 1, -1, -1)
    crops: list[int] = []
    extras: list[int] = []
    pads: list[int] = []
    for axis, factor in enumerate(up):
        reach = f.shape[axis] - 1
        first, last = (reach - pad for pad in padding[2 * axis : 2 * axis + 2])  # to cut off
        crop, extra = first, factor - 1 + first - last
        if crop < 0 or not 0 <= extra < factor:
            crop, extra = 0, factor - 1
        crops.append(crop)
        extras.append(extra)
        pads = [crop - first, crop - last + factor - 1 - extra, *pads]
    y = F.conv_transpose2d(
        x, kernel, stride=up, padding=crops, output_padding=extras, groups=channels
    )
    return F.pad(y, pads) if any(pads) else y


def _filter_size(f: Tensor) -> tuple[int, int]:
    return (len(f), len(f)) if f.ndim == 1 else (f.shape[0], f.shape[1])


def _paddings(f: Tensor, *, up: int = 1, down: int = 1) -> Padding:
    """Zeros that keep the result centered; the surplus one goes to the top and left."""
    height, width = _filter_size(f)
    top, left = (height + up - down) // 2, (width + up - down) // 2
    bottom, right = (height - up - down + 1) // 2, (width - up - down + 1) // 2
    return top, bottom, left, right
