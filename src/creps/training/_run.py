"""A run's folder: its settings are written once, and the same command resumes it.

RUN/config.json       the resolved settings and what data they were started with
RUN/log.jsonl         one line of scalars every few steps
RUN/previews/         sample grids and zooms into one, named by images seen
RUN/teacher/          the model that patches stay faithful to, where there is one
RUN/report.html       curves, samples and what they mean, at the end; as it goes on, if requested
RUN/snapshots/        the whole state, newest two
RUN/model/            the averaged generator: what `creps generate --model RUN/model` takes
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch

from creps._files import exclusive, refuse_foreign_name, sweep, write_atomically
from creps.config import to_dict
from creps.data._textures import Textures
from creps.errors import CheckpointError, ConfigError, UsageError, utf8
from creps.networks.base import Generator
from creps.training._batches import TrainingSet, open_training_set
from creps.training._config import (
    Perceptual,
    TrainConfig,
    WatchSettings,
    flat_settings,
    stored_perceptual,
    stored_settings,
)
from creps.training._distributed import SINGLE, ProcessGroup, Vote
from creps.training._engine import Stats
from creps.training._state import TrainState, initial_state, restore_newest, snapshots
from creps.training._teacher import keep_teacher, open_teacher
from creps.training._transfer import learnt_from, start_from
from creps.training.monitoring._log import RunLog, open_logger

_SETTINGS = "config.json"
_CHANGEABLE = {
    *("preset", "images", "log_every", "preview_every", "snapshot_every"),
    *("data.workers", "data.cache_megabytes", "accumulate", "compile"),
    *(f"watch.{setting.name}" for setting in fields(WatchSettings)),
}
"""Settings that a resumed run may change: they do not change what a step computes (to rounding)."""


@dataclass
class Run:
    """A run that is ready to train.

    Attributes:
        folder: where it lives.
        config: its settings.
        pictures: its training set.
        state: fresh, or restored from the newest snapshot.
        data: what is recorded of the training set (name, count, fingerprint).
        group: the processes that share it.
        log: its numbers so far.
        perceptual: the network whose features it or what it started from was trained with.
        stop: why it ends after the current step; empty: it continues.
    """

    folder: Path
    config: TrainConfig
    pictures: TrainingSet
    state: TrainState
    data: Mapping[str, Any]
    group: ProcessGroup
    log: RunLog
    perceptual: Perceptual = "none"
    stop: str = ""

    @property
    def images(self) -> int:
        """Pictures seen so far."""
        return self.state.step * self.config.batch

    @property
    def complete(self) -> bool:
        """Whether all steps are done."""
        return self.state.step >= self.config.steps

    @property
    def model(self) -> Generator:
        """The averaged generator, which RUN/model holds."""
        return self.state.average

    @property
    def record(self) -> dict[str, Any]:
        """What its models remember: the training, classes, and whom the pictures ask to credit."""
        training = {"resolution": self.config.resolution, "data": dict(self.data)}
        training["zoom"] = self.config.data.zoom  # windows of pictures so many times as large
        height, width = self.config.size
        if height != width:
            training["size"] = [height, width]
        if self.perceptual != "none":  # measurements of the model depend on it
            training["perceptual"] = self.perceptual
        training |= {"steps": self.state.step, "images": self.images}
        source = self.pictures.source
        record: dict[str, Any] = {"training": training}
        if source.class_names:
            record["classes"] = list(source.class_names)
        return record | ({"credits": source.attribution} if source.attribution else {})


class Callback(Protocol):
    """What is called between the steps of a run; a subclass overrides what it needs."""

    def after_step(self, run: Run, stats: Stats) -> None:
        """Called after every step; `run.state.step` steps are done."""
        return

    def at_end(self, run: Run) -> None:
        """Called once, when the run ends or is stopped."""
        return


class Timer:
    """When something is due that comes by time: after a minute, then five after it was last done.

    Example:
        >>> timer = Timer(iter([0.0, 50.0, 60.0]).__next__)
        >>> timer.due(), timer.due()
        (False, True)
    """

    FIRST, BETWEEN = 60.0, 300.0  # seconds

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._next = clock, clock() + self.FIRST

    def due(self) -> bool:
        """Whether the time has come."""
        return self._clock() >= self._next

    def done(self) -> None:
        """Say that it was done, for whatever reason."""
        self._next = self._clock() + self.BETWEEN


def open_run(
    folder: Path,
    config: TrainConfig,
    data: Path,
    *,
    device: torch.device | str = "cpu",
    start: Path | None = None,
    group: ProcessGroup = SINGLE,
    loggers: Sequence[str] = (),
    held: ExitStack | None = None,
    maps: Mapping[str, Path] = MappingProxyType({}),
    say: Callable[[str], None] = lambda line: None,
) -> Run:
    """Start a run in `folder`, or resume the one in it.

    Args:
        folder: of the run, made if missing; all processes must see the same one.
        config: the run's settings.
        data: folder or zip of pictures.
        device: where to train.
        start: run or model whose weights a new run starts from (see `start_from`), and that is its
            teacher where it has one.
        group: the processes that share the run; any number may resume what others began.
        loggers: names of services that get the log too, of `LOGGERS`.
        held: keeps the folder locked until it is closed, so that nobody else trains in it.
        maps: folders of a material's maps by name, in the order of the generator's `maps`.
        say: called with a line for each damaged snapshot, which is passed over for the one before.
    Raises:
        ConfigError: if the folder holds a run with other settings or other data, or the batch
            cannot be shared out, or a teacher is missing.
        GridError: if the generator cannot draw the training size.
        CheckpointError: if all its snapshots are damaged, or `start` is of another network.
        UsageError: for an unknown logger, a folder in which another process trains, or no UTF-8.
        MissingExtraError: if the packages of a logger are missing.
    """
    config.check_share(group.count)
    refuse_foreign_name(folder, "safetensors")
    pictures = open_training_set(config, data, maps=maps)
    seen = _recorded(data, pictures)
    _refuse_another(folder, config, seen)
    state = initial_state(config, device)
    _check_grids(state.average, config)
    state.teacher = open_teacher(config, folder, start=start, device=state.device)
    found, perceptual = snapshots(folder / "snapshots"), config.perceptual
    damaged: list[Path] = []
    if found:
        damaged = restore_newest(state, found, log=say)
        perceptual = stored_perceptual(folder)
    elif start is not None:
        start_from(state, start, augment=config.augment)
        perceptual = learnt_from(start) if perceptual == "none" else perceptual
    if perceptual != "none" and config.watch.evaluate_every:
        raise ConfigError(
            f"watch.evaluate_every measures with {perceptual}, which {start or folder} was trained "
            "with: set it to 0 and evaluate with another network"
        )
    if not group.same(state.step):
        raise CheckpointError(f"{folder} is not the same for all processes: use a shared disk")
    if held is not None:
        _lock(folder, held, group, found)
    log = RunLog(folder / "log.jsonl", batch=config.batch)
    if group.writes:
        folder.mkdir(parents=True, exist_ok=True)
        if held is not None:
            for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
                sweep(place)
        for path in damaged:  # kept for those who want to look, but never again the newest
            path.rename(path.with_suffix(".damaged"))
        stored = to_dict(config)
        log.loggers = [open_logger(name, folder, config=stored) for name in dict.fromkeys(loggers)]
        known: dict[str, Any] = {"train": stored, "data": seen}
        known |= {"perceptual": perceptual} if perceptual != "none" else {}
        write_atomically(folder / _SETTINGS, (json.dumps(known, indent=2) + "\n").encode())
        log.go_on_after(state.step)
        if state.teacher is not None:
            keep_teacher(state.teacher, folder)
    return Run(folder, config, pictures, state, seen, group, log, perceptual)


def _recorded(data: Path, pictures: TrainingSet) -> dict[str, Any]:
    """What is recorded of a training set: a resumed run needs the same one."""
    source = pictures.source
    whole = pictures if isinstance(pictures, Textures) else source
    return {"name": utf8(data.name), "count": len(source), "fingerprint": whole.fingerprint}


def _lock(folder: Path, held: ExitStack, group: ProcessGroup, found: Sequence[Path]) -> None:
    """Keep others from training in a folder; all processes of the group learn whether that is so.

    A UsageError if somebody does, or has since its snapshots were `found`.
    """
    ours = True
    if group.writes:
        folder.mkdir(parents=True, exist_ok=True)
        ours = held.enter_context(exclusive(folder / "run"))
        ours = ours and snapshots(folder / "snapshots") == list(found)
    if group.vote(Vote.GO_ON if ours else Vote.FAIL) is Vote.FAIL:
        raise UsageError(
            f"another process trains in {folder}: wait until it ends, or give another --out"
        )


def _check_grids(generator: Generator, config: TrainConfig) -> None:
    """Raise if a generator that paints one fixed grid is to paint others."""
    if generator.tileable:
        return
    if config.data.subpixel_shift or config.data.zoom > 1:
        raise ConfigError(
            f"generators of family {config.family!r} paint one fixed grid: "
            "set data.subpixel_shift=false and data.zoom=1"
        )
    if config.consistency.weight:
        raise ConfigError(
            f"generators of family {config.family!r} paint one size: set consistency.weight=0"
        )
    device = generator.device
    label = torch.zeros(1, dtype=torch.long, device=device) if generator.needs_class else None
    z = torch.zeros(1, config.generator.z_dim, device=device)
    with torch.no_grad():
        generator.synthesize(generator.map(z, label), config.canvas().grid())


def _refuse_another(folder: Path, config: TrainConfig, data: Mapping[str, Any]) -> None:
    """Raise unless `folder` is free, or the run in it has this configuration and this data."""
    if not (folder / _SETTINGS).exists():
        if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ConfigError(f"{folder} is not empty and holds no run: choose another --out")
        return
    old_config, old_data = stored_settings(folder)
    now = dict(flat_settings(to_dict(config)))
    for name, value in flat_settings(to_dict(old_config)):
        if name not in _CHANGEABLE and now.get(name) != value:
            raise ConfigError(
                f"{folder} was started with {name}={value}, now it is {now.get(name)}: "
                "give the same settings to resume, or another --out"
            )
    if old_data["fingerprint"] != data["fingerprint"]:
        raise ConfigError(
            f"{folder} was started with other pictures ({old_data['count']} in "
            f"{old_data['name']}): give the same --data to resume, or another --out"
        )
