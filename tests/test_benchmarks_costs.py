"""What drawing costs, measured where nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import costs
from benchmarks.costs import Cost, Drawing, cost_here, drawing_cost
from creps.networks.creps import CrepsConfig

CONFIG = CrepsConfig(
    resolution=8, z_dim=8, w_dim=8, mapping_layers=1, channel_max=8, thickness=2, line_channels=4
)
DRAWING = Drawing(family="creps", config=CONFIG, size=256)


@pytest.mark.parametrize("tiled", [False, True])
def test_a_drawing_takes_time_and_tells_its_parameters(tiled: bool) -> None:
    found = cost_here(replace(DRAWING, size=24, batch=2, tiled=tiled))
    assert isinstance(found, Cost)
    assert found.parameters > 100
    assert found.seconds > 0
    assert found.gigabytes >= 0


@pytest.mark.slow
def test_a_fresh_process_holds_at_least_the_pictures_that_are_drawn() -> None:
    found = drawing_cost(replace(DRAWING, batch=2))
    assert found is not None
    pictures = 2 * 3 * 256 * 256 * 4 / 1e9  # GB, float32
    assert pictures < found.gigabytes < 2


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_too_little_memory_is_no_number(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> float:
        raise error

    monkeypatch.setattr(costs, "_timed", fail)
    assert cost_here(replace(DRAWING, size=8)) is None


def test_other_failures_are_not_taken_for_too_little_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> float:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(costs, "_timed", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cost_here(replace(DRAWING, size=8))


def test_memory_is_limited_by_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: limits.append((kind, pair[0])))
    monkeypatch.setattr(
        costs, "_field", lambda path, field: 8_000 if field == "MemAvailable" else 1_000
    )
    costs._limit_memory()
    assert limits == [(resource.RLIMIT_DATA, 7_000)]
