"""The frame of `python -m reproduce`: what is made once, what is refused, what is kept."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import reproduce
from creps.config import to_dict
from creps.errors import CrepsError, DataError, UsageError
from creps.metrics import METRICS
from creps.training import preset
from patience import PATIENCE, wait_until
from reproduce import page
from reproduce.__main__ import app
from reproduce.catalogue import EXPERIMENTS
from reproduce.chance import repeats
from reproduce.experiment import Comparison, Experiment, Figure, Result, Table, by_column, by_row
from reproduce.results import cell_text, read_result, tables_of, write_result
from reproduce.runner import Runner, is_finished, run_command
from reproduce.specs import BUDGETS, Dataset, Model, Training, budget_named

RUN = CliRunner()
DATA = {"name": "faces.zip", "count": 100, "fingerprint": "0" * 64}
ROOT = Path(__file__).resolve().parent.parent
FACES = Dataset(name="faces", paper="FFHQ", command=("portraits", "--size", "32"), count=100)
MODEL = Model(
    name="tiny",
    data=FACES,
    small=Training(preset="smoke", images=320, settings=("batch=8",)),
    paper=Training(preset="paper-512"),
)
NEXT = Model(
    name="next",
    data=FACES,
    small=Training(preset="small-32-zoom"),
    paper=Training(preset="paper-512"),
    start=MODEL,
)


class Bench:
    """Runs no command, but leaves behind what it would."""

    def __init__(self, *, code: int = 0, done: float = 1.0) -> None:
        self.calls: list[list[str]] = []
        self.code, self.done = code, done

    def __call__(self, arguments: Sequence[str]) -> int:
        self.calls.append(list(arguments))
        out = Path(arguments[arguments.index("--out") + 1])
        if arguments[0] == "data":
            out.write_bytes(b"")
        elif self.code == 0:
            config = preset(arguments[arguments.index("--preset") + 1])
            if "--images" in arguments:
                images = int(arguments[arguments.index("--images") + 1])
                config = replace(config, images=images)
            (out / "snapshots").mkdir(parents=True, exist_ok=True)
            (out / "config.json").write_text(json.dumps({"train": to_dict(config), "data": DATA}))
            step = round(config.steps * self.done)
            (out / f"snapshots/step-{step:09d}.safetensors").touch()
        return self.code


def shop(folder: Path, bench: Bench, *, budget: str = "small", **given: Path) -> Runner:
    return Runner(folder, budget_named(budget), data=given, run=bench, say=lambda line: None)


def test_a_model_is_trained_once_from_pictures_that_are_made_once(tmp_path: Path) -> None:
    bench = Bench()
    first = shop(tmp_path, bench)
    assert first.model(MODEL) == str(tmp_path / "small/models/tiny/model")
    pictures, run = str(tmp_path / "small/data/faces.zip"), str(tmp_path / "small/models/tiny")
    assert [" ".join(call) for call in bench.calls] == [
        f"data portraits --size 32 --count 100 --out {pictures}",
        f"train --preset smoke --data {pictures} --out {run} --images 320 --set batch=8",
    ]
    assert first.commands[0] == "creps data portraits --size 32 --count 100 --out data/faces.zip"
    second = shop(tmp_path, bench)
    second.model(MODEL)
    assert len(bench.calls) == 2
    assert set(second.reused) == {"tiny", "faces"}
    assert second.commands == first.commands  # all that it takes, also where nothing is run


def test_models_are_trained_and_measured_on_the_device_asked_for(tmp_path: Path) -> None:
    bench = Bench()
    shop(tmp_path / "auto", bench).model(MODEL)
    there = Runner(
        tmp_path / "cpu", budget_named("small"), device="cpu:0", run=bench, say=lambda line: None
    )
    there.model(MODEL)
    asked = [call[call.index("--device") + 1 :] for call in bench.calls if "--device" in call]
    assert asked == [["cpu:0"]]
    assert there.extractor.device == "cpu:0"
    packaged = replace(MODEL, name="x", small="portraits")
    assert there.ref(packaged).device == "cpu:0"
    with pytest.raises(UsageError, match="device cuda:99: not here"):
        Runner(tmp_path / "none", budget_named("small"), device="cuda:99")
    made = RUN.invoke(app, ["creps-table-2", "--device", "cuda:99", "--out", str(tmp_path / "no")])
    assert isinstance(made.exception, UsageError)
    assert not (tmp_path / "no").exists()


def test_a_model_that_goes_on_from_another_trains_that_first(tmp_path: Path) -> None:
    bench = Bench()
    shop(tmp_path, bench).model(NEXT)
    trained = [call for call in bench.calls if call[0] == "train"]
    assert [call[call.index("--preset") + 1] for call in trained] == ["smoke", "small-32-zoom"]
    assert trained[1][trained[1].index("--from") + 1] == str(tmp_path / "small/models/tiny")


def test_a_model_that_is_to_be_trained_longer_now_goes_on(tmp_path: Path) -> None:
    bench = Bench()
    shop(tmp_path, bench).model(MODEL)
    assert isinstance(MODEL.small, Training)
    longer = replace(MODEL, small=replace(MODEL.small, images=640))
    again = shop(tmp_path, bench)
    again.model(longer)
    assert "--images 640" in " ".join(bench.calls[-1])
    assert again.reused == ["faces"]


def test_a_finished_model_needs_nothing_that_it_was_made_from(tmp_path: Path) -> None:
    bench = Bench()
    shop(tmp_path, bench).model(NEXT)
    made = len(bench.calls)
    (tmp_path / "small/data/faces.zip").unlink()
    shutil.rmtree(tmp_path / "small/models/tiny")
    again = shop(tmp_path, bench)
    assert again.model(NEXT) == str(tmp_path / "small/models/next/model")
    assert len(bench.calls) == made
    assert again.reused == ["next"]


def test_a_stopped_training_is_an_error_and_goes_on_the_next_time(tmp_path: Path) -> None:
    with pytest.raises(CrepsError, match="training tiny was stopped: the same command resumes"):
        shop(tmp_path, Bench(done=0.5)).model(MODEL)
    assert not is_finished(tmp_path / "small/models/tiny")


def test_a_failed_command_is_named(tmp_path: Path) -> None:
    bench = Bench(code=2)
    with pytest.raises(CrepsError, match=r"`creps data portraits .*` ended with exit code 2"):
        shop(tmp_path, bench).data(FACES)


def test_an_interruption_lets_the_command_save_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, started, saved = tmp_path / "program", tmp_path / "started", tmp_path / "saved"
    program.write_text(
        f"#!/bin/sh\ntrap 'touch {saved}; exit 0' TERM\ntouch {started}\n"
        "while :; do sleep 0.05; done\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    waiting, wait = threading.Event(), subprocess.Popen.wait

    def told(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        waiting.set()
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", told)

    # A shell starts what it puts into the background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        assert waiting.wait(PATIENCE)
        wait_until(started.exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_command(["train"])
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert saved.exists()


def test_the_trial_budget_caps_everything(tmp_path: Path) -> None:
    bench = Bench()
    shop(tmp_path, bench, budget="trial").model(MODEL)
    assert bench.calls[0][bench.calls[0].index("--count") + 1] == "64"
    assert bench.calls[1][bench.calls[1].index("--images") + 1] == "64"


def test_the_papers_budget_asks_for_the_papers_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"needs --data faces=PATH: FFHQ"):
        shop(tmp_path, Bench(), budget="paper").model(MODEL)
    bench = Bench()
    shop(tmp_path, bench, budget="paper", faces=Path("/ffhq")).model(MODEL)
    assert bench.calls[0][:5] == ["train", "--preset", "paper-512", "--data", "/ffhq"]


def test_a_packaged_model_is_taken_as_it_is(tmp_path: Path) -> None:
    packaged = Model(name="x", data=FACES, small="portraits", paper=Training(preset="paper-512"))
    bench = Bench()
    assert shop(tmp_path, bench).model(packaged) == "portraits"
    assert bench.calls == []


def test_a_run_without_snapshots_is_not_finished(tmp_path: Path) -> None:
    assert not is_finished(tmp_path)


def _found(runner: Runner) -> Result:
    return Result(
        tables=(Table(columns=("fd_effnet",), rows={"CREPS": (12.5,), "CIPS": (10.25,)}),),
        figures=(
            Figure(name="gray", caption="Gray.", picture=np.full((8, 12, 3), 99, np.uint8)),
            Figure(name="curve", caption="A curve.", picture="<svg></svg>"),
        ),
        remarks=("A remark.",),
    )


table_99 = Experiment(
    name="creps-table-99",
    title="a test",
    claim="It works.",
    minutes=1,
    differences=("everything",),
    published=Table(columns=("FID",), rows={"CREPS": (4.43,), "CIPS": (6.18,)}),
    compare=by_column,
    run=_found,
)


def written(folder: Path, result: Result, experiment: Experiment = table_99) -> dict[str, Any]:
    runner = shop(folder / "work", Bench())
    write_result(folder, experiment, result, runner=runner, minutes=1.26)
    return read_result(folder / f"{experiment.name}.json")


def test_what_is_found_is_written_and_read_back(tmp_path: Path) -> None:
    result = table_99.run(shop(tmp_path, Bench()))
    record = written(tmp_path, result)
    assert [table.rows for table in tables_of(record)] == [table.rows for table in result.tables]
    assert (record["minutes"], record["command"]) == (
        1.3,
        "python -m reproduce creps-table-99 --budget small",
    )
    assert record["remarks"] == [
        "fd_effnet: the paper's order holds but for CREPS and CIPS.",
        "A remark.",
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "creps-table-99-curve.svg",
        "creps-table-99-gray.webp",
        "creps-table-99.json",
    ]


def test_a_number_that_is_none_does_not_cost_the_result(tmp_path: Path) -> None:
    found = Result(tables=(Table(columns=("FD",), rows={"a": (float("nan"),), "b": (1.0,)}),))
    assert tables_of(written(tmp_path, found))[0].rows == {"a": (None,), "b": (1.0,)}


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(DataError, match="not a result of python -m reproduce"):
        read_result(tmp_path / "x.json")


def test_an_order_is_compared_pair_by_pair() -> None:
    theirs = {"a": 1.0, "b": 2.0, "c": 3.0}

    def said(**ours: float) -> str:
        return Comparison("x", theirs, ours).sentence()

    assert said(a=4, b=5, c=6) == "x: the paper's order holds."
    assert said(a=4, b=6, c=5) == "x: the paper's order holds but for b and c."
    assert said(a=6, b=5, c=4).startswith("x: 3 of 3 pairs are not")
    assert said(a=6, b=5, c=4).endswith("here c < b < a.")
    assert said(a=1) == "x: nothing to compare with the paper's order."
    assert list(Comparison("x", {"a": 1, "b": 1}, {"a": 1, "b": 2}).pairs()) == []


def test_rows_and_columns_go_by_place_and_words_are_left_out() -> None:
    published = Table(columns=("FID", "time"), rows={"a": (1.0, 2.0), "b": (3.0, "OOM")})
    found = Table(columns=("fd", "s", "more"), rows={"x": (5.0, 6.0, 0), "y": (7.0, 8.0, 0)})
    assert by_column(published, found) == [("fd", {"x": 1, "y": 3}, {"x": 5, "y": 7})]
    narrow = Table(columns=("fd", "s"), rows={"x": (5.0, 6.0), "y": (7.0, 8.0)})
    assert by_row(published, narrow) == [("x", {"fd": 1, "s": 2}, {"fd": 5, "s": 6})]


def test_a_table_is_shown_where_half_of_its_pairs_are_apart(tmp_path: Path) -> None:
    chance = Table(columns=("seed 0", "by chance"), rows={"creps": (9.0, 2.0), "cips": (9, 3)})
    written(tmp_path, Result(tables=(chance,)), repeats)
    assert page.chance(tmp_path) == {"creps": 2.0, "cips": 3.0}
    rows = {"CREPS": (12.5,), "CIPS": (10.25,)}
    table = Table(columns=("fd_effnet",), rows=rows)
    assert page.told_apart(table_99, [table], {"creps": 2.0})
    assert not page.told_apart(table_99, [table], {"creps": 2.5})
    assert page.told_apart(table_99, [table], {"creps": 2.5, "creps fd_effnet": 2.0})
    assert page.told_apart(table_99, [replace(table, columns=("seconds",))], {"creps": 2.5})
    shares = Table(columns=("Precision",), rows={"CREPS": (0.5,), "CIPS": (0.52,)})
    assert not page.told_apart(table_99, [shares], {"creps": 2.5})


def test_the_page_shows_a_table_or_says_in_a_line_why_not(tmp_path: Path, monkeypatch) -> None:
    result = table_99.run(shop(tmp_path, Bench()))
    written(tmp_path, result)
    monkeypatch.setattr(page, "EXPERIMENTS", (table_99, replace(table_99, name="creps-fig-98")))
    for least in (2.0, 3.0):
        rows = {"creps": (9.0, least)}
        written(tmp_path, Result(tables=(Table(columns=("seed 0", "range"), rows=rows),)), repeats)
        text = page.page(tmp_path, link="there")
        assert "Not measured here yet: `creps-fig-98`." in text
        assert ("| CREPS | 12.50 |" in text) == (least < 2.25)
        assert ("](there/creps-table-99-gray.webp)" in text) == (least < 2.25)
        assert ("([record](there/creps-table-99.json))" in text) == (least > 2.25)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "–"),
        ("OOM", "OOM"),
        (4.43, "4.43"),
        (0.0512, "0.051"),
        (123.45, "123.5"),
        (70e3, "70,000"),
    ],
)
def test_cells_show_the_digits_they_are_worth(cell: float | str | None, text: str) -> None:
    assert cell_text(cell) == text


def test_a_table_of_uneven_rows_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="2 cells, 1 columns"):
        Table(columns=("a",), rows={"x": (1.0, 2.0)})


def test_budgets_are_found_by_name() -> None:
    assert budget_named("trial") is BUDGETS["trial"]
    with pytest.raises(UsageError, match="unknown budget 'smal'"):
        budget_named("smal")


def test_the_command_lists_and_makes_experiments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = RUN.invoke(app, ["list"])
    assert "creps-table-2" in listed.output
    monkeypatch.setattr("reproduce.catalogue.EXPERIMENTS", (table_99,))
    made = RUN.invoke(app, ["creps-table-99", "--out", str(tmp_path)])
    assert made.exit_code == 0, made.output
    for words in ("4.43", "12.50", "A remark.", "the paper's order", "and its pictures"):
        assert words in made.output
    assert (tmp_path / "small/results/creps-table-99-gray.webp").exists()


@pytest.mark.parametrize("words", ["faces", "faces=", "=x", "faces=/does/not/exist"])
def test_pictures_that_are_not_named_are_refused(words: str, tmp_path: Path) -> None:
    made = RUN.invoke(app, ["creps-table-2", "--data", words, "--out", str(tmp_path / "out")])
    assert isinstance(made.exception, UsageError)
    assert not (tmp_path / "out").exists()


def test_the_page_shows_the_committed_results() -> None:
    shown = page.PAGE.read_text(encoding="utf-8")
    assert shown == page.text(), "python -m reproduce.page"


def test_the_committed_results_are_of_the_small_budget_and_complete() -> None:
    names = {each.name for each in EXPERIMENTS}
    records = [read_result(path) for path in sorted((ROOT / "docs/reproduced").glob("*.json"))]
    assert records
    for record in records:
        assert record["name"] in names
        assert record["command"] == f"python -m reproduce {record['name']} --budget small"
        assert record["tables"] or record["figures"]
        for figure in record["figures"]:
            assert (ROOT / "docs/reproduced" / figure["file"]).exists()


def test_experiments_ask_for_metrics_that_exist() -> None:
    """The names that experiments pass to `Runner.evaluate`: nothing is measured in these tests."""
    asked = set()
    for module in Path(reproduce.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "evaluate":
                asked |= {each.value for each in node.args[2:] if isinstance(each, ast.Constant)}
    assert asked
    assert asked <= set(METRICS)
