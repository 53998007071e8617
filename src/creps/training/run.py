"""A run's folder: its settings are written once, and the same command goes on where it stopped.

RUN/config.json       the resolved settings and what data they were started with
RUN/log.jsonl         one line of scalars every few steps
RUN/previews/         sample grids, named by images seen
RUN/snapshots/        the whole state, newest two
RUN/model/            the averaged generator: what `creps generate --model RUN/model` takes
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from creps.config import to_dict
from creps.data.patches import Pictures
from creps.data.sources import ImageSource, open_images
from creps.errors import CheckpointError, ConfigError, DataError
from creps.files import write_atomically
from creps.training.config import TrainConfig
from creps.training.state import TrainState, initial_state, restore_snapshot, snapshots, start_from

CHANGEABLE = {"images", "log_every", "preview_every", "snapshot_every", "data.workers"}
"""Settings that a resumed run may change: they do not change what is computed at a step."""


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
    pictures: Pictures
    state: TrainState
    data: Mapping[str, Any]

    @property
    def record(self) -> dict[str, Any]:
        """What its models remember: the training, and whom the pictures ask to credit."""
        training = {"resolution": self.config.resolution, "data": dict(self.data)}
        attribution = self.pictures.source.attribution
        return {"training": training} | ({"credits": attribution} if attribution else {})


def open_training_set(config: TrainConfig, path: Path) -> Pictures:
    """The pictures at `path` as `config` wants them.

    Raises:
        DataError: if there are no images, or fewer classes than the networks have.
    """
    source = open_images(path, channels=config.generator.img_channels, labels=config.data.labels)
    classes = source.num_classes if config.data.labels else 0
    if config.generator.label_dim != classes:
        raise DataError(
            f"{path} has {classes} classes, the networks {config.generator.label_dim}: set "
            f"generator.label_dim and discriminator.label_dim to {classes}"
        )
    size = config.resolution * config.data.detail
    return Pictures(source, size=size, mirror=config.data.mirror, labels=config.data.labels)


def open_run(
    folder: Path,
    config: TrainConfig,
    data: Path,
    *,
    device: torch.device | str = "cpu",
    start: Path | None = None,
) -> Run:
    """Start a run in `folder`, or go on with the one that is there.

    Args:
        folder: of the run, made if missing.
        config: the run's settings.
        data: folder or zip of pictures.
        device: where to train.
        start: run or model whose weights a new run starts from (see `start_from`).
    Raises:
        ConfigError: if the folder holds a run with other settings or other data.
        CheckpointError: if its newest snapshot is damaged, or `start` is of another network.
    """
    pictures = open_training_set(config, data)
    seen = describe_data(pictures.source, data)
    settings = folder / "config.json"
    if settings.exists():
        _refuse_changes(settings, config, seen)
    elif folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty and holds no run: choose another --out")
    state = initial_state(config, device)
    found = snapshots(folder / "snapshots")
    if found:
        restore_snapshot(state, found[-1])
    elif start is not None:
        start_from(state, start)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"train": to_dict(config), "data": seen}, indent=2) + "\n"
    write_atomically(settings, text.encode())
    return Run(folder, config, pictures, state, seen)


def describe_data(source: ImageSource, path: Path) -> dict[str, Any]:
    """Name, count and fingerprint of a training set, for records."""
    return {"name": path.name, "count": len(source), "fingerprint": source.fingerprint}


def _refuse_changes(settings: Path, config: TrainConfig, data: Mapping[str, Any]) -> None:
    """Raise unless the run in `settings` has this configuration and this data."""
    try:
        before = json.loads(settings.read_text(encoding="utf-8"))
        old_config, old_data = before["train"], before["data"]
    except (ValueError, KeyError):
        raise CheckpointError(f"{settings} is damaged: choose another --out") from None
    now = dict(_flat(to_dict(config)))
    for name, value in _flat(old_config):
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


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as dotted names."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
