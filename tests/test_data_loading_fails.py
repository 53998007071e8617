"""Loading processes that fail end in one line, at once, and leave nothing running."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import Dataset
from torch.utils.data._utils import signal_handling

from creps.data._loading import load_samples
from creps.errors import DataError
from training_pictures import draw_pictures

pytestmark = pytest.mark.slow


class Failing(Dataset[Any]):
    """Ten good samples, then something happens in the process that loads them."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self.happens = happens

    def __getitem__(self, index: int) -> int:
        if index >= 10:
            self.happens()
        return index


def unreadable() -> None:
    raise DataError("a.png: cannot be read")


def surprise() -> None:
    raise ZeroDivisionError("one line\nand another")


def full() -> None:
    raise RuntimeError("unable to allocate shared memory(shm) for file </x>: No space left")


def ended(number: int) -> Callable[[], object]:
    """The process ends by a signal, as the system ends one."""

    return lambda: os.kill(os.getpid(), number)


CASES = {
    "a picture": (unreadable, r"^a\.png: cannot be read$"),
    "a surprise": (surprise, r"^a loading process failed: one line$"),
    "no shared memory": (full, r"shared memory is full: give more .*data\.workers=0"),
    "a bus error": (ended(signal.SIGBUS), r"lost: shared memory is full: .*data\.workers=0"),
    "a kill": (ended(signal.SIGKILL), r"lost: it was killed, perhaps for want of memory"),
    "an exit": (lambda: os._exit(3), r"lost: its exit code is 3"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("workers", [1, 2])
def test_failures_are_one_line_and_leave_no_process(case: Any, workers: int) -> None:
    happens, message = case
    batches = load_samples(Failing(happens), iter([[0, 1], [2, 3], [10]]), workers=workers)
    with pytest.raises(DataError, match=message) as failed:
        list(batches)
    assert "\n" not in str(failed.value)
    assert multiprocessing.active_children() == []


def test_a_process_lost_at_once_is_lost_no_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may turn back to the first loader of a program after its process is gone."""
    known = multiprocessing.active_children

    def slowly() -> Any:
        time.sleep(2 if known() else 0)
        return known()

    monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", False)
    monkeypatch.setattr(multiprocessing, "active_children", slowly)
    with pytest.raises(DataError, match="shared memory is full"):
        list(load_samples(Failing(ended(signal.SIGBUS)), iter([[10]]), workers=1))
    assert known() == []


def test_leaving_early_ends_the_processes() -> None:
    with closing(load_samples(Failing(unreadable), repeat([0, 1]), workers=2)) as batches:
        assert next(batches).tolist() == [0, 1]
        assert len(multiprocessing.active_children()) == 2
    assert multiprocessing.active_children() == []


def test_samples_are_those_of_one_process() -> None:
    order = [[0, 1], [2, 3], [9]]
    alone, spread = (
        [batch.tolist() for batch in load_samples(Failing(full), iter(order), workers=workers)]
        for workers in (0, 2)
    )
    assert alone == spread == order


TRAIN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from training_pictures import tiny
from creps.training import train
from creps.training._run import Callback

class Breaks(Callback):
    def after_step(self, run, stats):
        if run.state.step == 3:
            {breaks}
try:
    loading = "data.workers=1", "data.cache_megabytes=0"  # kept pictures need no folder
    train({data!r}, {out!r}, tiny(*loading, "images=4000", "snapshot_every=1000"),
        callbacks=[Breaks()])
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}")
    raise SystemExit(1)
"""


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        ("__import__('shutil').rmtree({data!r})", "none of 10 images can be decoded"),
        (
            "import multiprocessing as m; [p.kill() for p in m.active_children()]",
            "DataError: a loading process was lost",
        ),
    ],
    ids=["vanished folder", "killed process"],
)
def test_a_run_whose_loading_fails_ends_with_a_snapshot(
    tmp_path: Path, breaks: str, words: str
) -> None:
    data, out = draw_pictures(tmp_path / "data"), tmp_path / "run"
    code = TRAIN.format(
        tests=str(Path(__file__).parent),
        data=str(data),
        out=str(out),
        breaks=breaks.format(data=str(data)),
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    assert re.search(words, ran.stdout.splitlines()[-1]), ran.stdout
    assert "Traceback" not in ran.stderr
    assert len(list((out / "snapshots").glob("*.safetensors"))) == 1


def test_a_seed_that_cannot_be_drawn_from_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    data = draw_pictures(tmp_path / "data")
    for seed in ("-1", "12345678901234567890"):
        ran = subprocess.run(
            [sys.executable, "-m", "creps", "train", "--data", str(data), "--preset", "smoke",
             "--out", str(tmp_path / "run"), "--seed", seed],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 2
        assert f"seed {seed}: expected a whole number" in ran.stderr
        assert ran.stderr.count("\n") == 1
        assert not (tmp_path / "run").exists()
    shutil.rmtree(data)
