"""Random official StyleGAN2 state dictionaries, and what such a network draws, one step a line.

Written for comparison alone: every picture of a batch by itself, weights modulated one by one, no
gain folded. Resampling is `networks.resampling`, which has golden tensors of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.networks._resampling import conv2d_resample, resample_filter, upsample2d

TAPS = resample_filter()


def official_tensors(
    *,
    widths: Mapping[int, int],
    architecture: str = "skip",
    z_dim: int = 6,
    w_dim: int = 10,
    c_dim: int = 0,
    img_channels: int = 3,
    noise: bool = True,
) -> dict[str, Tensor]:
    """A random official state dictionary with two mapping layers.

    Args:
        widths: channels of the block of each size, 4 and up.
    """
    generator = torch.Generator().manual_seed(len(widths) * 100 + c_dim * 10 + img_channels)
    shapes: dict[str, tuple[int, ...]] = {"mapping.w_avg": (w_dim,)}

    def layer(name: str, weight: tuple[int, ...]) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = weight, weight[:1]

    def styled(name: str, weight: tuple[int, ...]) -> None:
        layer(name, weight)
        layer(f"{name}.affine", (weight[1], w_dim))

    if c_dim:
        layer("mapping.embed", (w_dim, c_dim))
    layer("mapping.fc0", (w_dim, z_dim + (w_dim if c_dim else 0)))
    layer("mapping.fc1", (w_dim, w_dim))
    shapes["synthesis.b4.const"] = (widths[4], 4, 4)
    for size, width in widths.items():
        block = f"synthesis.b{size}"
        for index in (0, 1) if size > 4 else (1,):
            below = widths[size // 2] if index == 0 else width
            styled(f"{block}.conv{index}", (width, below, 3, 3))
            if noise:
                shapes[f"{block}.conv{index}.noise_const"] = (size, size)
                shapes[f"{block}.conv{index}.noise_strength"] = ()
        if architecture == "skip" or size == max(widths):
            styled(f"{block}.torgb", (img_channels, width, 1, 1))
        if architecture == "resnet" and size > 4:
            shapes[f"{block}.skip.weight"] = (width, widths[size // 2], 1, 1)
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    filtered = [name.removesuffix(".bias") for name in tensors if ".conv" in name]
    filtered = [name for name in filtered if name + ".noise_const" in tensors]
    filtered += [f"synthesis.b{size}" for size in widths]
    return tensors | {f"{name}.resample_filter": TAPS.clone() for name in filtered}


def official_w(tensors: Mapping[str, Tensor], z: Tensor, c: Tensor | None) -> Tensor:
    """Latents (B, Z) and one-hot labels (B, classes) to w (B, w_dim)."""

    def normalized(x: Tensor) -> Tensor:
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()

    x = normalized(z)
    if c is not None:
        weight = tensors["mapping.embed.weight"] / math.sqrt(c.shape[1])
        x = torch.cat([x, normalized(c @ weight.T + tensors["mapping.embed.bias"])], dim=1)
    for name in ("mapping.fc0", "mapping.fc1"):
        weight = tensors[f"{name}.weight"] * 0.01 / math.sqrt(x.shape[1])
        x = F.leaky_relu(x @ weight.T + tensors[f"{name}.bias"] * 0.01, 0.2) * math.sqrt(2)
    return x


def official_picture(
    tensors: Mapping[str, Tensor], ws: Tensor, *, noise: bool = False, clamp: float = math.inf
) -> Tensor:
    """Styles (K, w_dim) of one picture to the picture (1, C, R, R)."""

    def style(name: str, w: Tensor) -> Tensor:
        weight = tensors[f"{name}.affine.weight"] / math.sqrt(len(w))
        return weight @ w + tensors[f"{name}.affine.bias"]

    def convolution(name: str, x: Tensor, w: Tensor, up: int, gain: float = 1.0) -> Tensor:
        weight = tensors[f"{name}.weight"] * style(name, w)[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        y = conv2d_resample(x, weight, TAPS, up=up)
        if noise:
            y = y + tensors[f"{name}.noise_const"] * tensors[f"{name}.noise_strength"]
        y = y + tensors[f"{name}.bias"][:, None, None]
        return (F.leaky_relu(y, 0.2) * math.sqrt(2) * gain).clamp(-clamp * gain, clamp * gain)

    def color(name: str, x: Tensor, w: Tensor) -> Tensor:
        s = style(name, w) / math.sqrt(x.shape[1])
        weight = tensors[f"{name}.weight"] * s[None, :, None, None]
        return F.conv2d(x, weight, tensors[f"{name}.bias"]).clamp(-clamp, clamp)

    x = tensors["synthesis.b4.const"][None]
    picture: Tensor | None = None
    index, size = 0, 4
    while f"synthesis.b{size}.conv1.weight" in tensors:
        block = f"synthesis.b{size}"
        shortcut: Tensor | None = None
        if f"{block}.skip.weight" in tensors:
            weight = tensors[f"{block}.skip.weight"] / math.sqrt(x.shape[1])
            shortcut = conv2d_resample(x, weight, TAPS, up=2) * math.sqrt(0.5)
        if size > 4:
            x = convolution(f"{block}.conv0", x, ws[index], 2)
            index += 1
        gain = 1.0 if shortcut is None else math.sqrt(0.5)
        x = convolution(f"{block}.conv1", x, ws[index], 1, gain)
        index += 1
        x = x if shortcut is None else x + shortcut
        if f"{block}.torgb.weight" in tensors:
            rgb = color(f"{block}.torgb", x, ws[index])
            picture = rgb if picture is None else upsample2d(picture, TAPS) + rgb
        size *= 2
    assert picture is not None
    assert index == len(ws) - 1
    return picture
