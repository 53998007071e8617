"""Thousands of damaged files of a kind, read by processes under limits, and a count of the ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creps.errors import CrepsError
from faults.child import mutant
from faults.kinds import kind_named

MEGABYTES, SECONDS = 1536, 5
FINE = ("opened", "refused")
FAULTS = ("traceback", "hang", "memory", "crash", "control", "code", "noise", "long")
"""Ends that must not be: the last ones are warnings between, and messages of more than a line."""
AT_ONCE = 1000
"""Files that a process reads."""
WAIT = 60
"""Times the processor seconds of a file after which a process that only waits is ended."""


@dataclass
class Tally:
    """How the files of a kind ended.

    Attributes:
        ends: by verdict.
        faults: (number, verdict, text) of those that must not be.
    """

    kind: str
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, number: int, verdict: str, text: str) -> None:
        """Count one."""
        self.ends[verdict] += 1
        if verdict not in FINE:
            self.faults.append((number, verdict, text))


def try_mutants(
    name: str,
    *,
    count: int,
    seed: int = 0,
    first: int = 0,
    megabytes: int = MEGABYTES,
    seconds: int = SECONDS,
) -> Tally:
    """Damage valid files of a kind, let processes read them, and count how that ended.

    Raises:
        CrepsError: if a valid file is not read.
    """
    tally, number = Tally(name), first
    last = first + count
    while number < last:
        number = _try_some(tally, number, min(AT_ONCE, last - number), seed, megabytes, seconds)
    return tally


def _try_some(tally: Tally, first: int, count: int, seed: int, megabytes: int, seconds: int) -> int:
    """Run one process; the number of the file that the next one begins with."""
    with tempfile.TemporaryDirectory(prefix="creps-faults-") as place:
        folder, results = Path(place) / "files", Path(place) / "results.jsonl"
        folder.mkdir()
        limits = map(str, (first, count, seed, megabytes, seconds))
        command = [
            sys.executable,
            "-m",
            "faults.child",
            tally.kind,
            *map(str, (folder, results)),
            *limits,
        ]
        quiet = {**os.environ, "TMPDIR": str(folder), "CREPS_CACHE": str(folder / "cache")}
        try:
            done = subprocess.run(
                command, stderr=subprocess.PIPE, timeout=WAIT * seconds + count, env=quiet
            )
            code, said = done.returncode, done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            code, said = -signal.SIGPROF, ""
        text = results.read_text(encoding="utf-8") if results.exists() else ""
    began: int | None = None
    for line in map(json.loads, text.splitlines()):
        if "invalid" in line:
            raise CrepsError(f"{tally.kind}: a valid {line['invalid']} ended as {line}")
        if "began" in line:
            began = line["began"]
        else:
            tally.add(line["number"], line["verdict"], line["text"])
            began = None
    if began is None:
        if code:
            raise CrepsError(f"{tally.kind}: the process ended with {code}: {said[-500:]}")
        return first + count
    tally.add(began, "hang" if -code == signal.SIGPROF else "crash", f"ended with {code}")
    return began + 1


def write_mutant(name: str, number: int, seed: int, folder: Path) -> Path:
    """Make one damaged file again, among the files it belongs to; what the program is given."""
    kind = kind_named(name)
    folder.mkdir(parents=True, exist_ok=True)
    seeds = kind.seeds(folder)
    contents = [each.file.read_bytes() for each in seeds]
    which, content = mutant(kind, contents, number, seed)
    seeds[which].file.write_bytes(content)
    return seeds[which].given


def as_row(tally: Tally) -> dict[str, Any]:
    """The counts of a kind as a JSON object."""
    counts = {end: tally.ends[end] for end in (*FINE, *FAULTS)}
    return {"kind": tally.kind, "files": sum(tally.ends.values()), **counts}
