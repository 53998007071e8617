"""Golden tensors, and official CREPS state dictionaries under this package's names."""

from __future__ import annotations

import re
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"
DEAD = re.compile(r"b4\.tores\.|decoder_8\.|\.coords$")
"""Official entries that never run, and coordinates, which are arguments here."""


def golden(name: str) -> dict[str, Tensor]:
    """The tensors of `golden/NAME.safetensors`."""
    return load_file(GOLDEN / f"{name}.safetensors")


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """max|actual - expected| / max|expected|, shapes equal."""
    assert actual.shape == expected.shape
    actual, expected = actual.detach().double(), expected.detach().double()
    return float((actual - expected).abs().max() / expected.abs().max())


def native_names(official: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dictionary of the official CREPS, renamed and reshaped for `Creps`."""
    top = max(int(level) for level in re.findall(r"synthesis\.b(\d+)\.", " ".join(official)))
    return {
        native_name(name, top=top): native_shape(name, value)
        for name, value in official.items()
        if not DEAD.search(name)
    }


def native_name(name: str, *, top: int) -> str:
    """Where `Creps` keeps the official parameter `name` of a network of `top` pixels."""

    def level(match: re.Match[str]) -> int:
        return int(match[1]).bit_length() - 3  # 4 is block 0

    name = name.removeprefix("synthesis.")
    name = re.sub(r"^mapping\.fc(\d)", r"mapping.layers.\1", name)
    name = (
        name.replace("w_avg", "average")
        .replace("b4.input", "input")
        .replace("freqs", "frequencies")
    )
    name = name.replace("b4.fc1", "b4.fc0").replace("decoder_img", "to_rgb")
    name = re.sub(r"^block(\d+)", r"refinement.\1", name)
    name = re.sub(r"(refinement.\d+)\.tores", r"\1.to_rgb", name).replace(".tores", ".emit")
    name = re.sub(r"^b(\d+)", lambda match: f"blocks.{level(match)}", name)
    name = name.replace("decoder_last", f"decoder_{top * 2}")
    name = re.sub(r"^decoder_(\d+)", lambda match: f"decoders.{level(match) - 2}", name)
    return name if name.startswith("mapping") else re.sub(r"\.fc(\d)", r".layers.\1", name)


def native_shape(name: str, value: Tensor) -> Tensor:
    """The official tensor without the axes of length one that `Creps` leaves out."""
    if name.endswith("input.freqs"):
        return value.reshape(-1, 8)
    return value.squeeze() if name.endswith("input.weight") else value
