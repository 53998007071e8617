"""Pictures to PNG, JPEG and WebP files, whole or not at all; the settings inside any picture."""

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
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from creps._files import write_atomically
from creps.errors import DataError, GridError, UsageError
from creps.rendering._painter import Picture

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
    TiffImagePlugin.TiffImageFile,
)

INCH = 2
"""EXIF's code of the unit that resolutions are given in."""


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
            "credits" is stored as the copyright notice too, "dpi" as the pixels of an inch.
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
    """The settings inside a picture of any format that is written here; no pixel is decoded.

    Args:
        path: a PNG, JPEG, WebP or TIFF file, a .dzi file with its folder of tiles, or a Zarr
            folder, finished or not.
    Raises:
        DataError: if the file is no picture, or holds no settings of this package.
        OSError: if the file cannot be read.
    """
    path = Path(path)
    try:
        settings = json.loads(_stored_text(path))
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a PNG, JPEG, WebP, TIFF, Zarr or Deep Zoom picture") from None
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
    text = json.dumps(settings)
    software, credits = f"creps {version('creps')}", str(settings.get("credits", ""))
    dpi = settings.get("dpi")
    density = {} if dpi is None else {"dpi": (dpi, dpi)}
    target = BytesIO()
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(SETTINGS_KEY, text)
        chunks.add_itxt("Software", software)
        if credits:
            chunks.add_itxt("Copyright", credits)
        image.save(target, "PNG", pnginfo=chunks, **density)
    else:
        exif = exif_of(settings)
        if kind == "JPEG":
            image.save(target, "JPEG", quality=95, subsampling=0, exif=exif, **density)
        else:
            image.save(target, "WEBP", quality=95, exif=exif)
    return target.getvalue()


def exif_of(settings: Mapping[str, Any]) -> Image.Exif:
    """What the EXIF of a JPEG or WebP says: the settings, and what other programs look for."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = json.dumps(dict(settings))  # ASCII, as EXIF wants it
    exif[ExifTags.Base.Software] = f"creps {version('creps')}"
    if credits := str(settings.get("credits", "")):
        exif[ExifTags.Base.Copyright] = credits
    if dpi := settings.get("dpi"):
        exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = dpi
        exif[ExifTags.Base.ResolutionUnit] = INCH
    return exif


def _stored_text(path: Path) -> str:
    """The text a picture carries for us, empty if none."""
    if path.is_dir():
        document = path / "zarr.json"
        if not document.is_file():
            raise UnidentifiedImageError
        found = json.loads(document.read_bytes()).get("attributes", {}).get(SETTINGS_KEY, {})
        return json.dumps(found.get("settings"))
    if path.suffix.lower() == ".dzi":
        path.stat()
        document = path.with_name(f"{path.stem}_files") / "creps.json"
        return document.read_text(encoding="utf-8") if document.is_file() else ""
    with path.open("rb") as file:
        return _text_in_file(file)


def _text_in_file(file: BinaryIO) -> str:
    """The text in one file.

    The format's own class opens it: `Image.open` would refuse gigapixel pictures as a precaution
    against decoding them, and nothing is decoded here.
    """
    for opener in _OPENERS:
        file.seek(0)
        try:
            image = opener(file)
        except (SyntaxError, OSError):  # Pillow's words for "another format"
            continue
        # TIFF has what EXIF has, one level higher: Pillow gives both in one way.
        in_exif = image.getexif().get(ExifTags.Base.ImageDescription, "")
        return str(image.info.get(SETTINGS_KEY, in_exif))
    raise UnidentifiedImageError
