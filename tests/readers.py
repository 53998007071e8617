"""What other programs see of our TIFF files; `python tests/readers.py` prints the docs' table.

Each reader gives the pixels of every level that it finds, the largest first, as (H, W, C).
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creps.rendering import save_picture
from creps.rendering.output._levels import halve

Levels = list[NDArray[Any]]

HEIGHT, WIDTH = 1301, 898
"""Odd, and odd again at half the size."""

KINDS: dict[str, dict[str, Any]] = {
    "color": {},
    "gray": {"channels": 1},
    "opacity": {"channels": 4},
    "16 bits": {"dtype": np.uint16},
    "zstd": {"compression": "zstd"},
    "lzw": {"compression": "lzw"},
}
"""Columns of the table: what is in the file."""


def by_openslide(path: Path) -> Levels:
    return _levels_of_slide(importlib.import_module("openslide").OpenSlide, path)


def by_tiffslide(path: Path) -> Levels:
    return _levels_of_slide(importlib.import_module("tiffslide").TiffSlide, path)


def _levels_of_slide(opener: Callable[[Path], Any], path: Path) -> Levels:
    with opener(path) as slide:
        return [
            np.asarray(slide.read_region((0, 0), level, size))
            for level, size in enumerate(slide.level_dimensions)
        ]


def by_gdal(path: Path) -> Levels:
    rasterio = importlib.import_module("rasterio")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a picture lies nowhere on Earth
        with rasterio.open(path) as file:
            count = len(file.overviews(1))
            levels = [np.moveaxis(file.read(), 0, 2)]
        for level in range(count):
            with rasterio.open(path, overview_level=level) as file:
                levels.append(np.moveaxis(file.read(), 0, 2))
    return levels


def by_vips(path: Path) -> Levels:
    pyvips = importlib.import_module("pyvips")
    pages = pyvips.Image.new_from_file(str(path), revalidate=True).get_n_pages()
    images = [
        pyvips.Image.new_from_file(str(path), page=page, revalidate=True) for page in range(pages)
    ]
    return [image.numpy().reshape(image.height, image.width, image.bands) for image in images]


def by_tifffile(path: Path) -> Levels:
    tifffile = importlib.import_module("tifffile")
    with tifffile.TiffFile(path) as file:
        return [_with_channels(level.asarray()) for level in file.series[0].levels]


def by_pillow(path: Path) -> Levels:
    from PIL import Image, ImageSequence

    with Image.open(path) as image:
        return [_with_channels(np.asarray(page)) for page in ImageSequence.Iterator(image)]


READERS: dict[str, tuple[str, Callable[[Path], Levels]]] = {
    "OpenSlide": ("openslide-bin", by_openslide),
    "tiffslide": ("tiffslide", by_tiffslide),
    "GDAL": ("rasterio", by_gdal),
    "libvips": ("pyvips-binary", by_vips),
    "tifffile": ("tifffile", by_tifffile),
    "Pillow": ("pillow", by_pillow),
}
"""By name: the package that it comes in, and what reads with it."""


def picture_of(channels: int = 3, dtype: Any = np.uint8) -> NDArray[Any]:
    """(HEIGHT, WIDTH, channels): waves and noise, opaque in one half and not in the other."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(y / 90 + k) + np.cos(x / 130 - k) for k in range(channels)]
    noise = np.random.default_rng(0).normal(scale=0.05, size=(HEIGHT, WIDTH, channels))
    levels = (np.stack(waves, 2) + noise + 2.5) / 5
    if channels == 4:
        levels[:, : WIDTH // 2, 3] = 1
    white = np.iinfo(dtype).max
    return np.rint(levels.clip(0, 1) * white).astype(dtype)


def written(folder: Path, kind: str) -> tuple[Path, Levels]:
    """A file of a kind, and its levels as they are meant."""
    options = dict(KINDS[kind])
    compression = options.pop("compression", None)
    picture = picture_of(**options)
    path = folder / f"{kind}.tif"
    save_picture(picture, path, settings={"dpi": 300}, compression=compression)
    levels = [picture]
    while max(levels[-1].shape) > 512:
        levels.append(halve(levels[-1]))
    return path, levels


def seen(reader: str, path: Path, meant: Levels) -> str:
    """What a reader sees of a file, in words: how many levels, and what is wrong with colors."""
    try:
        found = [_with_channels(each) for each in READERS[reader][1](path)]
    except Exception as error:
        return f"refused ({type(error).__name__})"
    if [each.shape[:2] for each in found] != [each.shape[:2] for each in meant][: len(found)]:
        return "other sizes"
    pairs = list(zip(found, meant, strict=False))
    levels = "1 level" if len(found) == 1 else f"{len(found)} levels"
    if all(np.array_equal(_alike(each, like), like) for each, like in pairs):
        return levels
    if not any(each.any() for each in found):
        return "black"
    if all(_in_8_bits(each, like) for each, like in pairs):
        return f"{levels}, 8 bits"
    if all(_seen_alike(each, like) for each, like in pairs):
        return f"{levels}, within 2 of 255 as seen"
    return f"{levels}, other colors"


def _alike(found: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """With the channels of another picture: gray of equal ones, opaque or not."""
    channels = like.shape[2]
    if channels == 1 and found.shape[2] >= 3 and (found[..., :1] == found[..., :3]).all():
        found = found[..., :1]
    return found[..., :channels]


def _in_8_bits(found: NDArray[Any], like: NDArray[Any]) -> bool:
    if like.dtype != np.uint16 or found.dtype != np.uint8:
        return False
    return bool(np.abs(_alike(found, like).astype(int) - like // 257).max() <= 1)


def _seen_alike(found: NDArray[Any], like: NDArray[Any]) -> bool:
    """Whether colors differ only where they are not seen."""
    if like.shape[2] != 4 or found.shape[2] != 4:
        return False
    difference = np.abs(found.astype(float) - like)[..., :3] * (like[..., 3:] / 255)
    return bool(difference.max() <= 2 and np.array_equal(found[..., 3], like[..., 3]))


def _with_channels(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.ndim == 3 else array[:, :, None]


def installed(reader: str) -> str | None:
    """The version of a reader's package; None where it is not installed."""
    try:
        return metadata.version(READERS[reader][0])
    except metadata.PackageNotFoundError:
        return None


def table(folder: Path) -> Iterator[str]:
    """The rows of the table, of the readers that are installed."""
    files = {kind: written(folder, kind) for kind in KINDS}
    yield f"| | package | {' | '.join(KINDS)} |"
    yield "|---" * (2 + len(KINDS)) + "|"
    for reader, (package, _) in READERS.items():
        if (version := installed(reader)) is not None:
            cells = [seen(reader, *files[kind]) for kind in KINDS]
            yield f"| {reader} | {package} {version} | {' | '.join(cells)} |"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print("\n".join(table(Path(place))))
