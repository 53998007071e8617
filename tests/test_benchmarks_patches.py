"""Parts of large portraits: a blur is seen, and all kinds show the same places."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import creps

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_a_blur_costs_detail_and_spectrum() -> None:
    from patches import distances

    random = torch.Generator().manual_seed(1)
    fine = torch.randint(0, 256, (8, 3, 64, 64), generator=random).to(torch.uint8)
    soft = [F.avg_pool2d(fine.float(), side, 1, side // 2).to(torch.uint8) for side in (3, 5)]
    none, some, more = (distances(each, fine) for each in (fine, *soft))
    assert none == {"swd": 0, "detail": 0, "spectrum_db": 0, "tail_db": 0}
    assert 0 < some["detail"] < more["detail"]
    assert 0 > some["tail_db"] > more["tail_db"]


def test_kinds_show_the_same_places_of_one_size() -> None:
    from patches import windows

    kinds = windows(creps.load("portraits"), 96, 3)
    assert {name: tuple(each.shape) for name, each in kinds.items()} == dict.fromkeys(
        ("real", "floor", "model", "enlarged"), (3, 3, 64, 64)
    )
    made, enlarged = (kinds[name].float() for name in ("model", "enlarged"))
    assert (made - enlarged).abs().mean() < 6  # the same part of the same person
    assert (made - enlarged.roll(1, 0)).abs().mean() > 20
