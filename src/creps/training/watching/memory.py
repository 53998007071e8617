"""How much memory a run takes."""

from __future__ import annotations

import sys
from pathlib import Path

import torch


def memory_used(device: torch.device) -> float | None:
    """Gigabytes (10**9 bytes): on a GPU the most that was reserved on it, else this process's own.

    Returns:
        None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e9
    return _resident()


def _resident() -> float | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        import resource

        return pages * resource.getpagesize() / 1e9
    except (OSError, ValueError, IndexError, ImportError):
        return _largest_resident()


def _largest_resident() -> float | None:
    """Where there is no /proc: the most there was; Windows has no such module."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
