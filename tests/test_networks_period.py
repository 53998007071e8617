"""Pictures with a period repeat to the last bit, in every family that can have one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from creps.coordinates import AxisGrid, Canvas, PointGrid, wrapped
from creps.errors import ConfigError
from creps.networks._layers import Waves
from creps.networks.base import (
    Generator,
    build_generator,
    describe_generator,
    families,
    family_config,
    read_config,
)
from test_networks_families import TINY, error, latents, network

PERIODIC = [family for family in families() if family_config(family).repeats]
EXACT = 1e-9
"""For families whose pixels depend on each other, where sums have another order elsewhere."""

whole_periods = st.tuples(st.integers(-3, 1000), st.integers(-1000, 3))
binary = st.integers(0, 2**20 - 1).map(lambda k: k / 2**20)


def moved(grid: AxisGrid | PointGrid, y: float, x: float) -> AxisGrid | PointGrid:
    if isinstance(grid, AxisGrid):
        return AxisGrid(grid.ys + y, grid.xs + x)
    return PointGrid(grid.points + torch.tensor([y, x], dtype=torch.float64))


def drawn(made: Generator, grid: AxisGrid | PointGrid) -> torch.Tensor:
    return made.synthesize(made.map(latents(made, 1)), grid)


def test_the_families_that_can_repeat() -> None:
    assert PERIODIC == ["anyres", "cips", "creps", "stylegan3"]


@pytest.mark.parametrize("family", PERIODIC)
@pytest.mark.parametrize("period", [(1.0, 1.0), (0.0, 2.0), (2.0, 0.0), (3.0, 1.5)])
@given(times=whole_periods, y=binary, x=binary)
def test_pictures_repeat_after_the_period(
    family: str, period: tuple[float, float], times: tuple[int, int], y: float, x: float
) -> None:
    made = network(family, period=period)
    assert made.period == period
    grid = Canvas(16, 32, (y, x, y + 0.5, x + 1)).grid()
    shift = times[0] * period[0], times[1] * period[1]
    with torch.inference_mode():
        once, again = drawn(made, grid), drawn(made, moved(grid, *shift))
        if made.pixelwise:
            assert torch.equal(again, once)
        else:
            assert error(again, once) <= EXACT
        for axis, each in enumerate(period):  # where it does not repeat, it is another picture
            if not each:
                there = drawn(made, moved(grid, *(1.0 - axis, float(axis))))
                assert error(there, once) > 1e-3


@pytest.mark.parametrize("family", [f for f in PERIODIC if network(f).pixelwise])
@pytest.mark.parametrize("composition", ["layerwise", "dense"])
@given(places=st.lists(st.tuples(binary, binary), min_size=1, max_size=20), times=whole_periods)
def test_free_points_repeat_too(
    family: str, composition: str, places: list[tuple[float, float]], times: tuple[int, int]
) -> None:
    made = copy.deepcopy(network(family, period=(1.0, 2.0), composition=composition)).float()
    points = PointGrid(torch.tensor([places], dtype=torch.float64))
    with torch.inference_mode():
        once, again = drawn(made, points), drawn(made, moved(points, times[0], 2 * times[1]))
    assert torch.equal(again, once)


@given(st.floats(-1e6, 1e6), st.sampled_from([1.0, 2.0, 1.5, 3.0]))
def test_wrapping_rounds_nothing(place: float, period: float) -> None:
    coords = torch.tensor([place, place % period], dtype=torch.float64)
    here, there = wrapped(coords, period).tolist()
    assert 0 <= here <= period
    assert here == place % period
    assert there == (place % period) % period
    assert torch.equal(wrapped(coords, 0.0), coords)


@pytest.mark.parametrize("family", PERIODIC)
def test_a_period_is_stored_and_asked_for_like_any_setting(family: str) -> None:
    made = network(family, period=(1.0, 3.0))
    name, stored = describe_generator(made)
    assert stored["period"] == [1.0, 3.0]
    again = build_generator(name, stored)
    again.double().load_state_dict(made.state_dict())
    grid = Canvas(16, 16, (0.25, 0, 1.25, 1)).grid()
    with torch.inference_mode():
        assert torch.equal(drawn(again, grid), drawn(made, grid))


@pytest.mark.parametrize(("family", "old"), [("cips", "circumference"), ("anyres", "turn")])
def test_cylinders_of_earlier_versions_keep_their_period(family: str, old: str) -> None:
    assert read_config(family, {"resolution": 64, old: 4.0}).period == (0, 4)
    assert read_config(family, {"resolution": 64, old: 0.0}).period == (0, 0)
    with pytest.raises(ConfigError, match=f"unknown setting '{old}'"):
        read_config("creps", {"resolution": 64, old: 4.0})


@pytest.mark.parametrize("family", families())
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"period": (1.0, -1.0)}, "at least 1 plane unit"),
        ({"period": (0.5, 1.0)}, "at least 1 plane unit"),
        ({"period": (float("nan"), 1.0)}, "at least 1 plane unit"),
        ({"period": (1.0, float("inf"))}, "at least 1 plane unit"),
        ({"period": (1.0, 1.0), "sampling": "corners"}, "sampling|cannot repeat"),
        ({"period": (1.0,)}, "period"),
        ({"period": 1.0}, "period"),
    ],
)
def test_what_cannot_repeat_is_refused(family: str, changes: dict[str, Any], message: str) -> None:
    known = family_config(family).__dataclass_fields__
    config = {name: value for name, value in TINY.items() if name in known} | changes
    with pytest.raises(ConfigError, match=message):
        read_config(family, config)


@pytest.mark.parametrize("family", [f for f in families() if f not in PERIODIC])
def test_families_that_cannot_repeat_say_which_can(family: str) -> None:
    with pytest.raises(ConfigError, match=r"of this family cannot repeat.* creps, cips, stylegan3"):
        read_config(family, {"resolution": 64, "period": [1, 1]})


@pytest.mark.parametrize("period", [1.0, 1.5, 2.0])
def test_waves_of_a_period_are_not_in_step_anywhere(period: float) -> None:
    """What rounding takes from a frequency is its phase: else 0 would look like no other place."""
    drawn = 20 * torch.randn(4096, generator=torch.Generator().manual_seed(0))
    waves = Waves.of(drawn, period, phased=True)
    assert waves.phases.std() > 0.28  # all are alike likely: 0.2887, of so many give or take 0.002
    middle = torch.exp(2j * torch.pi * waves.phases).mean()
    assert middle.abs() < 0.06  # of so many that go round by chance, 1 / 64


@pytest.mark.parametrize("composition", ["layerwise", "dense"])
def test_what_rounding_takes_from_a_frequency_is_its_phase(composition: str) -> None:
    changes = {"bandwidth": 20.0, "channel_max": 64, "composition": composition}
    made = network("creps", period=(1.0, 2.0), **changes)
    for axis, period in (("rows", 1.0), ("columns", 2.0)):
        waves = made.get_submodule("input").waves(axis)  # type: ignore[operator]
        assert torch.equal(waves.frequencies, waves.frequencies.round())
        assert waves.phases.abs().max() <= 0.5
        assert waves.phases.std() > 0  # few: how they lie is up to chance
        drawn = made.get_buffer("input.frequencies")
        index = ("rows", "columns").index(axis)
        drawn = drawn[:, None] if composition == "layerwise" else drawn[:, index, None]
        exact = (waves.frequencies + waves.phases) / period
        torch.testing.assert_close(exact, drawn.double())
