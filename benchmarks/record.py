"""What every benchmark writes: rows that say from which code and on which machine they come."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from creps import __version__

ROOT = Path(__file__).resolve().parent.parent
KEPT = "benchmarks/results"


class Record:
    """Prints rows as JSON lines, and appends them to a file: only of code that is committed."""

    def __init__(self, benchmark: str, out: Path | None = None) -> None:
        """Refuse at once to keep what no commit has.

        Args:
            benchmark: name of the script, without `.py`.
            out: file of the rows; None prints them only.
        Raises:
            SystemExit: if there is a file and the source differs from its commit.
        """
        self.about, self.out = {"benchmark": benchmark}, out
        self.commit, changed = _commit()
        if changed and out is not None:
            raise SystemExit(
                f"{out}: records are of committed code only; commit {changed}, or leave --out out"
            )
        self.commit += "-dirty" if changed else ""

    def write(self, row: dict[str, Any], *, device: str = "cpu") -> dict[str, Any]:
        """Tell a row, with the machine; returns it whole."""
        whole = self.about | row | machine(device) | {"commit": self.commit}
        line = json.dumps(whole)
        print(line, flush=True)
        if self.out is not None:
            with self.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        return whole


def machine(device: str = "cpu") -> dict[str, Any]:
    """Where and with what something is measured, and how busy the machine was before."""
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.startswith("cuda") else {}
    return gpu | {
        "version": __version__,
        "torch": torch.__version__,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
    }


@contextmanager
def earlier_source(commit: str) -> Iterator[Path]:
    """The source of another commit, for PYTHONPATH, in a worktree of its own."""
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "source"
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place / "src"
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def _commit() -> tuple[str, str]:
    """The commit of this source, and the first file that differs from it, results aside."""
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = _git("status", "--porcelain", "--", ".", f":(exclude){KEPT}")
    return commit, changed[3:].splitlines()[0] if changed else ""


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.rstrip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
