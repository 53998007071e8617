"""The field's Inception network: its Frechet distance is FID."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creps.errors import CheckpointError, MissingExtraError
from creps.metrics._extractors import check_batch

WEIGHTS_NAME = "weights-inception-2015-12-05-6726825d.pth"
WEIGHTS_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS_NAME}"
WEIGHTS_HASH = "6726825d"
"""How the SHA-256 of the file begins."""


class InceptionV3:
    """Pooled features of the Inception network of 2015 that FID is defined with.

    Args:
        network: torch-fidelity's: (B, 3, H, W) uint8 pictures to a tuple with (B, 2048) features.
        device: where it lives.
    """

    name = "inception"
    width = 2048
    side = 299
    resize = "bilinear as TensorFlow 1 does it, not antialiased, to 299x299"

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network = network
        self._device = device

    @torch.inference_mode()
    def __call__(self, images: Tensor, /) -> Tensor:
        """(B, C, H, W) uint8 pictures, C 1 or 3, to (B, 2048) float32 features."""
        check_batch(images)
        pictures = images.to(self._device).expand(-1, 3, -1, -1)
        features: Tensor = self._network(pictures)[0]
        return features


def inception(weights: Path, *, device: str | torch.device = "cpu") -> InceptionV3:
    """The Inception network of torch-fidelity.

    Args:
        weights: its file; see `inception_weights`.
        device: where it runs.
    Raises:
        MissingExtraError: if the packages of the `fidelity` extra are missing.
        CheckpointError: if the file is no such weights.
    """
    network_kind = require_fidelity()
    # torch-fidelity would run code in the file; what passes here holds tensors alone.
    refuse_unsafe(weights)
    try:
        network = network_kind(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{weights} does not fit the Inception network: {reason}") from None
    device = torch.device(device)
    return InceptionV3(network.eval().requires_grad_(False).to(device), device)


def require_fidelity() -> Any:
    """torch-fidelity's class of the network.

    Raises:
        MissingExtraError: if the packages of the `fidelity` extra are missing.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise MissingExtraError("the inception features (FID)", "fidelity") from None
    return FeatureExtractorInceptionV3


def inception_weights(given: Path | None = None) -> Path:
    """The weights file: the one given, the one torch keeps, or else fetched once.

    Raises:
        CheckpointError: if there is none; the line says where to get it and how to pass it.
    """
    if given is not None:
        if not given.is_file():
            raise CheckpointError(
                f"{given}: no such weights file; get it at {WEIGHTS_URL} and pass it with --weights"
            )
        return given
    kept = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_NAME
    if not kept.is_file():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                WEIGHTS_URL, str(kept), WEIGHTS_HASH, progress=sys.stderr.isatty()
            )
        except (OSError, RuntimeError) as error:  # no network; another file than expected
            reason = getattr(error, "reason", error)
            raise CheckpointError(
                f"the Inception weights cannot be fetched ({reason}): get {WEIGHTS_URL} with "
                f"another machine and pass it with --weights {WEIGHTS_NAME}"
            ) from None
    return kept


def refuse_unsafe(weights: Path) -> dict[str, Any]:
    """The tensors of a weights file of PyTorch, read without running anything in it.

    Raises:
        CheckpointError: for a file that is damaged, or holds more than tensors.
    """
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{weights} is no weights file of PyTorch: {reason[:120]}") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{weights} holds something else than named tensors")
    return state
