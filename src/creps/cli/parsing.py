"""Words of the command line that several subcommands share: seeds, sizes, windows."""

from __future__ import annotations

import re
from typing import Literal

from creps.errors import UsageError

MOST_SEEDS = 1_000_000
"""More pictures than this in one command are taken for a mistake."""


def parse_seeds(text: str) -> list[int]:
    """Seeds of `7`, `0-7` or `0-7,12`, in order, each once.

    Raises:
        UsageError: for anything else, a range that runs backwards, or more than a million seeds.
    Example:
        >>> parse_seeds("0-2,12,1")
        [0, 1, 2, 12]
    """
    ranges = []
    for word in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?", word)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(f"seeds {text!r}: expected numbers and ranges such as 0-7,12")
        ranges.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    count = sum(map(len, ranges))
    if count > MOST_SEEDS:
        raise UsageError(f"seeds {text!r} are {count:,} pictures: expected at most {MOST_SEEDS:,}")
    return list(dict.fromkeys(seed for part in ranges for seed in part))


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of `1024` (a square) or `768x1280` (height x width).

    Raises:
        UsageError: for anything else.
    Example:
        >>> parse_size("768x1280")
        (768, 1280)
    """
    match = re.fullmatch(r"\s*(\d+)\s*(?:[x×]\s*(\d+)\s*)?", text.lower())
    if not match:
        raise UsageError(
            f"size {text!r}: expected pixels such as 1024, or HEIGHTxWIDTH as 768x1280"
        )
    return int(match[1]), int(match[2] or match[1])


def parse_window(text: str) -> tuple[float, float, float, float]:
    """(y0, x0, y1, x1) of `0.25,0.25,0.75,0.75`, in plane units.

    Raises:
        UsageError: if these are not four numbers.
    Example:
        >>> parse_window("-0.5,0,1.5,1")
        (-0.5, 0.0, 1.5, 1.0)
    """
    try:
        y0, x0, y1, x1 = (float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"window {text!r}: expected four numbers Y0,X0,Y1,X1") from None
    return y0, x0, y1, x1


def parse_supersample(text: str) -> int | Literal["auto"]:
    """Samples a side of a pixel: `auto`, or a number from 1 to 16.

    Raises:
        UsageError: for anything else.
    Example:
        >>> parse_supersample("4"), parse_supersample("auto")
        (4, 'auto')
    """
    from creps.rendering.antialias import MOST_SAMPLES

    if text.strip().lower() == "auto":
        return "auto"
    samples = int(text) if re.fullmatch(r"[0-9]{1,9}", text.strip()) else 0
    if not 1 <= samples <= MOST_SAMPLES:
        raise UsageError(
            f"supersample {text!r}: expected auto, or a number from 1 to {MOST_SAMPLES}"
        )
    return samples
