"""The benchmark of a training step times every phase that a run has, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from creps.metrics._extractors import has_effnet
from creps.training import preset
from training_pictures import tiny

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
needs_features = pytest.mark.skipif(not has_effnet(), reason="needs the extra metrics")
PROJECTED = ["projected.weight=0.1", "projected.side=32", "discriminator_kind=placed"]
TEXTURES = [
    *("resolution=16", "generator.resolution=32", "generator.features=16", "generator.z_dim=8"),
    *("generator.w_dim=8", "generator.widths=[16,16]", "discriminator.resolution=16"),
]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize(
    ("changes", "phases", "plain"),
    [
        ([], {"generator", "discriminator", "penalties"}, True),
        pytest.param(
            PROJECTED,
            {"generator", "discriminator", "projected", "penalties"},
            False,
            marks=needs_features,
        ),
        (["loss.r1_gamma=0", "loss.r2_gamma=0"], {"generator", "discriminator"}, False),
    ],
)
def test_each_phase_of_a_run_has_its_share(
    changes: list[str], phases: set[str], plain: bool
) -> None:
    import train_step

    measured = train_step.measure(tiny(*changes), "cpu", steps=2, plain=plain)
    shares = measured["share"]
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    assert {name for name, share in shares.items() if share > 0} - {"data", "average"} == phases
    assert measured["images_per_s"] > 0
    assert ("times_plain" in measured) is plain


@needs_features
def test_a_run_without_a_discriminator_is_measured_too() -> None:
    import train_step

    config = preset("texture-64", *TEXTURES)
    measured = train_step.measure(config, "cpu", steps=2, plain=False)
    assert measured["share"]["generator"] > 0
    assert measured["share"]["discriminator"] == 0
