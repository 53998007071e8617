"""DINOv2's vision transformer as an extractor; its weights are the user's to give.

Frechet distances of its features agree better with people than those of Inception (Stein et al.
2023). Shapes: T tokens, D width.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.errors import CheckpointError
from creps.metrics._extractors import check_batch
from creps.metrics._inception import refuse_unsafe

WEIGHTS_URL = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth"
HEAD_WIDTH = 64
"""Numbers of an attention head, in all published sizes."""
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The normalisation of the weights, that of ImageNet."""


class Block(nn.Module):
    """A layer of the transformer: attention, then two linear maps, each scaled and added."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict(
            {"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)}
        )
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, hidden), "fc2": nn.Linear(hidden, width)})
        self.ls1 = nn.ParameterDict({"gamma": torch.ones(width)})
        self.ls2 = nn.ParameterDict({"gamma": torch.ones(width)})

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        qkv = self.attn["qkv"](self.norm1(x))
        # (3, B, heads, T, 64)
        q, k, v = qkv.unflatten(2, (3, self.heads, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.ls1["gamma"] * self.attn["proj"](mixed)
        hidden = F.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.ls2["gamma"] * self.mlp["fc2"](hidden)


class VisionTransformer(nn.Module):
    """DINOv2's network (without registers), sizes as its weights have them; names are theirs.

    Args:
        weights: named tensors of a published backbone.
    Raises:
        KeyError, RuntimeError: if they are of another network.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        width = weights["cls_token"].shape[2]
        self.patch = weights["patch_embed.proj.weight"].shape[2]
        depth = 1 + max(int(m[1]) for name in weights if (m := re.match(r"blocks\.(\d+)\.", name)))
        hidden = weights["blocks.0.mlp.fc1.weight"].shape[0]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros_like(weights["pos_embed"]))
        proj = nn.Conv2d(3, width, self.patch, stride=self.patch)
        self.patch_embed = nn.ModuleDict({"proj": proj})
        self.blocks = nn.ModuleList(Block(width, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        # The mask token serves training alone.
        self.load_state_dict({k: v for k, v in weights.items() if k != "mask_token"})
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) normalised pictures to the class token (B, D); H, W multiples of a patch."""
        grid = self.patch_embed["proj"](x)  # (B, D, H / patch, W / patch)
        tokens = grid.flatten(2).transpose(1, 2) + self._places(grid.shape[2], grid.shape[3])
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed[:, 0]

    def _places(self, height: int, width: int) -> Tensor:
        """(1, height * width, D) place embeddings, resampled from those of the training size."""
        places = self.pos_embed[:, 1:]
        side = round(places.shape[1] ** 0.5)
        if (side, side) == (height, width):
            return places
        square = places.transpose(1, 2).unflatten(2, (side, side))  # (1, D, side, side)
        resampled = F.interpolate(square, size=(height, width), mode="bicubic")
        return resampled.flatten(2).transpose(1, 2)


class DinoV2:
    """Class tokens of DINOv2 at 224 pixels; `dinov2` loads it.

    Args:
        network: the transformer.
        device: where it lives.
    """

    name = "dinov2"
    side = 224
    resize = "bicubic, antialiased, to 224x224, clipped to [0, 1]"

    def __init__(self, network: VisionTransformer, device: torch.device) -> None:
        self._network = network.to(device)
        self._device = device
        self.width: int = network.cls_token.shape[2]

    @torch.inference_mode()
    def __call__(self, images: Tensor, /) -> Tensor:
        """(B, C, H, W) uint8 pictures, C 1 or 3, to (B, D) float32 features."""
        check_batch(images)
        x = images.to(self._device).expand(-1, 3, -1, -1).float() / 255
        size = (self.side, self.side)
        x = F.interpolate(x, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, spread = (x.new_tensor(v)[:, None, None] for v in (MEAN, SPREAD))
        return self._network((x - mean) / spread)


def dinov2(weights: Path | None, *, device: str | torch.device = "cpu") -> DinoV2:
    """DINOv2 from a file of its published backbone weights (any size, without registers).

    Args:
        weights: the file, such as dinov2_vits14_pretrain.pth.
        device: where it runs.
    Raises:
        CheckpointError: if there is no file (the line says where to get it), or another one.
    """
    if weights is None or not weights.is_file():
        missing = "no weights given" if weights is None else f"{weights}: no such weights file"
        raise CheckpointError(
            f"dinov2: {missing}; get {WEIGHTS_URL} or a larger one and pass it with --weights FILE"
        )
    state = refuse_unsafe(weights)
    try:
        network = VisionTransformer(state)
    except (KeyError, ValueError, IndexError, RuntimeError):
        raise CheckpointError(
            f"{weights} holds no DINOv2 backbone (vits14, vitb14, vitl14, without registers)"
        ) from None
    return DinoV2(network, torch.device(device))
