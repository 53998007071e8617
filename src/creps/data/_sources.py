"""Pictures to learn from or to measure against: a folder, ZIP or tar file of images of any size."""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import numpy as np

from creps.data._archives import Entry, Store, TarStore, is_image_name, open_store, remembered
from creps.data._pixels import Header, check_channels, decode, header_size, read_header
from creps.errors import DataError, LabelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS_NAME = "dataset.json"
"""The list of labels in the root of a set, as the field writes it."""

_SHARD = re.compile(r"\d{5}")  # 00000/, 00001/, ...: how large sets are split, not classes


def read_labels(
    store: Store, listed: Sequence[Entry], entries: Sequence[Entry]
) -> tuple[list[str], dict[str, int]]:
    """Class names, and the label of every image by its name: listed, of shards, or by folder.

    `listed` are all files of the set, `entries` its images, broken ones included. A LabelError if
    labels are missing, malformed or incomplete.
    """
    names = [entry.name for entry in entries]
    if isinstance(store, TarStore):
        return _shard_labels(names, store.labels())
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


def _shard_labels(
    names: Sequence[str], labels: dict[str, int | str | None]
) -> tuple[list[str], dict[str, int]]:
    """Labels from `.cls` or `.json` files: numbers, or names that are numbered in their order."""
    missing = [name for name in names if labels[name] is None]
    if missing:
        raise LabelError(
            f"no class label for {len(missing)} of {len(names)} images, as {missing[0]}: expected "
            'a .cls file next to each, or .json with "label"'
        )
    found = {name: label for name in names if (label := labels[name]) is not None}
    numbers = {name: label for name, label in found.items() if isinstance(label, int)}
    if len(numbers) == len(found):
        return [str(number) for number in range(max(numbers.values()) + 1)], numbers
    classes = sorted({str(label) for label in found.values()})
    number_of = {name: number for number, name in enumerate(classes)}
    return classes, {name: number_of[str(label)] for name, label in found.items()}


ATTRIBUTION_NAME = "ATTRIBUTION.txt"


def open_images(
    path: str | os.PathLike[str], *, channels: int = 3, labels: bool = False
) -> ImageSource:
    """Open a folder (with the folders in it), a ZIP file or WebDataset tar shards of images.

    Every file with the suffix of a format that Pillow reads is opened; hidden and other files are
    skipped. Files with a broken header are left out and named in `broken`. What a large
    archive holds is remembered in the user's cache folder, so that it opens at once the next time.

    Args:
        path: the folder or ZIP file; one tar file, a folder of them, or `data-{0000..0012}.tar`.
        channels: 1 (gray), 3 (RGB) or 4 (RGB and alpha), of the pictures returned.
        labels: whether to read class labels: of shards, from the `.cls` or `.json` file next to an
            image; otherwise from `dataset.json` in the root, as the field writes it
            (`{"labels": [["name.png", 3], ...]}`), or else from sub-folders, one class each in the
            order of their names, where every image lies in one. Folders named by five digits are
            parts of one set and no classes.
    Raises:
        ConfigError: for another number of channels.
        DataError: if there is nothing at `path`, no image in it, or it cannot be read.
        LabelError: if labels are requested and missing or malformed.
    """
    check_channels(channels)
    store = open_store(path)
    listed = store.entries()
    entries = [entry for entry in listed if is_image_name(entry.name)]
    sizes = _read_sizes(store, [entry.name for entry in entries])
    broken = [entry.name for entry in entries if entry.name not in sizes]
    if not sizes:
        found = f"{len(broken)} broken files, the first {broken[0]}" if broken else "none found"
        raise DataError(f"no images that can be read in {os.fspath(path)}: {found}")
    classes, by_name = ([], {}) if not labels else read_labels(store, listed, entries)
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
    """The readable images of a folder, ZIP file or tar shards, in the order of their names.

    Reading is safe from threads, forked and spawned processes; the source may be pickled. Made by
    `open_images`.

    Attributes:
        names: of the images, below the root, with forward slashes.
        broken: names of the files that were left out.
        channels: of every picture, 1, 3 or 4.
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

    def image(
        self, index: int, *, precise: bool = False, shortest: int = 0
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        """(H, W, channels) pixels of one image, upright; transparency composited on white.

        Args:
            index: which image.
            precise: float32 on the scale 0 .. 255, not rounded to 8 bits, instead of uint8.
            shortest: pixels of the shorter side that are enough; a much larger JPEG is then read
                at a half, a quarter or an eighth of its size. 0 reads every pixel.
        Raises:
            DataError: naming the file, if it is truncated, damaged or gone.
        """
        name = self.names[index]
        try:
            content = io.BytesIO(self._store.read(name))
            return decode(content, self.channels, precise=precise, shortest=shortest)
        except (MemoryError, DataError):
            raise
        except Exception as error:  # readers of damaged files raise nearly anything
            raise DataError(f"cannot decode image {name}: {error}") from None

    def companion(self, name: str) -> bytes:
        """A file of the set besides its images; a KeyError if there is none."""
        try:
            return self._store.read(name)
        except OSError:
            raise KeyError(name) from None

    def header(self, index: int) -> Header:
        """What the header of one image file says; a DataError if it is damaged or gone."""
        name = self.names[index]
        try:
            with self._store.open(name) as stream:
                return read_header(stream)
        except Exception as error:  # readers of damaged files raise nearly anything
            raise DataError(f"cannot read image {name}: {error}") from None

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of one image as its file has it, upright; known without decoding."""
        height, width = self._sizes[index]
        return int(height), int(width)

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(N, 2) heights and widths of all images."""
        return self._sizes

    def label(self, index: int) -> int | None:
        """The class of one image, 0 .. num_classes - 1; None without labels."""
        return None if self._labels is None else int(self._labels[index])

    @property
    def num_classes(self) -> int:
        """How many classes there are; 0 without labels."""
        return len(self.class_names)


def _read_sizes(store: Store, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(height, width) of every image whose header can be read."""

    def read() -> list[list[int] | None]:
        sizes = (_try_header(store, name) for name in names)
        return [None if size is None else list(size) for size in sizes]

    stamp = store.stamp()
    rows = read() if stamp is None else remembered("sizes", stamp, read)
    return {name: (row[0], row[1]) for name, row in zip(names, rows, strict=True) if row}


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
