"""Jobs that are killed (SIGKILL) again and again, and end as if they never had been."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from creps.errors import CrepsError, UsageError, nearest
from faults.runs import TINY, draw_pictures

LONGEST = 600.0
"""Seconds that one try of a job may take."""
ORPHANS = 20.0
"""Seconds after which processes that a killed one had started must be gone."""
TRIES = 40
"""Tries of one job, at most: kills that come before any work is done do not count against it."""


@dataclass(frozen=True)
class Job:
    """What is killed.

    Attributes:
        words: of the command, for the folder it works in and a number that makes it another job.
        began: whether there is something to lose yet, in that folder.
        result: content of all files that must be the same, by name.
    """

    words: Callable[[Path, int], Sequence[str]]
    began: Callable[[Path], bool]
    result: Callable[[Path], dict[str, str]]


@dataclass
class KillTally:
    """How the jobs of a kind ended.

    Attributes:
        kills: processes killed while they worked.
        jobs: finished, each killed several times.
        faults: what must not be, in words.
    """

    kind: str
    kills: int = 0
    jobs: int = 0
    faults: list[str] = field(default_factory=list)

    def as_row(self) -> dict[str, Any]:
        """The counts as a JSON object."""
        return {
            "kind": self.kind,
            "kills": self.kills,
            "jobs": self.jobs,
            "faults": len(self.faults),
        }


def _picture(suffix: str) -> Job:
    def words(place: Path, number: int) -> list[str]:
        out = place / f"picture.{suffix}"
        return ["render", "--seed", str(number), "--size", "2100x2300", "--out", str(out)]

    def began(place: Path) -> bool:
        return any(place.glob("picture.*.part/*.chunks"))

    return Job(words, began, lambda place: _contents(place, "."))


def _training(preset: str, *changes: str) -> Job:
    settings = ["batch=4", "images=96", "log_every=1", "snapshot_every=2", *changes]

    def words(place: Path, number: int) -> list[str]:
        pictures = place / "pictures"
        if not pictures.exists():
            draw_pictures(pictures)
        where = ["--data", str(pictures), "--out", str(place / "run"), "--preset", preset]
        options = [word for setting in settings for word in ("--set", setting)]
        return ["train", *where, "--seed", str(number), "--device", "cpu", *options]

    def began(place: Path) -> bool:
        return any((place / "run" / "snapshots").glob("step-*"))

    return Job(words, began, lambda place: _contents(place, "run/model", "run/snapshots"))


FAMILIES = ("cips", "stylegan2", "stylegan3", "scaleparty", "anyres")
"""Whose trainings are killed too."""

JOBS: dict[str, Job] = {
    **{suffix: _picture(suffix) for suffix in ("zarr", "dzi", "tif", "png", "jpg")},
    "train": _training("smoke", *TINY, "images=160", "data.workers=2"),
    "train-ada": _training("smoke", *TINY, "images=160", "augment.kind=ada"),
    **{f"train-{name}": _training(f"{name}-smoke", "data.workers=0") for name in FAMILIES},
}


def kill_jobs(kind: str, *, count: int, seed: int = 0) -> KillTally:
    """Kill jobs of a kind `count` times while they work; what they make is compared each time.

    Raises:
        UsageError: for an unknown kind.
        CrepsError: if a job that nobody kills fails.
    """
    if kind not in JOBS:
        raise UsageError(f"unknown kind {kind!r}: {nearest(kind, JOBS)}")
    job, tally, random = JOBS[kind], KillTally(kind), Random(f"{kind} {seed}")
    while tally.kills < count and not tally.faults:
        with tempfile.TemporaryDirectory(prefix="creps-kills-") as folder:
            _one_job(job, tally, random, Path(folder), count)
    return tally


def _one_job(job: Job, tally: KillTally, random: Random, folder: Path, count: int) -> None:
    """One job without kills, and the same one with them."""
    whole, killed = folder / "whole", folder / "killed"
    whole.mkdir()
    killed.mkdir()
    number = tally.jobs + 1
    began = time.monotonic()
    first: list[float] = []
    process = _start(job.words(whole, number))
    while process.poll() is None:
        if not first and job.began(whole):
            first.append(time.monotonic() - began)
        time.sleep(0.02)
    if process.returncode:
        raise CrepsError(f"{tally.kind}: a job that nobody killed ended with {process.returncode}")
    work = max(time.monotonic() - began - (first[0] if first else 0.0), 0.2)
    for _ in range(TRIES):
        left = count - tally.kills
        process = _start(job.words(killed, number))
        if left > 0 and _kill_at(process, lambda: job.began(killed), random.uniform(0, work / 3)):
            tally.kills += 1
            tally.faults += _still_running(killed)
            continue
        code = process.wait(LONGEST)
        if code:
            tally.faults.append(f"the command ended with {code} after {tally.kills} kills")
        break
    else:
        tally.faults.append(f"not finished after {TRIES} tries")
    tally.jobs += 1
    tally.faults += _differences(job.result(whole), job.result(killed))
    tally.faults += _left_behind(killed)
    tally.faults += _repeated_steps(killed / "run" / "log.jsonl")
    again = _start(job.words(killed, number)).wait(LONGEST)
    if again:
        tally.faults.append(f"the same command after the end ended with {again}")


def _start(words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "creps", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill_at(process: subprocess.Popen[bytes], begun: Callable[[], bool], seconds: float) -> bool:
    """Kill a process some time after its work began; False if it ended before."""
    while not begun():
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -signal.SIGKILL


def _contents(place: Path, *names: str) -> dict[str, str]:
    """Digests of all files in some folders, by name; not of hidden ones, nor of training sets."""
    found = {}
    for name in names:
        for path in sorted((place / name).rglob("*")):
            relative = path.relative_to(place)
            if path.is_file() and not any(part.startswith(".") for part in relative.parts):
                found[str(relative)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return {name: digest for name, digest in found.items() if not name.startswith("pictures")}


def _differences(whole: dict[str, str], killed: dict[str, str]) -> list[str]:
    names = sorted(name for name in {*whole, *killed} if whole.get(name) != killed.get(name))
    return [f"{len(names)} files differ, such as {names[0]}"] if names else []


def _left_behind(place: Path) -> list[str]:
    """Temporary files after the end; locks are empty and may stay."""
    left = [path for path in place.rglob(".*") if not path.name.endswith(".lock")]
    left += list(place.glob("*.part"))
    return [f"{path.name} is left behind" for path in left]


def _repeated_steps(log: Path) -> list[str]:
    if not log.exists():
        return []
    steps = [json.loads(line)["step"] for line in log.read_text(encoding="utf-8").splitlines()]
    return [] if steps == sorted(set(steps)) else [f"the log holds steps twice: {steps}"]


def _still_running(folder: Path) -> list[str]:
    """Processes of a killed job that do not end by themselves."""
    patience = time.monotonic() + ORPHANS
    while left := _naming(folder):
        if time.monotonic() > patience:
            return [f"{len(left)} processes outlive the killed one by {ORPHANS:.0f} s"]
        time.sleep(0.1)
    return []


def _naming(folder: Path) -> list[int]:
    """Processes whose command names a folder (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in words and int(entry.parent.name) != os.getpid():
            found.append(int(entry.parent.name))
    return found
