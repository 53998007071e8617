"""What a picture records of how it was made: enough to make it again, or to continue it."""

from __future__ import annotations

import hashlib
from typing import Any

from torch import Tensor

from creps import __version__
from creps.checkpoints import weights_id
from creps.networks.base import Generator
from creps.rendering._blends import StyleBlend, StyleField
from creps.rendering._latents import Latent
from creps.rendering._view import Precision, View
from creps.rendering.warps import Chain, PointMap, Warp


def made_by(generator: Generator) -> dict[str, Any]:
    """The version, the weights and the credits of all that is made with a model."""
    credits = {"credits": str(found)} if (found := generator.record.get("credits")) else {}
    return {"creps": __version__, "weights": weights_id(generator), **credits}


def provenance(
    generator: Generator,
    latent: Latent,
    view: View,
    *,
    sampling: int | str = 1,
    tolerance: float | None = None,
    dtype: Precision = None,
) -> dict[str, Any]:
    """All that the pixels of a picture depend on, as JSON values; defaults are left out.

    Args:
        latent:  whose picture it is; tensors are recorded as a digest.
        view: what is seen of it.
        sampling: as `TileSource`.
        tolerance: gray levels by which pixels may be off; None where all are evaluated.
        dtype: other than the model's own.
    """
    canvas = view.canvas(generator)
    settings = {
        **made_by(generator),
        **_latent(latent),
        "size": [canvas.height, canvas.width],
        "window": list(canvas.window),
        **warp_about(view.bend),
        "supersample": None if sampling == 1 else sampling,
        "tolerance": tolerance,
        "exact": view.exact or None,
        "depth": None if view.depth == 8 else view.depth,
        "dither": view.dither or None,
        "map": view.map or None,
        "dtype": None if dtype is None else str(dtype).removeprefix("torch."),
    }
    return {name: value for name, value in settings.items() if value is not None}


def _latent(latent: Latent) -> dict[str, Any]:
    """Seed, recipes or digest; class and truncation, unless they are in the styles already."""
    label, blend = latent.label, latent.blend
    words = "/".join(map(str, latent.recipes))
    about: dict[str, Any] = {"seed": int(words)} if words.isdecimal() else {"styles": words}
    if not latent.recipes:
        about = {"z" if latent.z is not None else "styles": _digest(latent)}
    files = [each.file.fingerprint for each in latent.recipes if each.file is not None]
    about |= {
        "files": files or None,
        "class": label.flatten().tolist() if isinstance(label, Tensor) else label,
    }
    if not isinstance(latent.styles, Tensor | StyleField):
        about |= {"truncation": latent.truncation, "truncation_cutoff": latent.truncation_cutoff}
    if isinstance(blend, StyleBlend):
        about |= {"blend": str(blend), "mask": blend.fingerprint}
    return about


def _digest(latent: Latent) -> str:
    """Of latents or styles that no words name."""
    tensor = latent.styles if latent.z is None else latent.z
    if isinstance(tensor, StyleField):
        tensor = tensor.styles
    assert isinstance(tensor, Tensor)
    content = tensor.detach().float().cpu().contiguous().numpy().tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"


def warp_about(warp: Warp | None) -> dict[str, Any]:
    """Its words, and the digests of the maps they name."""
    if warp is None:
        return {}
    parts = warp.warps if isinstance(warp, Chain) else (warp,)
    maps = [part.fingerprint for part in parts if isinstance(part, PointMap)]
    return {"warp": str(warp), "maps": maps or None}
