"""Fingerprints: which weights these are, whatever their file or model is called."""

from __future__ import annotations

import hashlib
import json

import torch

from creps.networks.base import Generator, describe_generator


def fingerprint(generator: Generator) -> str:
    """The SHA-256 of what a generator computes: its family, config and weights.

    Returns:
        64 hexadecimal digits; other devices and records (credits, training) give the same.
    """
    digest = hashlib.sha256(json.dumps(describe_generator(generator), sort_keys=True).encode())
    for name, tensor in sorted(generator.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
