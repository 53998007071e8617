"""A run's folder: its settings are written once, and the same command goes on where it stopped.

RUN/config.json       the resolved settings and what data they were started with
RUN/log.jsonl         one line of scalars every few steps
RUN/previews/         sample grids and zooms into one, named by images seen
RUN/teacher/          the model that patches stay faithful to, where there is one
RUN/report.html       curves, samples and what they mean, where it was asked for
RUN/snapshots/        the whole state, newest two
RUN/model/            the averaged generator: what `creps generate --model RUN/model` takes
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from creps._files import write_atomically
from creps.config import from_dict, to_dict
from creps.data._sources import ImageSource
from creps.errors import CheckpointError, ConfigError
from creps.training._batches import TrainingSet, open_training_set
from creps.training._config import TrainConfig
from creps.training._distributed import ALONE, Team
from creps.training._settings import WatchSettings
from creps.training._snapshots import restore_snapshot, snapshots
from creps.training._state import TrainState, initial_state
from creps.training._transfer import start_from
from creps.training.regularizers._teacher import keep_teacher, open_teacher

CHANGEABLE = {
    *("images", "log_every", "preview_every", "snapshot_every"),
    *("data.workers", "data.cache_megabytes", "accumulate", "compile"),
    *(f"watch.{setting.name}" for setting in fields(WatchSettings)),
}
"""Settings that a resumed run may change: they do not change what a step computes (to rounding)."""


@dataclass(frozen=True)
class Run:
    """A run that is ready to train.

    Attributes:
        folder: where it lives.
        config: its settings.
        pictures: its training set.
        state: fresh, or restored from the newest snapshot.
        data: what is recorded of the training set (name, count, fingerprint).
    """

    folder: Path
    config: TrainConfig
    pictures: TrainingSet
    state: TrainState
    data: Mapping[str, Any]

    @property
    def record(self) -> dict[str, Any]:
        """What its models remember: the training, and whom the pictures ask to credit."""
        height, width = self.config.size
        training = {"resolution": self.config.resolution, "data": dict(self.data)}
        if height != width:
            training["size"] = [height, width]
        teacher = self.config.teacher
        if teacher.weight and teacher.perceptual != "none":
            training["perceptual"] = teacher.perceptual  # whoever judges the model must know
        attribution = self.pictures.source.attribution
        return {"training": training} | ({"credits": attribution} if attribution else {})


def open_run(
    folder: Path,
    config: TrainConfig,
    data: Path,
    *,
    device: torch.device | str = "cpu",
    start: Path | None = None,
    team: Team = ALONE,
) -> Run:
    """Start a run in `folder`, or go on with the one that is there.

    Args:
        folder: of the run, made if missing; all processes must see the same one.
        config: the run's settings.
        data: folder or zip of pictures.
        device: where to train.
        start: run or model whose weights a new run starts from (see `start_from`), and that is its
            teacher where it has one.
        team: the processes that share the run; any number may go on with what others began.
    Raises:
        ConfigError: if the folder holds a run with other settings or other data, or the batch
            cannot be shared out, or a teacher is missing.
        GridError: if the generator cannot draw the training size.
        CheckpointError: if its newest snapshot is damaged, or `start` is of another network.
    """
    config.check_share(team.count)
    pictures = open_training_set(config, data)
    seen = describe_data(pictures.source, data)
    settings = folder / "config.json"
    if settings.exists():
        _refuse_changes(settings, config, seen)
    elif folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty and holds no run: choose another --out")
    state = initial_state(config, device)
    _check_grids(state, config)
    state.teacher = open_teacher(config, folder, start=start, device=state.device)
    found = snapshots(folder / "snapshots")
    if found:
        restore_snapshot(state, found[-1])
    elif start is not None:
        start_from(state, start)
    if not team.same(state.step):
        raise CheckpointError(f"{folder} is not the same for all processes: use a shared disk")
    if team.writes:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"train": to_dict(config), "data": seen}, indent=2) + "\n"
        write_atomically(settings, text.encode())
        if state.teacher is not None:
            keep_teacher(state.teacher, folder)
    return Run(folder, config, pictures, state, seen)


def is_finished(folder: Path, *, images: int | None = None) -> bool:
    """Whether a run is there and has done all its steps.

    Args:
        folder: of the run.
        images: pictures that it should have been told to show; None: any number.
    """
    settings = folder / "config.json"
    kept = snapshots(folder / "snapshots")
    if not kept or not settings.exists():
        return False
    config = from_dict(TrainConfig, json.loads(settings.read_text(encoding="utf-8"))["train"])
    if images not in (None, config.images):
        return False
    return int(kept[-1].stem.removeprefix("step-")) >= config.steps


def describe_data(source: ImageSource, path: Path) -> dict[str, Any]:
    """Name, count and fingerprint of a training set, for records."""
    return {"name": path.name, "count": len(source), "fingerprint": source.fingerprint}


def _check_grids(state: TrainState, config: TrainConfig) -> None:
    """Raise if a generator that paints one fixed grid is asked for others."""
    generator, data = state.average, config.data
    if generator.tileable:
        return
    if data.subpixel_shift or data.zoom > 1:
        raise ConfigError(
            f"generators of family {config.family!r} paint one fixed grid: "
            "set data.subpixel_shift=false and data.zoom=1"
        )
    if config.consistency.weight:
        raise ConfigError(
            f"generators of family {config.family!r} paint one size: set consistency.weight=0"
        )
    classes = config.generator.label_dim
    label = torch.zeros(1, dtype=torch.long, device=state.device) if classes else None
    z = torch.zeros(1, config.generator.z_dim, device=state.device)
    with torch.no_grad():
        generator.synthesize(generator.map(z, label), config.canvas().grid())


def _refuse_changes(settings: Path, config: TrainConfig, data: Mapping[str, Any]) -> None:
    """Raise unless the run in `settings` has this configuration and this data."""
    try:
        before = json.loads(settings.read_text(encoding="utf-8"))
        old_config, old_data = before["train"], before["data"]
        old_config = to_dict(from_dict(TrainConfig, old_config))  # new settings at their defaults
    except (ValueError, KeyError, TypeError, ConfigError):
        raise CheckpointError(f"{settings} is damaged: choose another --out") from None
    now = dict(flat_settings(to_dict(config)))
    for name, value in flat_settings(old_config):
        if name not in CHANGEABLE and now.get(name) != value:
            raise ConfigError(
                f"{settings.parent} was started with {name}={value}, now it is {now.get(name)}: "
                "give the same settings to go on, or another --out"
            )
    if old_data["fingerprint"] != data["fingerprint"]:
        raise ConfigError(
            f"{settings.parent} was started with other pictures ({old_data['count']} in "
            f"{old_data['name']}): give the same --data to go on, or another --out"
        )


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by their dotted names, as `--set` takes them."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat_settings(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
