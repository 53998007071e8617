"""Shards: one picture's chunks shared out among many processes or machines."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from creps.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """One share of a picture, counted from 1: 2/8 is the second of eight.

    Args:
        number: which share, 1 .. count.
        count: shares in all.
    Raises:
        UsageError: for a share that does not exist.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise UsageError(f"shard {self}: expected K/N with K from 1 to N, such as 2/8")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def indices(self, total: int) -> range:
        """Its part of `total` things in a row; parts meet, and their lengths differ by at most 1.

        Example:
            >>> [list(Shard(k, 3).indices(4)) for k in (1, 2, 3)]
            [[0], [1], [2, 3]]
        """
        return range(total * (self.number - 1) // self.count, total * self.number // self.count)


def parse_shard(text: str) -> Shard:
    """The shard that a text such as "2/8" names; anything else is a UsageError."""
    parts = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
    if parts is None:
        raise UsageError(f"shard {text!r}: expected K/N with K from 1 to N, such as 2/8")
    return Shard(int(parts[1]), int(parts[2]))


def shard_from_environment(environment: Mapping[str, str] = os.environ) -> Shard | None:
    """The share of this process under `torchrun`, from RANK (from 0) and WORLD_SIZE; else None.
    Raises:
        UsageError: if the two variables are invalid.
    """
    rank, world = environment.get("RANK"), environment.get("WORLD_SIZE")
    if rank is None or world is None:
        return None
    try:
        shard = Shard(int(rank) + 1, int(world))
    except (ValueError, UsageError):
        raise UsageError(
            f"RANK={rank} and WORLD_SIZE={world} in the environment: expected RANK from 0 to "
            "WORLD_SIZE - 1, as torchrun sets them"
        ) from None
    return shard if shard.count > 1 else None
