"""A sample of `python -m faults`: damaged files end in a line, kills in nothing."""

from __future__ import annotations

import sys

import pytest

from faults.kills import kill_jobs
from faults.mutants import FINE, try_mutants

KINDS = ("safetensors", "config", "records", "styles", "run", "log", "snapshots", "pickles", "pt")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and time are Linux's"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_opened_or_refused(kind: str) -> None:
    tally = try_mutants(kind, count=40, seed=1)
    assert tally.faults == []
    assert sum(tally.ends[end] for end in FINE) == 40


@pytest.mark.parametrize("kind", ["png", "train"])
def test_killed_jobs_end_as_if_they_never_were(kind: str) -> None:
    tally = kill_jobs(kind, count=1, seed=1)
    assert tally.faults == []
    assert tally.kills == 1
