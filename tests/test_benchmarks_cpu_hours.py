"""Quality over CPU hours: recipes are valid, kept models are judged again, the page shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from creps.checkpoints import save
from creps.networks.base import build_generator
from smooth_model import CONFIG

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/results"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_every_recipe_is_a_run_of_its_length() -> None:
    import cpu_hours

    for name in cpu_hours.RECIPES:
        config = cpu_hours.settings(name, 1600, 3, classes=5)
        assert (config.images, config.seed, config.data.zoom) == (1600, 3, 2), name
        assert config.anneal.images in (0, 1600), name
        told = (name in ("half-labels", "half-latents")) * 5
        assert config.generator.label_dim == config.discriminator.label_dim == told, name


def test_the_distance_of_patches_grows_with_what_is_done_to_pictures() -> None:
    from cpu_hours import sliced_wasserstein

    random = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 200, (20, 3, 32, 32), generator=random).to(torch.uint8)
    apart = [sliced_wasserstein(pictures, pictures + each) for each in (0, 5, 20)]
    assert apart[0] == 0
    assert 0 < apart[1] < apart[2]


def test_kept_models_are_judged_again_and_keep_what_trained_them(tmp_path: Path) -> None:
    import cpu_hours
    from record import Record

    model = build_generator("creps", CONFIG)
    save(model, tmp_path / "today-1/model-0000160")
    trained = {
        "recipe": "today",
        "seed": 1,
        "minutes": 0.5,
        "budget_minutes": 1,
        "images": 160,
        "images_per_cpu_second": 5.3,
        "swd": 9,
        "commit": "abc",
    }
    lines = [trained, trained | {"seed": 2}, trained | {"recipe": "narrow"}]
    (tmp_path / "cpu-hours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    record = Record("cpu_hours")
    record.out = tmp_path / "judged.jsonl"  # which refuses to keep what is of no commit
    real = cpu_hours.Reference.of(images, "portraits")
    cpu_hours.judge_again("today", tmp_path, real=real, seed=1, record=record)
    (row,) = [json.loads(line) for line in record.out.read_text().splitlines()]
    assert row["trained_by"] == "abc"
    assert row["minutes"] == 0.5
    assert row["fd_portraits"] > 0
    assert row["size"] == 32
    assert row["swd"] != 9


@pytest.mark.parametrize(
    "name", ["cpu-hours", "cpu-hours-capacity", "cpu-hours-portraits", "cpu-hours-earth"]
)
def test_the_page_shows_the_committed_records(name: str) -> None:
    import cpu_hours_table

    groups = cpu_hours_table.read(RESULTS / f"{name}.jsonl")
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert cpu_hours_table.markdown(groups) in page
    assert len({row["budget_minutes"] for rows in groups.values() for row in rows}) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [("cpu-hours", None), ("cpu-hours-portraits", ["today", "moments-half"])],
)
def test_the_charts_are_those_of_the_committed_records(name: str, shown: list[str] | None) -> None:
    import cpu_hours_table

    groups = cpu_hours_table.read(RESULTS / f"{name}.jsonl")
    drawn = (ROOT / f"docs/images/{name}.svg").read_text(encoding="utf-8")
    assert drawn == cpu_hours_table.chart(groups, shown or list(cpu_hours_table.SHOWN))


def test_samples_of_recipes_lie_below_each_other(tmp_path: Path) -> None:
    import cpu_hours_table
    from PIL import Image

    names, time = ("projected-light", "today", "narrow"), {"minutes": 10, "budget_minutes": 10}
    groups = {(name, 0): [{"images": k, **time}] for k, name in enumerate(names, 7)}
    groups["narrow", 0][0]["minutes"] = 3  # stopped
    for (name, _), rows in groups.items():
        (tmp_path / f"{name}-0").mkdir()
        gray = 10 * rows[0]["images"]
        Image.new("RGB", (24, 4), (gray,) * 3).save(
            tmp_path / f"{name}-0" / f"{rows[0]['images']:07d}.png"
        )
    whole = cpu_hours_table.sheets(groups, tmp_path)
    assert whole.size == (24, 8 + cpu_hours_table.GAP)
    assert whole.getpixel((0, 0)) == (80, 80, 80)  # today's come first
    assert whole.getpixel((23, whole.height - 1)) == (70, 70, 70)
