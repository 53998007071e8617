"""Other places that the numbers and previews of a run go to, behind one small protocol."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from creps._files import write_atomically
from creps.errors import MissingExtraError, UsageError, nearest
from creps.rendering._painter import Picture

LOGGERS = ("tensorboard", "trackio", "wandb")
"""Those that `open_logger` knows; each is an extra of its name, TensorBoard of `train`."""
PROJECT = "creps"
"""What runs are filed under where a service has projects."""


class Logger(Protocol):
    """Something that takes the numbers and pictures of a run."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Take the scalars of a step, "images" among them."""

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Take a preview, (H, W, C) uint8."""

    def close(self) -> None:
        """Write what is still held back."""


def open_logger(name: str, folder: Path, *, config: Mapping[str, Any]) -> Logger:
    """A logger by name; one that knew the run goes on with it.

    Args:
        name: one of `LOGGERS`.
        folder: of the run; its name is that of the run.
        config: the run's settings, as JSON types.
    Raises:
        UsageError: for an unknown name.
        MissingExtraError: if the logger's package is not installed.
    """
    if name == "tensorboard":
        return TensorBoard(folder)
    if name == "trackio":
        return Trackio(folder, config)
    if name == "wandb":
        return Wandb(folder, config)
    raise UsageError(f"unknown logger {name!r}: {nearest(name, LOGGERS)}")


class TensorBoard:
    """Event files in RUN/tensorboard: `tensorboard --logdir RUN` shows them."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtraError("TensorBoard logging", "train") from None
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Curves over steps."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """An image summary."""
        self.writer.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        """Close the files."""
        self.writer.close()


class Trackio:
    """A local trackio project; `trackio show` opens it."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        try:
            self.module: Any = import_module("trackio")
        except ImportError:
            raise MissingExtraError("logging to trackio", "trackio") from None
        name = folder.resolve().name
        self.module.init(project=PROJECT, name=name, config=dict(config), resume="allow")

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Curves over steps."""
        self.module.log(dict(values), step=step)

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """An image beside the curves."""
        self.module.log({name: self.module.Image(picture)}, step=step)

    def close(self) -> None:
        """End the run."""
        self.module.finish()


class Wandb:
    """Weights & Biases; its own environment variables say where to, WANDB_MODE=offline too."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        try:
            self.module: Any = import_module("wandb")
        except ImportError:
            raise MissingExtraError("logging to wandb", "wandb") from None
        folder = folder.resolve()
        identity = folder / "wandb-id.txt"  # a run that resumes goes on with the same curves
        known = identity.read_text(encoding="utf-8").strip() if identity.exists() else None
        self.run = self.module.init(
            project=PROJECT,
            name=folder.name,
            id=known,
            resume="allow",
            dir=str(folder),
            config=dict(config),
        )
        write_atomically(identity, f"{self.run.id}\n".encode())

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Curves over steps."""
        self.run.log(dict(values), step=step)

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """An image beside the curves."""
        self.run.log({name: self.module.Image(picture)}, step=step)

    def close(self) -> None:
        """End the run."""
        self.run.finish()
