"""The packaged model of textures: it repeats to the last bit, and looks like its materials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import creps
from creps.cli import app
from creps.errors import LabelError
from creps.networks.base import Generator

MATERIALS = {"grass": (118, 34), "gravel": (127, 36)}
"""Mean and standard deviation of the photographs that they were learnt from."""


@pytest.fixture(scope="module")
def model() -> Generator:
    return creps.load("textures")


@given(
    rows=st.integers(1, 29),
    columns=st.integers(1, 29),
    down=st.integers(1, 3),
    across=st.integers(1, 3),
    seed=st.integers(0, 2**31),
    label=st.sampled_from(sorted(MATERIALS)),
)
@settings(deadline=None, max_examples=25)
def test_repeats_are_alike_to_the_last_bit(
    rows: int, columns: int, down: int, across: int, seed: int, label: str
) -> None:
    model = creps.load("textures")
    size = (rows * down, columns * across)
    picture = creps.render(model, seed=seed, label=label, size=size, tile=(down, across))
    period = picture[:rows, :columns]
    np.testing.assert_array_equal(picture, np.tile(period, (down, across, 1)))


def test_the_plane_after_a_period_is_the_plane_before_it(model: Generator) -> None:
    here, there = (0.25, -0.5, 1.25, 0.25), (3.25, 1.5, 4.25, 2.25)
    one, other = (
        creps.render(model, seed=5, size=(60, 45), window=window) for window in (here, there)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("label", sorted(MATERIALS))
def test_it_has_the_tones_of_its_photographs(model: Generator, label: str) -> None:
    tiles = [creps.render(model, seed=k, label=label, size=128, tile=1) for k in range(6)]
    mean, deviation = MATERIALS[label]
    assert np.mean(tiles) == pytest.approx(mean, abs=8)
    assert np.std(tiles) == pytest.approx(deviation, rel=0.25)


def test_no_border_is_seen(model: Generator) -> None:
    """The step over the border of a tile is one of those inside."""
    ratios = []
    for seed in range(8):
        tile = creps.render(model, seed=seed, size=128, tile=1)[..., 0].astype(float)
        for each in (tile, tile.T):
            steps = np.abs(np.diff(each, axis=0)).mean(1)
            ratios.append(np.abs(each[0] - each[-1]).mean() / steps.mean())
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("label", sorted(MATERIALS))
def test_seeds_are_other_parts_of_a_material(model: Generator, label: str) -> None:
    tiles = [creps.render(model, seed=k, label=label, size=64, tile=1) for k in range(6)]
    alike = np.corrcoef([tile.ravel().astype(float) for tile in tiles])
    assert np.abs(alike[np.triu_indices(6, 1)]).mean() < 0.3


def test_gravel_is_drawn_where_no_material_is_chosen(model: Generator, tmp_path: Path) -> None:
    assert model.class_names == tuple(sorted(MATERIALS))
    plain = creps.render(model, seed=3, size=32)
    np.testing.assert_array_equal(plain, creps.render(model, seed=3, size=32, label="gravel"))
    assert (plain != creps.render(model, seed=3, size=32, label="grass")).any()
    with pytest.raises(LabelError, match="class 'brick' is unknown"):
        creps.render(model, seed=3, size=32, label="brick")
    words = ["--seed", "3", "--size", "64", "--tile", "2x2", "--out", str(tmp_path / "wall.png")]
    made = CliRunner().invoke(app, ["render", "--model", "textures", *words])
    assert made.exit_code == 0, made.output
    assert (tmp_path / "wall.png").is_file()


def test_it_is_small_and_says_what_it_learnt_from(model: Generator) -> None:
    folder = Path(creps.__file__).parent / "models" / "textures"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 4e6
    record = model.record
    assert "CC0" in record["credits"]
    assert "grass" in record["credits"]
    assert record["license"].startswith("Apache-2.0")
    assert record["training"]["perceptual"] == "effnet"
    assert any("creps train --tile" in phase["command"] for phase in record["training"]["phases"])
