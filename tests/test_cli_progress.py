"""How far long work is, in a log file."""

from __future__ import annotations

import pytest

from creps.cli import _progress as progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that stands still until a test moves it."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def test_lines_in_a_log_tell_share_pace_and_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.report("drawing", unit="tiles", per_unit=1) as bar:
        bar(0, 100)
        clock[0] = 100
        bar(50, 100)
    assert capsys.readouterr().err == "drawing: 50%, 0.50 tiles/s, 2 min left\n"


def test_work_that_begins_anew_has_a_pace_of_its_own(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.report("measuring", unit=None) as bar:
        bar(50, 100)
        clock[0] = 10
        bar(0, 100)
        clock[0] = 110
        bar(40, 100)
    assert capsys.readouterr().err == "measuring: 40%, 2 min left\n"
