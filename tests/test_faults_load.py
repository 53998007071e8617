"""The load on a server: what it asks is the same each time, and every fault is seen."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from creps.checkpoints import save
from creps.serving import Limits
from creps.serving._iiif import refuse_beyond
from faults.load import GROWTH, LAST, LIMITS, TOKEN, WIDEST, Tally, Visitor, _judge, use
from faults.nonsense import hostile_body, nonsense
from tiny_creps import tiny_creps


def test_nonsense_is_the_same_for_the_same_numbers() -> None:
    found = [nonsense(random.Random(k), "tiny", header="A: b") for k in range(300)]
    assert found == [nonsense(random.Random(k), "tiny", header="A: b") for k in range(300)]
    assert len(set(found)) > 250
    assert {each.split(b" ")[0] for each in found} > {b"GET", b"POST", b"DELETE"}
    assert len({hostile_body(random.Random(k)) for k in range(100)}) > 30


def test_views_are_within_the_limits_however_they_are_turned() -> None:
    limits = Limits(pixels=int(LIMITS[LIMITS.index("--max-pixels") + 1]))
    refuse_beyond(WIDEST - 1, WIDEST - 1, turn=33, limits=limits)


@pytest.mark.parametrize(
    ("log", "fault"),
    [
        (b"Traceback (most recent call last):\n", "traceback"),
        (TOKEN[:-1].encode(), "token in the log"),
        (b"\x1b[31mred\n", "control character in the log"),
    ],
)
def test_faults_of_the_log_are_seen(log: bytes, fault: str) -> None:
    tally = Tally(1)
    _judge(b"INFO: fine\n" + log, tally)
    assert list(tally.faults) == [fault]


def test_growth_and_a_slow_end_are_seen() -> None:
    tally = Tally(1, mib=[300.0] * 50, ended_s=LAST)
    _judge(b"", tally)
    assert not tally.faults
    tally = Tally(1, mib=[300.0] * 50 + [301.0 + GROWTH] * 40, ended_s=LAST + 1)
    _judge(b"", tally)
    assert list(tally.faults) == ["memory that grows", "a slow end"]


def served(answer: bytes, way: str) -> Tally:
    """What a visitor tells of a server that always says the same."""
    tally = Tally(1)

    class Always(Visitor):
        async def connect(self) -> Any:
            reader = asyncio.StreamReader()
            reader.feed_data(answer)
            reader.feed_eof()

            class Writer:
                def write(self, data: bytes) -> None: ...
                def close(self) -> None: ...

            return reader, Writer()

    async def visit() -> None:
        visitor = Always(None, "tiny", random.Random(1), tally)  # type: ignore[arg-type]
        go: Callable[[], Awaitable[None]] = getattr(visitor, way)
        await go()

    asyncio.run(visit())
    return tally


def said(status: int, body: object = "x") -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content)


@pytest.mark.parametrize("status", [500, 502, 404, 400])
def test_answers_that_must_not_be_are_seen(status: int) -> None:
    assert served(said(status), "tile").faults == {f"tile: {status}": 1}
    assert bool(served(said(status), "nonsense").faults) == (status >= 500)


def test_good_answers_are_no_faults() -> None:
    assert not served(said(200), "tile").faults
    assert not served(said(503, {"error": "later"}), "tile").faults
    assert not served(b"", "nonsense").faults
    assert served(said(202), "document").faults == {"document: 202": 1}


def test_an_answer_to_strangers_and_a_long_error_are_seen() -> None:
    assert served(said(200), "stranger").faults == {"stranger: 200": 1, "rebound: 200": 1}
    told = served(said(400, {"error": "x" * 301}), "nonsense")
    assert told.faults == {"an error that is no short line": 1}


@pytest.mark.slow
def test_a_sample_of_the_load_finds_no_fault(tmp_path: Path) -> None:
    save(tiny_creps(), tmp_path / "tiny")
    tally = use(f"tiny={tmp_path / 'tiny'}", minutes=0.05, clients=4, pause=0.05)
    assert dict(tally.faults) == {}
    assert sum(tally.answers.values()) > 20
