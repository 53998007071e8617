"""Pictures to learn from or to measure against: a folder, ZIP or tar file of images of any size."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from creps.data._archives import open_store
from creps.data._labels import Classes, read_classes
from creps.data._store import MOST_NOTE, Entry, Listing, Store, passed_over_text, remembered
from creps.errors import DataError, one_line
from creps.pixels._decoding import Header, check_channels, decode, read_header
from creps.pixels._opening import reason_of, why_broken

if TYPE_CHECKING:
    from numpy.typing import NDArray

ATTRIBUTION_NAME = "ATTRIBUTION.txt"
_LONGEST_CREDIT = 1 << 22  # bytes


def open_images(
    path: str | os.PathLike[str],
    *,
    channels: int = 3,
    labels: bool = False,
    keep_colors: bool = False,
) -> ImageSource:
    """Open a folder (with the folders in it), ZIP file, tar shards, parquet files or LMDB.

    Every file with the suffix of a format that Pillow reads is opened; other files are counted in
    `passed_over`, hidden ones are not. Files with a broken header are left out and named in
    `broken`, with the reason. What a large archive holds is remembered in the user's cache folder,
    so that it opens at once the next time.

    Args:
        path: the folder or ZIP file; one tar or parquet file, a folder of them, or
            `data-{0000..0012}.tar`; a folder with `data.mdb`, or an `.lmdb` file.
        channels: 1 (gray), 3 (RGB) or 4 (RGB and alpha), of the pictures returned.
        labels: whether to read class labels: of shards, from the `.cls` or `.json` file next to an
            image; of parquet, from its column; otherwise from `dataset.json`, as the field writes
            it (`{"labels": [["name.png", 3], ...]}`), in the root or a folder, or else from
            sub-folders, one class each, where every image lies in one. Classes that occur are
            numbered in the order of their numbers or names. Folders named by five digits are parts
            of one set and no classes.
        keep_colors: take values as they are, whatever color profile a picture has; otherwise its
            colors are converted to sRGB.
    Raises:
        ConfigError: for another number of channels.
        DataError: if there is nothing at `path`, no image in it, or it cannot be read.
        LabelError: if labels are requested and missing or malformed.
    """
    check_channels(channels)
    store = open_store(path)
    listing = store.listing()
    scans = _scan_headers(store, [entry.name for entry in listing.images])
    broken = {name: scan for name, scan in scans.items() if isinstance(scan, str)}
    headers = {name: scan for name, scan in scans.items() if not isinstance(scan, str)}
    if not headers:
        reasons = [f"{name} ({why})" for name, why in broken.items()]
        many = f"{len(broken)} broken files, the first " if len(broken) > 1 else "one broken file, "
        found = f"{many}{reasons[0]}" if broken else "none found"
        left_out = passed_over_text(listing.passed_over)
        told = f"{found}; {left_out}" if left_out else found
        raise DataError(f"no images that can be read in {os.fspath(path)}: {told}")
    return ImageSource(
        store,
        [entry for entry in listing.images if entry.name in headers],
        headers=headers,
        channels=channels,
        keep_colors=keep_colors,
        broken=broken,
        passed_over=listing.passed_over,
        classes=_classes(store, listing, headers) if labels else None,
        attribution=_attribution(store, listing),
    )


def classes_of(path: str | os.PathLike[str], source: ImageSource) -> Classes:
    """The classes of a set that was opened without; errors as `open_images` with labels."""
    store = open_store(path)
    return _classes(store, store.listing(), set(source.names))


def _classes(store: Store, listing: Listing, names: Container[str]) -> Classes:
    """The classes of the images that can be read."""
    return read_classes(
        store, replace(listing, images=[e for e in listing.images if e.name in names])
    )


@dataclass(frozen=True, slots=True)
class _Scan:
    """What is kept of the header of an image: its upright size, and what its colors are."""

    height: int
    width: int
    profile: str = ""  # the name and the digest of what is converted; empty for sRGB
    digest: str = ""


@final
class ImageSource:
    """The readable images of a folder, ZIP file or tar shards, in the order of their names.

    Reading is safe from threads, forked and spawned processes; the source may be pickled. Made by
    `open_images`.

    Attributes:
        names: of the images, below the root, with forward slashes.
        broken: names of the files that were left out, and why.
        passed_over: how many files of each ending are neither pictures nor notes about them.
        converted: how many pictures have colors of another profile than sRGB, by its name.
        keep_colors: whether these are taken as they are.
        channels: of every picture, 1, 3 or 4.
        class_names: of the classes, in the order of their labels; empty without labels.
        fingerprint: hexadecimal SHA-256 of names, file sizes, checksums (ZIP), labels and the
            profiles that are converted: another set, or the same images renamed, has another one,
            wherever it lies.
        attribution: the text of the set's ATTRIBUTION.txt, which travels with models trained on it;
            empty if there is none.
    """

    def __init__(
        self,
        store: Store,
        entries: Sequence[Entry],
        *,
        headers: Mapping[str, _Scan],
        channels: int,
        keep_colors: bool,
        broken: Mapping[str, str],
        passed_over: Mapping[str, int],
        classes: Classes | None,
        attribution: str,
    ) -> None:
        self._store = store
        self.names = tuple(entry.name for entry in entries)
        self.channels, self.keep_colors = channels, keep_colors
        self.broken, self.passed_over = dict(broken), dict(passed_over)
        self.class_names = classes.names if classes else ()
        self.attribution = attribution
        scans = [headers[name] for name in self.names]
        named = Counter(scan.profile for scan in scans if scan.digest)
        self.converted = dict(named.most_common())
        # Arrays, not lists of tuples: large sets are copied to every loading process.
        self._sizes = np.array([(scan.height, scan.width) for scan in scans], np.int32)
        known = [entry.size if store.sized else -1 for entry in entries]
        self._bytes = np.array(known, np.int64)
        self._labels = (
            np.array([classes.of[name] for name in self.names], np.int64) if classes else None
        )
        rows: list[list[object]] = [
            [entry.name, entry.size, entry.crc, self.label(i)] for i, entry in enumerate(entries)
        ]
        if not keep_colors:
            rows = [
                [*row, scan.digest] if scan.digest else row
                for row, scan in zip(rows, scans, strict=True)
            ]
        self.fingerprint = hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def image(
        self, index: int, *, precise: bool = False, shortest: int = 0, square: bool = False
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        """(H, W, channels) pixels of one image, upright, in sRGB; transparency laid on white.

        Args:
            index: which image.
            precise: float32 on the scale 0 .. 255, not rounded to 8 bits, instead of uint8.
            shortest: pixels of the shorter side that are enough; a much larger JPEG is then read
                at a half, a quarter or an eighth of its size. 0 reads every pixel.
            square: the largest centered square alone.
        Raises:
            DataError: naming the file, if it is truncated, damaged, gone, or no longer the one that
                the fingerprint counts.
        """
        name = self.names[index]
        try:
            content = io.BytesIO(self._store.read(name))
        except FileNotFoundError:
            raise DataError(f"cannot read {name}: it is gone") from None
        known, found = int(self._bytes[index]), content.getbuffer().nbytes
        if found != known >= 0:
            raise DataError(f"{name} has changed: it has {found:,} bytes, no longer {known:,}")
        try:
            return decode(
                content,
                self.channels,
                precise=precise,
                shortest=shortest,
                keep_colors=self.keep_colors,
                square=square,
            )
        except MemoryError:
            raise
        except Exception as error:  # readers of damaged files raise nearly anything
            reason = why_broken(error, content)
            raise DataError(f"cannot decode image {name}: {reason}") from None

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the set before it is used, a line each."""
        lines = []
        if self.broken:
            name, why = next(iter(self.broken.items()))
            count = len(self.broken)
            lines.append(f"{count:,} broken file{'s' * (count != 1)} left out, as {name}: {why}")
        if self.passed_over:
            lines.append(passed_over_text(self.passed_over))
        if self.converted and not self.keep_colors:
            each = ", ".join(f"{count:,} {name}" for name, count in self.converted.items())
            lines.append(f"color profiles converted to sRGB: {each}")
        if self.class_names:
            lines.append(f"{self.num_classes} classes: {_listed(self.class_names)}")
        return tuple(map(one_line, lines))

    def companion(self, name: str) -> bytes:
        """A file of the set besides its images; a KeyError if there is none."""
        try:
            return self._store.read(name, MOST_NOTE)
        except FileNotFoundError:
            raise KeyError(name) from None

    def header(self, index: int) -> Header:
        """What the header of one image file says; a DataError if it is damaged or gone."""
        name = self.names[index]
        try:
            with self._store.open(name) as stream:
                return read_header(stream)
        except DataError:
            raise
        except Exception as error:  # readers of damaged files raise nearly anything
            raise DataError(f"cannot read image {name}: {reason_of(error)}") from None

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


def _scan_headers(store: Store, names: Sequence[str]) -> dict[str, _Scan | str]:
    """What the header of every image says, or why it cannot be read."""

    def read() -> list[list[int | str] | str]:
        return [_try_header(store, name) for name in names]

    stamp = store.stamp()
    rows = read() if stamp is None else remembered("headers", stamp, read)
    return {
        name: row if isinstance(row, str) else _Scan(*row)
        for name, row in zip(names, rows, strict=True)
    }


def _try_header(store: Store, name: str) -> list[int | str] | str:
    """Size, and profile if its colors are converted, of an image file; or why it is broken."""
    try:
        with store.open(name) as stream:
            try:
                header = read_header(stream)
            except Exception as error:  # readers of damaged files raise nearly anything
                if isinstance(error, MemoryError):
                    raise
                return why_broken(error, stream)
    except DataError as error:
        return reason_in(error, name)
    except FileNotFoundError:
        return "it is gone"
    if not header.converted:
        return [*header.size]
    return [*header.size, header.profile, header.converted]


def _listed(names: Sequence[str], most: int = 12) -> str:
    """The first names, with their numbers where these are others."""
    plain = all(name == str(number) for number, name in enumerate(names))
    if plain and len(names) > 1:
        return f"0 to {len(names) - 1}"
    numbered = any(name.isdecimal() for name in names)
    shown = [f"{k} is {name}" if numbered else name for k, name in enumerate(names[:most])]
    return ", ".join([*shown, "..."] if len(names) > most else shown)


FEW, VERY_FEW = 1000, 100
"""Pictures below which a set is too small for a model of its own, and for anything but copies."""


def few_text(count: int) -> str:
    """What to expect of a training with so many pictures; empty where there are enough.

    Example:
        >>> few_text(15)
        'only 15 pictures: expect copies and blends of them, nothing new; some thousands teach more'
    """
    if count >= FEW:
        return ""
    those = "a single picture" if count == 1 else f"only {count} pictures"
    if count < VERY_FEW:
        expected = "copies of it" if count == 1 else "copies and blends of them"
        return f"{those}: expect {expected}, nothing new; some thousands teach more"
    return (
        f"{those}: expect little that is new; --augment and --mirror help, and --from a model of "
        "similar pictures"
    )


def _attribution(store: Store, listing: Listing) -> str:
    """Whom the set asks to credit."""
    if not any(entry.name == ATTRIBUTION_NAME for entry in listing.others):
        return ""
    text = store.read(ATTRIBUTION_NAME, _LONGEST_CREDIT)
    return text.decode("utf-8", errors="replace").strip()


def reason_in(error: DataError, name: str) -> str:
    """What is wrong with a file, of an error that begins with its name."""
    return str(error).rpartition(f"{one_line(name)}: ")[2]
