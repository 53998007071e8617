"""A folder of frames that fills up: what is there is kept, what is missing is rendered.

Each frame is a PNG that appears whole or not at all, and `settings.json` says what the frames show.
So a render that was stopped goes on where it was, and frames of different films never mix.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from creps.errors import CrepsError, UsageError
from creps.files import write_atomically
from creps.rendering.renderer import Picture, Progress
from creps.rendering.writers import save_picture

SETTINGS_NAME = "settings.json"
FRAMES = f"frame-{'[0-9]' * 6}.png"
LEFTOVERS = ".*.part"
"""What a run leaves behind that was killed while it wrote."""


@dataclass(frozen=True)
class FrameFolder:
    """Frames `frame-000000.png` onwards in a folder.

    Args:
        path: the folder; need not exist yet.
        count: frames of the whole film.
        size: (height, width) of each.
        settings: JSON values that say what the frames show.
    """

    path: Path
    count: int
    size: tuple[int, int]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def frame(self, index: int) -> Path:
        """Where a frame is, or will be."""
        return self.path / f"frame-{index:06d}.png"

    def missing(self) -> list[int]:
        """Frames that are still to be rendered: not there, damaged, or of another size."""
        height, width = self.size
        return [
            index
            for index in range(self.count)
            if not _is_sound(self.frame(index), (width, height))
        ]

    def read(self, index: int) -> Image.Image:
        """A frame as RGB, of any size: these are our own files, no bombs to decompress."""
        with PngImagePlugin.PngImageFile(self.frame(index)) as image:
            return image.convert("RGB")

    def open(self, *, start_over: bool = False) -> None:
        """Make the folder, or go on with the one that is there.

        Args:
            start_over: throw away frames that show something else.
        Raises:
            UsageError: if the folder holds frames of another film, or other things; names the
                settings that differ.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file: expected a folder for frames")
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.glob(LEFTOVERS):
            leftover.unlink(missing_ok=True)
        if self._stored() == self._document():
            return
        if any(not path.name.startswith(".") for path in self.path.iterdir()):
            if not start_over:
                raise UsageError(self._difference())
            self.discard()
            self.path.mkdir(exist_ok=True)
        document = json.dumps(self._document(), indent=2) + "\n"
        write_atomically(self.path / SETTINGS_NAME, document.encode())

    def fill(self, frame: Callable[[int], Picture], *, progress: Progress | None = None) -> int:
        """Render what is missing, in order.

        Args:
            frame: the picture of a frame, (H, W, C) uint8 of this folder's size.
            progress: called at once and after each frame, with the frames there and those in all.
        Returns:
            how many frames were rendered.
        Raises:
            CrepsError: if a frame has another size.
        """
        missing = self.missing()
        for done, index in enumerate(missing):
            if progress is not None:
                progress(self.count - len(missing) + done, self.count)
            picture = frame(index)
            if picture.shape[:2] != self.size:
                height, width = self.size
                raise CrepsError(
                    f"frame {index} is {picture.shape[0]}x{picture.shape[1]}: "
                    f"expected {height}x{width}, one size for the whole film"
                )
            save_picture(self.frame(index), picture, settings={**self.settings, "frame": index})
        if progress is not None:
            progress(self.count, self.count)
        return len(missing)

    def discard(self) -> None:
        """Remove the frames and the settings; the folder too, if nothing else is in it."""
        for pattern in (FRAMES, LEFTOVERS, SETTINGS_NAME):
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody keeps something there
            self.path.rmdir()

    def _document(self) -> dict[str, Any]:
        """What `settings.json` holds."""
        document = {**self.settings, "frames": self.count, "size": list(self.size)}
        plain: dict[str, Any] = json.loads(json.dumps(document))
        return plain

    def _stored(self) -> dict[str, Any] | None:
        try:
            stored = json.loads((self.path / SETTINGS_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stored if isinstance(stored, dict) else None

    def _difference(self) -> str:
        """One line: what the folder holds, and what was asked for."""
        stored, wanted = self._stored(), self._document()
        if stored is None:
            return (
                f"{self.path} holds other things than frames: give another name, or overwrite "
                "(which removes nothing but frames)"
            )
        names = sorted(
            name
            for name in stored.keys() | wanted.keys()
            if _told(stored, name) != _told(wanted, name)
        )
        differences = "; ".join(
            f"{name} is {_told(stored, name)}, asked for {_told(wanted, name)}" for name in names
        )
        return (
            f"{self.path} holds frames of another film: {differences}: "
            "ask for the same to go on, or overwrite to start over"
        )


def _told(settings: Mapping[str, Any], name: str) -> str:
    return json.dumps(settings[name]) if name in settings else "not given"


def _is_sound(path: Path, size: tuple[int, int]) -> bool:
    """Whether a file is a whole PNG of that (width, height); checks sums, decodes nothing."""
    try:
        with path.open("rb") as file:
            image: Image.Image = PngImagePlugin.PngImageFile(file)
            image.verify()
            return image.size == size
    except (OSError, SyntaxError, ValueError):
        return False
