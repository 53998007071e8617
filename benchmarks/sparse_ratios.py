"""Sparse evaluation beside exact evaluation: the rows of `render.py` that are ratios.

Both ways are measured in turn in one process, each with what it prepares for itself: lines, tables.
Times are those of the processor, so that other programs disturb them less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import creps
from creps.networks.base import Generator, build_generator
from creps.networks.creps import CREPS_PRESETS
from creps.rendering import Renderer, Tile, View

SQUARE, EVERY = 1024, 16
"""Of very large pictures, every 16th square of 1,024 px is drawn."""
ROUNDS = 3
COMMANDS = {
    "the whole command": ["render", "--size", "16384", "--out", "big.tif", "--overwrite"],
    "demo": ["demo", "--out", "demo"],
}


def sparse(size: int) -> dict[str, Any]:
    """The packaged model at a size."""
    return _ratio(creps.load("portraits"), View(size=size))


def turned(size: int) -> dict[str, Any]:
    """The packaged model, turned; each way makes its own tables."""
    return _ratio(creps.load("portraits"), View(size=size, warp="rotate:30"))


def tile(zoom: int) -> dict[str, Any]:
    """What a server does for a tile of 256 px at a zoom, of a latent that it knows."""
    renderer = Renderer(creps.load("portraits"), seed=7)
    times: dict[str, float] = {"sparse": 0.0, "exact": 0.0}
    evaluated = painted = 0
    for y, x in ((0.3, 0.4), (0.45, 0.4), (0.5, 0.5), (0.6, 0.45), (0.75, 0.55), (0.9, 0.2)):
        for way, tolerance in (("sparse", 0.5), ("exact", 0.0)):
            renderer.clear()  # lines of other tiles
            view = View(size=256, zoom=zoom, pan=(y, x), tolerance=tolerance, supersample="auto")
            painter = renderer.painter(view)
            times[way] += _processor_seconds(painter.pixels)
            if way == "sparse":
                evaluated += painter.evaluations.evaluated
                painted += painter.evaluations.painted
    return _row(times["sparse"], times["exact"], evaluated / painted)


def preset(size: int) -> dict[str, Any]:
    """The paper's network, its weights random."""
    return _ratio(_built("creps", CREPS_PRESETS["creps-512"]), View(size=size))


def families(size: int) -> dict[str, Any]:
    """The paper's network against our StyleGAN2 of this size, neither trained."""
    other = _built("stylegan2", {"resolution": size})
    renderer, painter = (
        Renderer(each, seed=7, keep=None)
        for each in (_built("creps", CREPS_PRESETS["creps-512"]), other)
    )
    own = renderer.painter(size=size)
    seconds = _processor_seconds(own.pixels)
    theirs = _processor_seconds(lambda: painter.picture(size=size))
    return _row(seconds, theirs, own.evaluations.share or 0.0)


def against(commit: str, name: str) -> dict[str, Any]:
    """A command of now against that of another commit, in turn; processor time and peak memory."""
    here = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        subprocess.run(["git", "-C", str(here), "worktree", "add", "--detach", str(other), commit],
                       check=True, capture_output=True)  # fmt: skip
        try:
            found = {
                way: _command(COMMANDS[name], source / "src", Path(folder) / way)
                for way, source in (("now", here), ("then", other))
            }
        finally:
            subprocess.run(["git", "-C", str(here), "worktree", "remove", "--force", str(other)],
                           check=True)  # fmt: skip
    (now, now_mb), (then, then_mb) = found["now"], found["then"]
    return {
        "commit": commit,
        "seconds": round(now, 2),
        "then_seconds": round(then, 2),
        "times_faster": round(then / now, 2),
        "peak_mb": now_mb,
        "then_peak_mb": then_mb,
    }


def _command(words: list[str], source: Path, folder: Path) -> tuple[float, int]:
    """Processor seconds and peak memory (MB) of a command of `creps` of some source."""
    folder.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-m", "creps", *words],
        env={**os.environ, "PYTHONPATH": str(source)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(f"creps {' '.join(words)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def _ratio(generator: Generator, view: View) -> dict[str, Any]:
    """Exact over sparse drawing, in processor seconds; of very large pictures a sample."""
    times: dict[str, list[float]] = {"sparse": [], "exact": []}
    share = 0.0
    rounds = ROUNDS if (view.pixels or (0, 0))[0] <= SQUARE else 1
    for _ in range(rounds):
        for way, tolerance in (("sparse", 0.5), ("exact", 0.0)):
            seen = View(**vars(view) | {"tolerance": tolerance})
            painter = Renderer(generator, seed=7).painter(seen)
            parts = _parts(painter.height, painter.width)
            times[way].append(
                _processor_seconds(lambda p=painter, all=parts: [p.pixels(each) for each in all])
            )
            share = painter.evaluations.share or 0.0 if way == "sparse" else share
    return _row(min(times["sparse"]), min(times["exact"]), share)


def _parts(height: int, width: int) -> list[Tile]:
    """The whole of a picture, or a sample of a very large one."""
    if height * width <= SQUARE**2 * EVERY:
        return [Tile(0, 0, height, width)]
    rows, columns = (range(SQUARE, side, 4 * SQUARE) for side in (height, width))
    return [Tile(y, x, SQUARE, SQUARE) for y in rows for x in columns]


def _row(sparse: float, exact: float, share: float) -> dict[str, Any]:
    return {
        "processor_seconds": round(sparse, 3),
        "exact_processor_seconds": round(exact, 3),
        "times_faster": round(exact / sparse, 2),
        "evaluated": round(share, 4),
    }


def _processor_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _built(family: str, config: Any) -> Generator:
    torch.manual_seed(0)
    return build_generator(family, config)
