"""The log of a run: lines of numbers in RUN/log.jsonl, and the services that get them too."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from creps._files import write_atomically
from creps._json import parse_json
from creps.errors import MissingExtraError, UsageError, nearest
from creps.rendering._painter import Picture

Line = dict[str, float]
"""Numbers by name, "step" and "images" among them."""

_LARGEST = float(np.finfo(np.float32).max)

LOGGERS = ("tensorboard", "trackio", "wandb")
"""Those that `open_logger` knows; each is an extra of its name, TensorBoard of `train`."""
_PROJECT = "creps"
"""What runs are filed under where a service has projects."""


class Logger(Protocol):
    """Something that takes the numbers and pictures of a run."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Take the scalars of a step, "images" among them."""

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Take a preview, (H, W, C) uint8."""

    def close(self) -> None:
        """Write what is still held back."""


class RunLog:
    """Lines of numbers, each of a step, oldest first; in a file, in memory, and sent to loggers."""

    def __init__(self, path: Path, *, batch: int) -> None:
        self.path, self.batch = path, batch
        self.lines: list[Line] = []
        self.loggers: list[Logger] = []

    def go_on_after(self, step: int) -> None:
        """Load the lines of a run that resumes after a step; those beyond it are dropped."""
        if self.path.exists():
            known: dict[float, Line] = {}
            for line in read_lines(self.path):
                if line["step"] <= step:
                    known.setdefault(line["step"], {}).update(line)
            self.lines = list(known.values())
            write_atomically(self.path, "".join(map(_as_text, self.lines)).encode())

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line; or add numbers to the last one, if it is of the same step."""
        line = {"step": step, "images": step * self.batch, **values}
        if self.lines and self.lines[-1]["step"] == step:
            shown = _as_text(self.lines[-1]).encode()
            self.lines[-1] |= line
            with self.path.open("r+b") as file:  # over the line, which becomes longer
                file.seek(-len(shown), os.SEEK_END)
                file.write(_as_text(self.lines[-1]).encode())
        else:
            self.lines.append(line)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_as_text(line))
        for logger in self.loggers:
            logger.numbers(step, {name: line[name] for name in line if name != "step"})

    def show(self, step: int, name: str, picture: Picture) -> None:
        """Pass a picture on to the loggers."""
        for logger in self.loggers:
            logger.picture(step, name, picture)

    def newest(self, names: Iterable[str]) -> Line:
        """The newest of each of some numbers, if one of the last ten lines holds it."""
        merged: Line = {}
        for line in self.lines[-10:]:
            merged |= line
        return {name: merged[name] for name in names if name in merged}

    def close(self) -> None:
        """Let the loggers finish."""
        for logger in self.loggers:
            logger.close()


def read_lines(path: Path) -> list[Line]:
    """The lines of a log, oldest first; one cut short by a kill is left out.

    Numbers beyond those of a training, which are float32, become its largest.
    """
    lines: list[Line] = []
    for text in path.read_bytes().splitlines():
        try:
            line = {name: _within(float(value)) for name, value in parse_json(text).items()}
            line["step"], line["images"] = int(line["step"]), int(line["images"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue
        lines.append(line)
    return lines


def _within(value: float) -> float:
    """A number of float32's range: sums of larger ones overflow."""
    return max(min(value, _LARGEST), -_LARGEST) if math.isfinite(value) else value


def _as_text(line: Mapping[str, float]) -> str:
    return json.dumps({name: _rounded(value) for name, value in line.items()}) + "\n"


def _rounded(value: float) -> Any:
    """Six significant digits; JSON has no word for not-a-number, so those become text."""
    if isinstance(value, int):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def open_logger(name: str, folder: Path, *, config: Mapping[str, Any]) -> Logger:
    """A logger of `LOGGERS` for the run in a folder; one that knows the run continues it.

    Raises:
        UsageError: for an unknown name.
        MissingExtraError: if the logger's package is not installed.
    """
    if name not in LOGGERS:
        raise UsageError(f"unknown logger {name!r}: {nearest(name, LOGGERS)}")
    return _TensorBoard(folder) if name == "tensorboard" else _Service(name, folder, config)


class _TensorBoard:
    """Event files in RUN/tensorboard: `tensorboard --logdir RUN` shows them."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError("TensorBoard logging", "train") from None
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, step: int, name: str, picture: Picture) -> None:
        self._writer.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class _Service:
    """trackio or Weights & Biases, two modules with the same functions.

    Weights & Biases is configured by its environment variables, such as WANDB_MODE=offline.
    """

    def __init__(self, name: str, folder: Path, config: Mapping[str, Any]) -> None:
        try:
            self._module: Any = import_module(name)
        except ImportError:
            raise MissingExtraError(f"logging to {name}", name) from None
        folder = folder.resolve()
        settings = {"project": _PROJECT, "name": folder.name, "resume": "allow"}
        if name == "trackio":  # continues the curves of the same name
            self._module.init(**settings, config=dict(config))
            return
        identity = folder / "wandb-id.txt"
        known = identity.read_text(encoding="utf-8").strip() if identity.exists() else None
        run = self._module.init(**settings, config=dict(config), id=known, dir=str(folder))
        write_atomically(identity, f"{run.id}\n".encode())

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._module.log(dict(values), step=step)

    def picture(self, step: int, name: str, picture: Picture) -> None:
        self._module.log({name: self._module.Image(picture)}, step=step)

    def close(self) -> None:
        self._module.finish()
