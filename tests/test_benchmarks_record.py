"""Records say what they come from, and the documents say what the records say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import record
from benchmarks.record import Record

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").iterdir())
PICTURES = {"other real": "floor_", "`portraits`": "", "enlarged": "enlarged_"}
"""How a row of the front page's table names its pictures, and how metrics in the record do."""


def rows_of(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    return [json.loads(each) for each in (text.splitlines() if path.suffix == ".jsonl" else [text])]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_records_are_made_by_a_benchmark_from_committed_code(path: Path) -> None:
    for row in rows_of(path):
        if row.get("format") != "creps evaluation":
            assert (BENCHMARKS / f"{row['benchmark']}.py").is_file()
        assert "-dirty" not in row.get("commit", "")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_records_are_quoted_by_a_document(path: Path) -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    assert any(f"benchmarks/results/{path.name}" in each.read_text("utf-8") for each in documents)


def test_every_script_is_on_the_page() -> None:
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in BENCHMARKS.glob("*.py") if path.name not in page] == []


def test_rows_are_printed_and_kept_with_their_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record, "_commit", lambda: ("abc1234", ""))
    kept = tmp_path / "rows.jsonl"
    written = [Record("render", kept).write({"size": size}) for size in (8, 9)]
    assert rows_of(kept) == written
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == written
    assert written[1].items() >= {"benchmark": "render", "size": 9, "commit": "abc1234"}.items()


def test_code_that_no_commit_has_is_measured_but_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "_commit", lambda: ("abc1234", "src/creps/files.py"))
    with pytest.raises(SystemExit, match=r"rows.jsonl: .* commit src/creps/files.py, or leave"):
        Record("render", tmp_path / "rows.jsonl")
    assert Record("render").write({})["commit"] == "abc1234-dirty"


def quality_table() -> list[dict[str, str]]:
    """The rows of the table of metrics on the front page."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    head, rows = re.findall(r"^(\| pictures \|.*)\n\|[-|]+\n((?:\|.*\n)+)", text, re.M)[0]
    names, *cells = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in (head, *rows.splitlines())
    )
    return [dict(zip(names, row, strict=True)) for row in cells]


def test_the_front_page_shows_the_distances_of_the_record() -> None:
    (evaluation,) = rows_of(BENCHMARKS / "results/evaluate-portraits.json")
    shown: set[str] = set()
    for row in quality_table():
        size = row["size"].removesuffix(" px")
        (kind,) = (key for name, key in PICTURES.items() if name in row["pictures"])
        for column, value in row.items():
            if column not in ("pictures", "size"):
                name = column.strip("`").removesuffix("_portraits")
                key = f"{kind}{name}_portraits@{size}"
                digits = len(value.partition(".")[2])
                assert abs(float(value) - evaluation["values"][key]) <= 0.5001 * 10**-digits, key
                shown.add(key)
    measured = {key for key in evaluation["values"] if "_portraits@" in key}
    assert shown == {key for key in measured if not key.endswith("@32")}


def test_the_page_of_metrics_shows_the_record_of_patches() -> None:
    names = {
        "floor": "other real portraits",
        "model": "`portraits`",
        "enlarged": "its 64 px pictures, enlarged (Lanczos)",
    }
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    for row in rows_of(BENCHMARKS / "results/patches.jsonl"):
        numbers = f"{row['swd']:.4f} | {row['detail']:.4f} | {row['spectrum_db']:.1f}"
        line = f"| {names[row['kind']]} | {row['size']:,} px | {numbers} | {row['tail_db']:.1f} |"
        assert line in page


def test_the_page_of_performance_shows_the_record_of_antialiasing() -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    for row in rows_of(BENCHMARKS / "results/antialias.jsonl"):
        numbers = f"{row['plain']} dB | {row['auto']} dB | {row['times']:.2g}"
        assert f"| {row['size']} px | {numbers} |" in page
