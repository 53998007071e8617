"""PNG, JPEG and WebP of small pictures, and the settings inside pictures of any format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

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

from creps import __version__
from creps._json import parse_json
from creps.errors import DataError, GridError, UsageError
from creps.rendering._painter import Picture
from creps.rendering.output._color import profile
from creps.rendering.output._compression import Compression

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

SOFTWARE = f"creps {__version__}"
QUALITY = 95
"""Of JPEG and WebP."""

UNFINISHED = "picture.json"
"""What says in the folder of an unfinished picture which one it is."""

INCH = 2
"""EXIF's code of the unit that resolutions are given in."""
SRGB = 1
"""EXIF's code of a color space."""
PERCEPTUAL = b"\0"
"""The rendering intent of a PNG's sRGB chunk."""


def refuse_beyond_format(path: str | Path, height: int, width: int) -> None:
    """Raise a GridError if a picture of this size is too long for the format of `path`."""
    kind = FORMATS.get(Path(path).suffix.lower())
    longest = None if kind is None else LONGEST_SIDE[kind]
    if longest is not None and max(height, width) > longest:
        raise GridError(
            f"size {height}x{width}: {kind} holds at most {longest} pixels a side, "
            "write a PNG instead"
        )


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings inside a picture of any format that is written here; no pixel is decoded.

    Args:
        path: a PNG, JPEG, WebP or TIFF file, a .dzi file with its folder of tiles, or a Zarr
            folder, finished or not.
    Raises:
        DataError: if the file is not a picture, or holds no settings of this package.
        OSError: if the file cannot be read.
    """
    path = Path(path)
    try:
        settings = parse_json(_stored_text(path))
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a PNG, JPEG, WebP, TIFF, Zarr or Deep Zoom picture") from None
    except ValueError:
        settings = None
    if settings is None:
        raise DataError(f"{path}: no settings inside, it was not written by creps")
    return settings


DEEP_ZOOM_TILE, DEEP_ZOOM_OVERLAP = 254, 1
"""Pixels of a tile's side, and of what it shows of its neighbors; 256 pixels together."""


def tiles_folder(path: Path) -> Path:
    """Where the tiles of a Deep Zoom image are: NAME_files next to NAME.dzi."""
    return path.with_name(f"{path.stem}_files")


def encode(
    picture: Picture,
    path: Path,
    settings: Mapping[str, Any],
    *,
    compression: Compression | None = None,
) -> bytes:
    """The bytes of a whole PNG, JPEG or WebP file, as the suffix of `path` says."""
    kind, channels = FORMATS[path.suffix.lower()], picture.shape[2]
    image = Image.fromarray(picture[:, :, 0] if channels == 1 else picture)
    if kind == "JPEG" and channels == 4:  # it has no opacity
        image = on_white(image)
    options: dict[str, Any] = {"quality": QUALITY}
    if kind == "JPEG":
        options["subsampling"] = 0
    if kind == "PNG":
        options = {} if compression is None else {"compress_level": compression.level or 0}
    else:
        options["icc_profile"] = profile(len(image.getbands()) if kind == "JPEG" else 3)
    target = BytesIO()
    image.save(target, kind, **options, **settings_inside(kind, settings))
    return target.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """A picture in colors, without opacity: what lets white through where it is transparent."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def settings_inside(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What Pillow writes into a file: the settings, and that colors are sRGB; where it can."""
    dpi = settings.get("dpi")
    density = {} if dpi is None or kind == "WEBP" else {"dpi": (dpi, dpi)}
    if kind in ("JPEG", "WEBP", "TIFF"):
        return {"exif": exif_of(settings), **density}
    if kind != "PNG":
        return {}
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sRGB", PERCEPTUAL)
    for keyword, note in notes_of(settings).items():
        chunks.add_itxt(keyword, note)
    return {"pnginfo": chunks, **density}


def credits_of(settings: Mapping[str, Any]) -> str:
    """The copyright notice; empty if there is none."""
    return str(settings.get("credits", ""))


def notes_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """What the texts of a PNG say."""
    notes = {SETTINGS_KEY: json.dumps(dict(settings)), "Software": SOFTWARE}
    if credits := credits_of(settings):
        notes["Copyright"] = credits
    return notes


def exif_of(settings: Mapping[str, Any]) -> Image.Exif:
    """What the EXIF of a JPEG or WebP says: the settings, and fields that other programs read."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = json.dumps(dict(settings))  # ASCII, as EXIF wants it
    exif[ExifTags.Base.Software] = SOFTWARE
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = SRGB
    if credits := credits_of(settings):
        exif[ExifTags.Base.Copyright] = credits.encode()  # as UTF-8, which programs read there
    if dpi := settings.get("dpi"):
        exif[ExifTags.Base.XResolution] = exif[ExifTags.Base.YResolution] = dpi
        exif[ExifTags.Base.ResolutionUnit] = INCH
    return exif


def refuse_other_settings(
    path: Path | str, there: Mapping[str, Any], asked: Mapping[str, Any]
) -> None:
    """Raise a UsageError that names the settings in which unfinished work differs."""
    differences = [
        f"{name} {there.get(name)}, not {asked.get(name)}"
        for name in sorted(there.keys() | asked.keys())
        if there.get(name) != asked.get(name)
    ]
    if differences:
        raise UsageError(
            f"{path} was begun with {'; '.join(differences)}: "
            "use the same settings to resume, or --overwrite it"
        )


def _stored_text(path: Path) -> str:
    """The text a picture carries for us, empty if none."""
    if path.is_dir():
        for name, inside in ((UNFINISHED, ()), ("zarr.json", ("attributes", SETTINGS_KEY))):
            if (path / name).is_file():
                found = parse_json((path / name).read_bytes())
                for key in (*inside, "settings"):
                    found = found.get(key)
                    if not isinstance(found, dict):
                        raise ValueError(f"no {key}")
                return json.dumps(found)
        raise UnidentifiedImageError
    if path.suffix.lower() == ".dzi":
        path.stat()
        document = tiles_folder(path) / "creps.json"
        return document.read_text(encoding="utf-8") if document.is_file() else ""
    with path.open("rb") as file:
        return _text_in_file(file)


def _text_in_file(file: BinaryIO) -> str:
    """The text in one file; nothing is decoded, so not `Image.open`, which refuses gigapixels."""
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
