"""How the judge was trained: its damages, its losses, a training of a few steps, its table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("dicebear")
pytest.importorskip("resvg_py")

from creps.metrics._reader import DAMAGES, SIDE, PortraitReader
from creps.metrics._real_images import Portraits
from reproduce.judge import damages, page, training
from reproduce.judge.training import (
    bent,
    blurred,
    damaged,
    drawn,
    loss_of,
    main,
    truth_of,
)

ROOT = Path(__file__).parent.parent
JUDGED = ROOT / "benchmarks/results/evaluate-portraits.json"
METRICS_PAGE = ROOT / "docs/metrics.md"


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Four portraits (4, 3, SIDE, SIDE), 0 to 255."""
    real = Portraits(seed=training.FAMILY)
    found = [real.picture(number, (SIDE, SIDE)) for number in range(4)]
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float()


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_mirroring_twice_is_nothing_and_once_moves_places_across() -> None:
    truth = truth_of(6)
    all_of_them = torch.ones(6, dtype=torch.bool)
    other = truth.flipped(all_of_them)
    torch.testing.assert_close(other.places[:, :, 1], 1 - truth.places[:, :, 1])
    torch.testing.assert_close(other.places[:, :, 3], -truth.places[:, :, 3])
    assert torch.equal(other.mirrored, 1 - truth.mirrored)
    for before, after in zip(truth, other.flipped(all_of_them), strict=True):
        torch.testing.assert_close(after, before, equal_nan=True)
    assert torch.equal(truth.flipped(~all_of_them).places, truth.places)


def test_damages_depend_on_the_generator_alone_and_are_told(pictures: torch.Tensor) -> None:
    truth = truth_of(4)
    first, again = (damaged(pictures.clone(), truth, random()) for _ in range(2))
    assert torch.equal(first.pictures, again.pictures)
    assert first.pictures.shape == (4, 3, SIDE, SIDE)
    assert first.pictures.abs().max() <= 1
    assert first.damages.shape == (4, len(DAMAGES))
    many = [damaged(pictures.clone(), truth, random(seed)) for seed in range(30)]
    strengths = torch.cat([batch.damages for batch in many])
    assert bool((strengths >= 0).all())
    assert bool(((strengths > 0).float().mean(0) > 0.05).all())  # each happens
    clear = torch.cat([batch.clear for batch in many])
    assert bool(((clear < 1) == (strengths[:, -1] > 2 / 4)).all())  # bent ones alone


def test_pictures_that_are_not_damaged_come_through_unchanged(pictures: torch.Tensor) -> None:
    for seed in range(200):
        batch = damaged(pictures.clone(), truth_of(4), random(seed))
        plain = (batch.damages == 0).all(1)
        for row in plain.nonzero()[:, 0].tolist():
            shown = (batch.pictures[row] + 1) * 127.5
            ways = [pictures[row], pictures[row].flip(2)]
            assert min(float((shown - way).abs().max()) for way in ways) < 0.01
        if plain.any():
            return
    pytest.fail("no picture was left alone")


def test_blurring_keeps_means_and_widens_a_dot() -> None:
    dot = torch.zeros(1, 1, 21, 33)
    dot[0, 0, 10, 16] = 1
    soft = blurred(dot, 1.5)
    assert float(soft.sum()) == pytest.approx(1, abs=1e-5)
    ys = torch.arange(21.0) - 10
    assert float((soft.sum(3)[0, 0] * ys**2).sum()) == pytest.approx(1.5**2, rel=0.02)
    assert torch.equal(blurred(dot, 0), dot)


def test_bending_by_nothing_is_nothing_and_by_more_is_more(pictures: torch.Tensor) -> None:
    found = [bent(pictures, torch.full((4,), by), random()) for by in (0.0, 1.0, 3.0)]
    torch.testing.assert_close(found[0], pictures, atol=0.05, rtol=0)
    apart = [float((each - pictures).abs().mean()) for each in found]
    assert apart == sorted(apart)
    assert apart[1] > 1


def test_unknown_irises_and_bent_places_do_not_count(pictures: torch.Tensor) -> None:
    torch.manual_seed(0)
    reader, truth = PortraitReader().eval().requires_grad_(False), truth_of(4)
    batch = damaged(pictures.clone(), truth, random(3))
    assert math.isfinite(float(loss_of(reader, batch)))
    hidden = batch._replace(damages=batch.damages.clone().index_fill_(1, torch.tensor([4]), 2.0))
    moved = truth._replace(places=truth.places + 100)
    assert float(loss_of(reader, hidden)) == pytest.approx(
        float(loss_of(reader, hidden._replace(truth=moved)))
    )


@pytest.mark.slow
def test_the_script_draws_trains_and_writes_what_ships(tmp_path: Path) -> None:
    known = drawn(tmp_path / "pictures.npy", 12)
    assert np.array_equal(known[5], Portraits(seed=training.FAMILY).picture(5, (SIDE, SIDE)))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pictures.npy").hardlink_to(tmp_path / "pictures.npy")
        main(out=tmp_path / name, count=8, held_out=4, images=128, seed=1)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second")]
    assert weights[0] == weights[1]
    record = json.loads((tmp_path / "first" / "record.json").read_text())
    assert record["images"] == 128
    assert set(record["right"]) == {"32", "64", "128"}
    assert 0 <= record["off"]["64"]["color of hair"] <= 255


def test_each_damage_is_made_of_the_number_alone_and_grows() -> None:
    size, number = (40, 40), 1_000_003
    whole = damages.plain(number, size).astype(int)
    for kind, damage in damages.DAMAGES.items():
        assert list(damage.strengths) == sorted(damage.strengths)
        spoilt = damage.picture(number, size, damage.strengths[-1])
        damages.plain.cache_clear()
        assert np.array_equal(spoilt, damage.picture(number, size, damage.strengths[-1])), kind
        assert spoilt.shape == (*size, 3)
        if kind != "one hair":  # which this one may have
            assert np.abs(spoilt.astype(int) - whole).mean() > 1, kind


def test_features_of_damages_do_not_depend_on_the_chunk() -> None:
    measured = damages.DamagedFeatures(size=(32, 32), first=1_000_000)
    together, alone = measured.run(0, 3), measured.run(2, 1)
    assert len(together) == sum(len(each.strengths) for each in damages.DAMAGES.values())
    for name, column in together.items():
        np.testing.assert_allclose(column[2:], alone[name], rtol=1e-3, atol=1e-3)


def test_the_page_shows_what_the_judge_says_of_the_packaged_model() -> None:
    record = json.loads(JUDGED.read_text(encoding="utf-8"))
    text = METRICS_PAGE.read_text(encoding="utf-8")
    assert page.distances(record) in text
    assert page.attributes(record) in text
    assert f"--n {record['protocol']['n']} --out RECORD.json" in text


def test_other_records_are_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty.json").touch()
    others = [tmp_path / "empty.json", tmp_path / "none.json", ROOT / "constraints.txt"]
    for path in others:
        with pytest.raises(SystemExit, match=f"{path.name} is not a record of fd, pr and"):
            page.main(path)


def test_the_table_has_a_line_for_each_set() -> None:
    row = {"damage": "blur", "strength": 0.5} | dict.fromkeys(damages.NUMBERS, 0.25)
    lines = damages.markdown([row, row | {"strength": 0}]).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| blur | 0.5 | 0.25 |")
    assert lines[3].startswith("| blur |  | 0.25 |")
