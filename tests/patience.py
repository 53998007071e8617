"""Waiting for what another thread or process does, on machines as busy as they like."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 1800.0
"""Seconds until something that does not happen is a failure; no test comes near it."""


def wait_until(met: Callable[[], Any], what: str = "what was waited for", /) -> Any:
    """The first true answer of `met`, or an AssertionError that says what did not happen."""
    end = time.monotonic() + PATIENCE
    while not (answer := met()):
        assert time.monotonic() < end, f"{what} did not happen within {PATIENCE:.0f} s"
        time.sleep(0.02)
    return answer
