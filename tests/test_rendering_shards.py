"""Shards cut work into parts that cover it once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creps.errors import UsageError
from creps.rendering.output._shards import Shard, parse_shard, shard_from_environment


@given(total=st.integers(0, 200), count=st.integers(1, 30))
def test_shards_cover_all_work_once_and_evenly(total: int, count: int) -> None:
    parts = [Shard(k, count).indices(total) for k in range(1, count + 1)]
    assert [index for part in parts for index in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_is_read_as_it_is_written() -> None:
    assert parse_shard("2/8") == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"


@pytest.mark.parametrize(
    "text", ["0/8", "9/8", "2", "2/", "a/b", "-1/8", "1/0", "1.0/2", "²/8", ""]
)
def test_nonsense_shards_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected K/N with K from 1 to N"):
        parse_shard(text)


def test_torchrun_names_the_shard() -> None:
    assert shard_from_environment({"RANK": "1", "WORLD_SIZE": "8"}) == Shard(2, 8)


def test_there_is_no_shard_outside_of_torchrun_or_in_a_world_of_one() -> None:
    assert shard_from_environment({}) is None
    assert shard_from_environment({"RANK": "0", "WORLD_SIZE": "1"}) is None


@pytest.mark.parametrize(("rank", "world"), [("8", "8"), ("-1", "2"), ("x", "2"), ("0", "")])
def test_a_broken_environment_is_refused(rank: str, world: str) -> None:
    with pytest.raises(UsageError, match="as torchrun sets them"):
        shard_from_environment({"RANK": rank, "WORLD_SIZE": world})
