"""Pictures to learn from or to measure against: a folder or ZIP file of images of any size."""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, final

import numpy as np
from PIL import Image

from creps.data.pixels import check_channels, decode, header_size, square
from creps.data.stores import Entry, Store, open_store
from creps.errors import DataError, LabelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ImageSource", "open_images", "square"]

LABELS_NAME = "dataset.json"
ATTRIBUTION_NAME = "ATTRIBUTION.txt"

_FOREIGN = frozenset(
    {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
)  # formats that need other programs
_SHARD = re.compile(r"\d{5}")  # 00000/, 00001/, ...: how large sets are split, not classes


def open_images(
    path: str | os.PathLike[str], *, channels: int = 3, labels: bool = False
) -> ImageSource:
    """Open a folder (with the folders in it) or a ZIP file of images.

    Every file whose name ends like a format that Pillow reads is looked at; hidden and other files
    are passed over. Files with a broken header are left out and named in `broken`.

    Args:
        path: the folder or ZIP file.
        channels: 1 (gray) or 3 (RGB), of the pictures handed out.
        labels: whether to read class labels: from `dataset.json` in the root, as the field writes
            it (`{"labels": [["name.png", 3], ...]}`), or else from sub-folders, one class each in
            the order of their names, where every image lies in one. Folders named by five digits
            are parts of one set and no classes.
    Raises:
        ConfigError: for another number of channels.
        DataError: if there is nothing at `path`, no image in it, or it cannot be read.
        LabelError: if labels are asked for and missing or malformed.
    """
    check_channels(channels)
    store = open_store(path)
    listed = store.entries()
    entries = [entry for entry in listed if _extension(entry.name) in _extensions()]
    sizes: dict[str, tuple[int, int]] = {}
    for entry in entries:
        size = _try_header(store, entry.name)
        if size is not None:
            sizes[entry.name] = size
    broken = [entry.name for entry in entries if entry.name not in sizes]
    if not sizes:
        found = f"{len(broken)} broken files, the first {broken[0]}" if broken else "none found"
        raise DataError(f"no images that can be read in {os.fspath(path)}: {found}")
    classes, by_name = ([], {}) if not labels else _read_labels(store, listed, entries)
    return ImageSource(
        store,
        [entry for entry in entries if entry.name in sizes],
        sizes=sizes,
        channels=channels,
        broken=broken,
        class_names=classes,
        labels=by_name if labels else None,
        attribution=_attribution(store, listed),
    )


@final
class ImageSource:
    """The readable images of a folder or ZIP file, in the order of their names.

    Reading is safe from threads, forked and spawned processes; the source may be pickled. Made by
    `open_images`.

    Attributes:
        names: of the images, below the root, with forward slashes.
        broken: names of the files that were left out.
        channels: of every picture, 1 or 3.
        class_names: of the classes, in the order of their labels; empty without labels.
        fingerprint: hexadecimal SHA-256 of names, file sizes, checksums (ZIP) and labels: another
            set, or the same images renamed, has another one, wherever it lies.
        attribution: the text of the set's ATTRIBUTION.txt, which travels with models trained on it;
            empty if there is none.
    """

    def __init__(
        self,
        store: Store,
        entries: Sequence[Entry],
        *,
        sizes: dict[str, tuple[int, int]],
        channels: int,
        broken: Sequence[str],
        class_names: Sequence[str],
        labels: dict[str, int] | None,
        attribution: str,
    ) -> None:
        self._store = store
        self.names = tuple(entry.name for entry in entries)
        self.channels = channels
        self.broken = list(broken)
        self.class_names = tuple(class_names)
        self.attribution = attribution
        # Arrays, not lists of tuples: large sets are copied to every loading process.
        self._sizes = np.array([sizes[name] for name in self.names], np.int32)
        self._labels = (
            None if labels is None else np.array([labels[n] for n in self.names], np.int64)
        )
        rows = [
            [entry.name, entry.size, entry.crc, self.label(i)] for i, entry in enumerate(entries)
        ]
        self.fingerprint = hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, channels) uint8 pixels of one image, upright, transparency laid on white.

        Raises:
            DataError: naming the file, if it is truncated, damaged or gone.
        """
        name = self.names[index]
        try:
            return decode(io.BytesIO(self._store.read(name)), self.channels)
        except (MemoryError, DataError):
            raise
        except Exception as error:  # readers of damaged files raise nearly anything
            raise DataError(f"cannot decode image {name}: {error}") from None

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of one image as its file has it, upright; known without decoding."""
        height, width = self._sizes[index]
        return int(height), int(width)

    def label(self, index: int) -> int | None:
        """The class of one image, 0 .. num_classes - 1; None without labels."""
        return None if self._labels is None else int(self._labels[index])

    @property
    def num_classes(self) -> int:
        """How many classes there are; 0 without labels."""
        return len(self.class_names)


def _try_header(store: Store, name: str) -> tuple[int, int] | None:
    """(height, width) of an image file, None if its header is broken."""
    try:
        with store.open(name) as stream:
            return header_size(stream)
    except MemoryError:
        raise
    except Exception:  # readers of damaged files raise nearly anything
        return None


def _attribution(store: Store, listed: Sequence[Entry]) -> str:
    """Whom the set asks to credit."""
    if not any(entry.name == ATTRIBUTION_NAME for entry in listed):
        return ""
    return store.read(ATTRIBUTION_NAME).decode("utf-8", errors="replace").strip()


def _read_labels(
    store: Store, listed: Sequence[Entry], entries: Sequence[Entry]
) -> tuple[list[str], dict[str, int]]:
    """Class names, and the label of every image by its name."""
    names = [entry.name for entry in entries]
    if any(entry.name == LABELS_NAME for entry in listed):
        try:
            pairs = json.loads(store.read(LABELS_NAME))["labels"]
            by_name = None if pairs is None else dict(pairs)
        except (ValueError, KeyError, TypeError):
            raise LabelError(
                f'{LABELS_NAME} is malformed: expected {{"labels": [["name.png", 3], ...]}}'
            ) from None
        if by_name is not None:
            return _listed_labels(names, by_name)
    return _folder_labels(names)


def _listed_labels(
    names: Sequence[str], labels: dict[str, object]
) -> tuple[list[str], dict[str, int]]:
    """Labels as `dataset.json` lists them; classes are named by their number."""
    missing = [name for name in names if name not in labels]
    if missing:
        raise LabelError(f"{LABELS_NAME} has no label for {len(missing)} images, as {missing[0]}")
    checked: dict[str, int] = {}
    for name, label in labels.items():
        if not isinstance(label, int) or isinstance(label, bool) or label < 0:
            raise LabelError(f"label of {name} is {label!r}: expected a class number, 0 or more")
        checked[name] = label
    return [str(number) for number in range(max(checked.values()) + 1)], checked


def _folder_labels(names: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """Labels from the folders just below the one that all images share."""
    folders = [posixpath.dirname(name) for name in names]
    shared = posixpath.commonpath(folders) if all(folders) else ""
    depth = len(shared.split("/")) if shared else 0
    parts = [folder.split("/")[depth : depth + 1] if folder else [] for folder in folders]
    if not all(parts) or all(_SHARD.fullmatch(part[0]) for part in parts):
        raise LabelError(
            f"no class labels: expected {LABELS_NAME}, "
            "or every image in a sub-folder that is named by its class"
        )
    classes = sorted({part[0] for part in parts})
    numbers = {name: number for number, name in enumerate(classes)}
    return classes, {name: numbers[part[0]] for name, part in zip(names, parts, strict=True)}


@lru_cache(maxsize=1)
def _extensions() -> frozenset[str]:
    """Lower-case file endings of the formats that Pillow reads by itself."""
    known = Image.registered_extensions()
    return frozenset(e for e, kind in known.items() if kind in Image.OPEN and kind not in _FOREIGN)


def _extension(name: str) -> str:
    return posixpath.splitext(name)[1].lower()
