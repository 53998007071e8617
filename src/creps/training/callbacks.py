"""What watches a run: log, progress, previews, snapshots, time limit."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creps.checkpoints.native import save
from creps.coordinates import Canvas
from creps.errors import CrepsError
from creps.files import write_atomically
from creps.rendering.latents import latents
from creps.rendering.renderer import Picture, to_uint8
from creps.rendering.sheets import contact_sheet
from creps.rendering.writers import save_picture
from creps.training.config import TrainConfig
from creps.training.loop import StopRequest
from creps.training.state import TrainState, save_snapshot
from creps.training.steps import Stats

PREVIEW_SEEDS = range(24)
PREVIEW_COLUMNS = 6


class Log:
    """One JSON line every `log_every` steps: means since the last line, rate, memory.

    Args:
        path: the log; lines beyond the step the run resumes at are dropped.
        config: the run.
        first_step: where the run goes on.
        also: called with (step, values) as well, for other loggers.
    Raises:
        CrepsError: from `after_step` when a loss is no longer finite.
    """

    def __init__(
        self,
        path: Path,
        config: TrainConfig,
        *,
        first_step: int,
        also: Callable[[int, Mapping[str, float]], None] | None = None,
    ) -> None:
        self.path, self.config, self.also = path, config, also
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.started, self.started_step = time.monotonic(), first_step
        _drop_lines_after(path, first_step)

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Collect the step's scalars and write a line when one is due."""
        for name, value in stats.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        if state.step % self.config.log_every == 0:
            self._write(state)

    def at_end(self, state: TrainState) -> None:
        """Nothing: unfinished means belong to steps that are logged after resuming."""

    def _write(self, state: TrainState) -> None:
        values = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        seconds = time.monotonic() - self.started
        images = (state.step - self.started_step) * self.config.batch
        values["images_per_second"] = images / max(seconds, 1e-9)
        line = {"step": state.step, "images": state.step * self.config.batch, **values}
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps({k: _rounded(v) for k, v in line.items()}) + "\n")
        if self.also:
            self.also(state.step, values)
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken:
            raise CrepsError(
                f"{broken[0]} is {values[broken[0]]} at step {state.step}: the run has diverged; "
                "the last snapshot is kept, start a new run with a larger loss.r1_gamma "
                "or a smaller optimizer.learning_rate"
            )


class Previews:
    """A grid of samples of the averaged generator, always of the same latents."""

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        self.folder, self.config = folder, config

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Write a grid when one is due."""
        every = self.config.preview_every
        if every and state.step % every == 0:
            self._write(state)

    def at_end(self, state: TrainState) -> None:
        """Write a last grid."""
        self._write(state)

    def _write(self, state: TrainState) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{state.step * self.config.batch:09d}.png"
        save_picture(path, sample_grid(state, self.config))


class Snapshots:
    """The state of the run and its model, every `snapshot_every` steps and at the end."""

    def __init__(self, run: Path, config: TrainConfig, *, record: Mapping[str, Any]) -> None:
        self.run, self.config, self.record = run, config, record
        self.saved_step = -1

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Save when due."""
        if state.step % self.config.snapshot_every == 0:
            self._save(state)

    def at_end(self, state: TrainState) -> None:
        """Save what the last snapshot does not hold yet."""
        if state.step != self.saved_step:
            self._save(state)

    def _save(self, state: TrainState) -> None:
        save_snapshot(state, self.run / "snapshots")
        seen = {"steps": state.step, "images": state.step * self.config.batch}
        record = {**self.record, "training": {**self.record["training"], **seen}}
        save(state.average, self.run / "model", record=record)
        self.saved_step = state.step


class TimeLimit:
    """Asks the loop to stop after so many seconds."""

    def __init__(self, seconds: float, stop: StopRequest) -> None:
        self.deadline, self.stop = time.monotonic() + seconds, stop

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Ask once the time is over."""
        if time.monotonic() >= self.deadline and self.stop.reason is None:
            self.stop.reason = "time limit reached"

    def at_end(self, state: TrainState) -> None:
        """Nothing."""


@torch.no_grad()
def sample_grid(state: TrainState, config: TrainConfig) -> Picture:
    """(H, W, C) uint8 sheet of the averaged generator's samples at the training resolution."""
    generator, size = state.average, config.resolution
    z = latents(list(PREVIEW_SEEDS), generator).to(state.device)
    label = None
    if config.generator.label_dim:
        label = torch.arange(len(z), device=state.device) % config.generator.label_dim
    grid = Canvas(size, size, sampling=config.generator.sampling).grid()
    pictures = generator.synthesize(generator.map(z, label), grid)
    return contact_sheet([to_uint8(picture) for picture in pictures], columns=PREVIEW_COLUMNS)


def _drop_lines_after(path: Path, step: int) -> None:
    """Remove log lines of steps that will be done again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # a line cut short by a kill
            continue
    write_atomically(path, "".join(kept).encode())


def _rounded(value: float | int) -> float | int | str:
    """Six significant digits; JSON has no word for not-a-number, so those become text."""
    if isinstance(value, int):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)
