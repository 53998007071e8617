"""Where to compute: names of devices, and whether they are here."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from creps.errors import UsageError

Device = str | torch.device | None
"""Such as "cpu", "cuda", "cuda:1", "mps", or "auto"; None leaves things where they are."""


def find_device(device: str | torch.device) -> torch.device:
    """The device of that name, checked to be here.

    Args:
        device: "auto" is a CUDA GPU if there is one, else the CPU; others by the names of PyTorch.
    Raises:
        UsageError: if it is unknown or not available.
    Example:
        >>> find_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ValueError, TypeError, NotImplementedError):
        raise UsageError(f"device {device}: not here; expected {' or '.join(_here())}") from None
    if found.type == "cuda" and found.index is None:  # as tensors call it
        return torch.device("cuda", torch.cuda.current_device())
    return found


def _here() -> list[str]:
    names = ["auto", "cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names += ["mps"]
    return names


def peak_memory() -> int | None:
    """The most bytes that this process has held; None where the system does not tell."""
    try:  # Linux counts the peak of the program that started this one in ru_maxrss
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available_memory() -> int | None:
    """Bytes of free memory, where the system reports it (Linux); None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None
