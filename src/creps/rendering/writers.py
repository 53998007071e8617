"""Pictures to PNG, JPEG and WebP files: whole or not at all, with their settings inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from PIL import (
    ExifTags,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from creps.errors import DataError, GridError, UsageError
from creps.files import write_atomically
from creps.rendering.renderer import Picture

Format = Literal["PNG", "JPEG", "WEBP"]

FORMATS: dict[str, Format] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Formats by file suffix."""

LONGEST_SIDE: dict[Format, int] = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}
"""Pixels of a side that a format can hold (JPEG: what libjpeg writes)."""

SETTINGS_KEY = "creps"
"""PNG text key of the settings; JPEG and WebP hold them in the EXIF image description."""

_OPENERS: tuple[type[ImageFile.ImageFile], ...] = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    WebPImagePlugin.WebPImageFile,
)


def refuse_beyond_format(path: str | Path, height: int, width: int) -> None:
    """Raise if the format that the suffix of `path` names cannot hold a picture of this size.

    Raises:
        UsageError: for an unknown suffix.
        GridError: if a side is too long; says which format has room.
    """
    kind = _format(Path(path))
    longest = LONGEST_SIDE[kind]
    if max(height, width) > longest:
        raise GridError(
            f"size {height}x{width}: {kind} holds at most {longest} pixels a side, "
            "write a PNG instead"
        )


def save_picture(
    path: str | Path, picture: Picture, *, settings: Mapping[str, Any] | None = None
) -> None:
    """Write a picture to a file; the format follows the suffix (.png, .jpg, .jpeg, .webp).

    The file appears whole or not at all: it is encoded in memory before the disk is touched; a file
    of that name is replaced. JPEG and WebP have quality 95, JPEG no colour subsampling.

    Args:
        path: where to; its folder must exist.
        picture: (H, W, 3) or (H, W, 1) uint8.
        settings: JSON values that say how the picture was made, for `read_settings`; the entry
            "credits" is stored as the copyright notice too.
    Raises:
        UsageError: for an unknown suffix, or a picture of another shape or type.
        GridError: if the format cannot hold a picture of this size.
        OSError: if the file cannot be written, with its name.
    """
    path = Path(path)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise UsageError(
            f"picture of shape {picture.shape} and type {picture.dtype}: "
            "expected (H, W, 3) or (H, W, 1) uint8"
        )
    refuse_beyond_format(path, *picture.shape[:2])
    write_atomically(path, _encode(picture, _format(path), dict(settings or {})))


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings that `save_picture` stored in a picture; no pixel is decoded.

    Raises:
        DataError: if the file is no picture, or holds no settings of this package.
        OSError: if the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            settings = json.loads(_stored_text(file))
        except UnidentifiedImageError:
            raise DataError(f"{path}: not a PNG, JPEG or WebP picture") from None
        except ValueError:
            settings = None
    if not isinstance(settings, dict):
        raise DataError(f"{path}: no settings inside, it was not written by creps")
    return settings


def _format(path: Path) -> Format:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path.name}: unknown picture format, expected {', '.join(FORMATS)}")
    return kind


def _encode(picture: Picture, kind: Format, settings: dict[str, Any]) -> bytes:
    """The bytes of the whole file."""
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    text = json.dumps(settings)  # ASCII, as EXIF wants it
    software, credits = f"creps {version('creps')}", str(settings.get("credits", ""))
    target = BytesIO()
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(SETTINGS_KEY, text)
        chunks.add_itxt("Software", software)
        if credits:
            chunks.add_itxt("Copyright", credits)
        image.save(target, "PNG", pnginfo=chunks)
    else:
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = text
        exif[ExifTags.Base.Software] = software
        if credits:
            exif[ExifTags.Base.Copyright] = credits
        if kind == "JPEG":
            image.save(target, "JPEG", quality=95, subsampling=0, exif=exif)
        else:
            image.save(target, "WEBP", quality=95, exif=exif)
    return target.getvalue()


def _stored_text(file: BinaryIO) -> str:
    """The text a picture file carries for us, empty if none.

    The format's own class opens it: `Image.open` would refuse gigapixel pictures as a precaution
    against decoding them, and nothing is decoded here.
    """
    for opener in _OPENERS:
        file.seek(0)
        try:
            image = opener(file)
        except (SyntaxError, OSError):  # Pillow's words for "another format"
            continue
        in_exif = image.getexif().get(ExifTags.Base.ImageDescription, "")
        return str(image.info.get(SETTINGS_KEY, in_exif))
    raise UnidentifiedImageError
