"""Sparse evaluation beside exact evaluation: the rows of `render.py` that are ratios.

Both ways are measured in turn in one process, each with what it prepares for itself: lines, tables.
Times are those of the processor, so that other programs disturb them less. A profile says where
those of sparse evaluation go, and how much arithmetic each way does: nothing beats their ratio.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from record import ROOT, earlier_source

import creps
from creps.networks.base import Generator, build_generator
from creps.networks.creps import CREPS_PRESETS
from creps.rendering import Renderer, Tile, View

SQUARE, EVERY = 1024, 16
"""Of very large pictures every 16th square of 1,024 px is drawn with every pixel evaluated: in a
grid, which takes a quarter of the rows and columns. Sparsely they are drawn whole."""
ROUNDS = 3
DEMO = """
import time, creps
generator = creps.load("portraits")
started = time.process_time()
for seed in range(24):
    creps.Renderer(generator, seed=seed).picture(size=256)
renderer = creps.Renderer(generator, seed=16)
for size in (256, 1024, 4096):
    renderer.picture(size=size)
print(time.process_time() - started)
"""


def sparse(size: int) -> dict[str, Any]:
    """The packaged model at a size."""
    return _ratio(creps.load("portraits"), View(size=size))


def turned(size: int) -> dict[str, Any]:
    """The packaged model, turned; each way makes its own tables."""
    return _ratio(creps.load("portraits"), View(size=size, warp="rotate:30"))


def tile(zoom: int) -> dict[str, Any]:
    """What a server does for a tile of 256 px at a zoom, of a latent that it knows."""
    return _tiles(zoom, 1, 1)


def screen(zoom: int) -> dict[str, Any]:
    """The same for the 3 x 4 tiles of a screen, which share lines."""
    return _tiles(zoom, 3, 4)


def _tiles(zoom: int, down: int, across: int) -> dict[str, Any]:
    generator = creps.load("portraits")
    renderers = {way: Renderer(generator, seed=7) for way in ("sparse", "exact")}
    work = {way: _Work(renderer) for way, renderer in renderers.items()}
    for y, x in ((0.3, 0.4), (0.45, 0.4), (0.5, 0.5), (0.6, 0.45), (0.75, 0.55), (0.9, 0.2)):
        row, column = int(y * zoom), int(x * zoom)
        for way, tolerance in (("sparse", 0.5), ("exact", 0.0)):
            renderers[way].clear()  # lines of other places
            for i, j in product(range(row, row + down), range(column, column + across)):
                window = (i / zoom, j / zoom, (i + 1) / zoom, (j + 1) / zoom)
                view = View(size=256, window=window, tolerance=tolerance, supersample="auto")
                work[way].measure(lambda v=view, r=renderers[way]: r.painter(v).pixels())
    return _row(work["sparse"], work["exact"], renderers["sparse"].evaluations.share or 0.0)


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
    own, work = renderer.painter(size=size), _Work(renderer)
    work.measure(own.pixels)
    theirs = _processor_seconds(lambda: painter.picture(size=size))
    return {
        "processor_seconds": round(work.seconds, 3),
        "stylegan2_processor_seconds": round(theirs, 3),
        "times_faster": round(theirs / work.seconds, 2),
        "evaluated": round(own.evaluations.share or 0.0, 4),
        **work.profile(),
    }


def demo(commit: str) -> dict[str, Any]:
    """The pictures of `creps demo` drawn, not written, by this code and by another commit's."""
    with earlier_source(commit) as earlier:
        now, then = (_drawing_demo(source) for source in (ROOT / "src", earlier))
    return {
        "against": commit,
        "processor_seconds": round(now, 2),
        "then_processor_seconds": round(then, 2),
        "times_faster": round(then / now, 2),
    }


def _drawing_demo(source: Path) -> float:
    """Processor seconds, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", DEMO],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


class _Work:
    """What the network of a renderer does while something is measured."""

    def __init__(self, renderer: Renderer) -> None:
        self.seconds = 0.0
        self._prepared = renderer._latents.each[0].prepared
        self._parts: dict[str, list[tuple[int, float]]] = {}
        self._watch("lines", lambda coords, *_: len(coords))
        self._watch("color", lambda _, pixels: pixels)

    def measure(self, work: Callable[[], object]) -> None:
        """Add the processor seconds of a call."""
        self.seconds += _processor_seconds(work)

    def grow(self, pixels: int, lines: int) -> None:
        """From a sample to the whole: `pixels` times as many of them, and so many lines."""
        count, spent = (sum(column) for column in zip(*self._parts["lines"], strict=True))
        for_lines = spent / count * lines
        self.seconds = (self.seconds - spent) * pixels + for_lines
        self._parts = {"lines": [(lines, for_lines)], "color": self._parts["color"] * pixels}

    @property
    def gflop(self) -> float:
        """Of the lines and pixels that were evaluated."""
        lines, pixels = (sum(n for n, _ in self._parts[name]) for name in ("lines", "color"))
        each = self._prepared
        return (lines * each.line_flops + pixels * each.pixel_flops) / 1e9

    def profile(self) -> dict[str, float]:
        """Shares of the time that lines and pixels take, and their arithmetic."""
        lines, pixels = (
            sum(seconds for _, seconds in self._parts[name]) / self.seconds
            for name in ("lines", "color")
        )
        shares = {"in_lines": round(lines, 3), "in_pixels": round(pixels, 3)}
        return {**shares, "gflop": round(self.gflop, 2)}

    def _watch(self, name: str, size: Callable[..., int]) -> None:
        """Note the sizes and seconds of calls; each is made by one thread on one core."""
        calls = self._parts[name] = []
        plain = getattr(self._prepared, name)

        def watched(*arguments: Any, **more: Any) -> Any:
            started = time.thread_time()
            made = plain(*arguments, **more)
            calls.append((size(*arguments), time.thread_time() - started))
            return made

        setattr(self._prepared, name, watched)


def _ratio(generator: Generator, view: View) -> dict[str, Any]:
    """Exact over sparse drawing, in processor seconds; of very large pictures a sample."""
    best: dict[str, _Work] = {}
    share, pixels = 0.0, 1
    rounds = ROUNDS if (view.pixels or (0, 0))[0] <= SQUARE else 1
    for _ in range(rounds):
        for way in ("sparse", "exact"):
            renderer = Renderer(generator, seed=7)
            painter, work = renderer.painter(view), _Work(renderer)
            if way == "exact":
                painter._sparsity = None  # not `exact=True`, which looks no lines up
            whole = Tile(0, 0, painter.height, painter.width)
            parts = [whole] if way == "sparse" else _squares(whole)
            pixels = whole.height * whole.width // sum(each.height * each.width for each in parts)
            work.measure(lambda p=painter, all=parts: [p.pixels(each) for each in all])
            if way not in best or work.seconds < best[way].seconds:
                best[way] = work
            share = painter.evaluations.share or 0.0 if way == "sparse" else share
    if pixels > 1:
        best["exact"].grow(pixels, whole.height + whole.width)
    return _row(best["sparse"], best["exact"], share)


def _squares(whole: Tile) -> list[Tile]:
    """A picture, or a sample of a very large one."""
    if whole.height * whole.width <= SQUARE**2 * EVERY:
        return [whole]
    step = math.isqrt(EVERY) * SQUARE
    rows, columns = (range(SQUARE, side, step) for side in (whole.height, whole.width))
    return [Tile(y, x, SQUARE, SQUARE) for y in rows for x in columns]


def _row(sparse: _Work, exact: _Work, share: float) -> dict[str, Any]:
    return {
        "processor_seconds": round(sparse.seconds, 3),
        "exact_processor_seconds": round(exact.seconds, 3),
        "times_faster": round(exact.seconds / sparse.seconds, 2),
        "evaluated": round(share, 4),
        **sparse.profile(),
        "exact_gflop": round(exact.gflop, 2),
        "times_less_arithmetic": round(exact.gflop / sparse.gflop, 2),
    }


def _processor_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _built(family: str, config: Any) -> Generator:
    torch.manual_seed(0)
    return build_generator(family, config)
