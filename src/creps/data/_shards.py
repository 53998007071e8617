"""WebDataset tar shards: samples of files that belong together, read in any order.

A sample is the files that share a key, the name up to the first dot of its last part: `00012.jpg`
and `00012.cls` are the image and the class of sample `00012`. Keys with dots in them break that
rule, and are common: where pictures have companions of their own (`img.0.png`, `img.0.cls`), or
share a key without being fields of one sample, each is a sample.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from creps._files import open_regular, read_regular
from creps._json import parse_json
from creps.data._store import (
    Entry,
    Label,
    Listing,
    OwnLabels,
    Store,
    Unreadable,
    archive_stamp,
    check_size,
    counted,
    is_image_name,
    label_of,
    plain_name,
    remembered,
    same_name,
    visible,
)
from creps.errors import CrepsError, DataError
from creps.pixels._opening import MOST_FILE, reason_of

CREDITS = ("ATTRIBUTION.txt",)
"""Files in the folder of the shards that belong to the set."""

_LONGEST_NOTE = 1 << 20  # bytes of a .cls or .json file that is read for a label
_LABEL_FIELDS = ("label", "cls", "class")


_Row = tuple[int, int, int, Label | None]
"""Shard, offset, bytes and class of an image."""


@dataclass(frozen=True)
class TarStore(Store):
    """The images of tar shards; each is named `shard/key.ending`. Safe to share and to pickle."""

    shards: Sequence[Path]
    _rows: dict[str, _Row] = field(default_factory=dict)
    _left_out: dict[str, int] = field(default_factory=dict)

    def stamp(self) -> str | None:
        return archive_stamp(self.shards)

    def _place(self) -> str:
        return os.fspath(self.shards[0])

    def _listing(self) -> Listing:
        """Of each sample its image; and the credits next to the shards."""
        beside = [
            Entry(n, self._beside(n).stat().st_size) for n in CREDITS if self._beside(n).is_file()
        ]
        images = [Entry(name, size) for name, (_, _, size, _) in sorted(self._index().items())]
        return Listing(images, beside, dict(self._left_out))

    def _open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self._read(name, MOST_FILE))

    def _read(self, name: str, most: int) -> bytes:
        if name in CREDITS:
            return read_regular(self._beside(name), most)
        if name not in self._index():
            raise FileNotFoundError(name)
        shard, offset, size, _ = self._index()[name]
        check_size(size, most)
        with open_regular(self.shards[shard]) as file:
            file.seek(offset)
            content = file.read(size)
        if len(content) < size:
            raise Unreadable(f"{self.shards[shard]} ends within it")
        return content

    def _labels(self) -> OwnLabels:
        """The class of each image, as `.cls` or a field of `.json` gives it; None without."""
        return OwnLabels({name: row[3] for name, row in self._index().items()})

    def _beside(self, name: str) -> Path:
        return self.shards[0].parent / name

    def _index(self) -> dict[str, _Row]:
        """Place and label of every image by its name."""
        if not self._rows:
            for name, *row in remembered("tar", archive_stamp(self.shards), self._scan):
                if row[0] < 0:
                    self._left_out[name] = row[1]
                else:
                    self._rows[name] = (row[0], row[1], row[2], row[3])
        return self._rows

    def _scan(self) -> list[Any]:
        """A row of each image; and of each ending how many files are left out, as shard -1."""
        stems = [shard.name.removesuffix(".tar") for shard in self.shards]
        if len(set(stems)) < len(stems):  # of several folders
            stems = [f"{number:06d}-{stem}" for number, stem in enumerate(stems)]
        rows: list[Any] = []
        left_out: list[str] = []
        for number, (stem, shard) in enumerate(zip(stems, self.shards, strict=True)):
            contents = _Contents(shard)
            rows += [[f"{stem}/{name}", number, *row] for name, *row in contents.samples()]
            left_out += contents.left_out
        return rows + [[ending, -1, count] for ending, count in counted(left_out).items()]


@dataclass(frozen=True)
class _File:
    """An image in a shard."""

    name: str
    stem: str  # its name up to the last dot of its last part, as names are compared
    key: str  # up to the first
    offset: int
    size: int


class _Contents:
    """What one shard holds; of several files of one name the last, as appending to a tar means."""

    def __init__(self, shard: Path) -> None:
        self._images: dict[str, _File] = {}
        self._places: dict[str, tuple[int, int]] = {}  # of all files, for links to them
        self._labels: dict[str, tuple[bool, Label]] = {}  # by stem; whether of a .cls file
        self._companions: set[str] = set()  # stems of files that are no images
        self.left_out: list[str] = []
        try:
            with open_regular(shard) as file:
                self._scan(_Headers(file))
        except tarfile.ReadError as error:
            if self._images:
                raise DataError(
                    f"{shard} is damaged or cut short ({error}): fetch it again"
                ) from None
            raise DataError(
                f"{shard} is not a plain tar file: unpack a compressed one (.tar.gz) to .tar, so "
                "that images can be read in any order"
            ) from None
        except OSError as error:
            raise DataError(f"cannot read {shard}: {error.strerror or error}") from None
        except (CrepsError, MemoryError):
            raise
        except Exception as error:  # of damaged extended headers
            raise DataError(f"{shard} is damaged: {reason_of(error)}") from None

    def _scan(self, file: _Headers) -> None:
        """Note all members."""
        with tarfile.open(fileobj=file, mode="r:") as archive:
            place = -1
            while (member := archive.next()) is not None:
                if member.offset <= place:  # of a negative length: it would be read for ever
                    raise tarfile.ReadError("a header that points back")
                place = member.offset
                archive.members.clear()  # type: ignore[attr-defined]  # which would keep them all
                if member.offset_data + member.size > file.size:
                    raise tarfile.ReadError("unexpected end of data")
                self._take(file, member)

    def samples(self) -> Iterator[tuple[str, int, int, Label | None]]:
        """Name, offset, bytes and label of the image of every sample."""
        groups: dict[str, list[_File]] = defaultdict(list)
        for image in self._images.values():
            groups[image.key].append(image)
        fields = self._fields(groups)
        for images in groups.values():
            taken = self._taken(images, fields)
            self.left_out += [image.name for image in images if image not in taken]
            for image in taken:
                label = self._labels.get(image.stem) or self._labels.get(image.key)
                yield image.name, image.offset, image.size, label[1] if label else None

    def _take(self, file: _Headers, member: tarfile.TarInfo) -> None:
        """Note one member."""
        name = plain_name(member.name)
        if member.isdir() or not visible(name):
            return
        place = (member.offset_data, member.size)
        if member.islnk():  # a file that is in the archive already, as GNU tar packs it again
            place = self._places.get(plain_name(member.linkname), (-1, 0))
        if place[0] < 0 or member.issparse() or not (member.isfile() or member.islnk()):
            self.left_out.append(f"{name}.sparse" if member.issparse() else f"{name}.link")
            return
        self._places[name] = place
        stem, ending = posixpath.splitext(same_name(name))
        if is_image_name(name):
            folder, base = posixpath.split(stem)
            key = posixpath.join(folder, base.partition(".")[0])
            self._images.pop(name, None)  # the last of a name, in its place
            self._images[name] = _File(name, stem, key, *place)
            return
        self._companions.add(stem)
        if ending.lower() in (".cls", ".json") and place[1] <= _LONGEST_NOTE:
            exact = ending.lower() == ".cls"
            label = _label(file.at(*place), exact=exact)
            if label is not None and (exact or not self._labels.get(stem, (False,))[0]):
                self._labels[stem] = exact, label
        else:
            self.left_out.append(name)

    def _taken(self, images: list[_File], fields: set[str]) -> list[_File]:
        """Which of the images of one key are pictures of the set, and not fields of a sample."""
        own = [image for image in images if self._stands_alone(image, fields)]
        own = list({image.stem: image for image in reversed(own)}.values())[::-1]
        plain = [image for image in images if image.stem == image.key]
        if plain:  # photo.jpg comes before photo.depth.png
            return [plain[0], *(image for image in own if image.stem != image.key)]
        if own or len(images) == 1:
            return own or images
        sample = images[0].key in self._companions
        return images[:1] if sample or any(_middle(image) in fields for image in images) else images

    def _stands_alone(self, image: _File, fields: set[str]) -> bool:
        """Whether a picture has a class of its own, or another file that is its alone."""
        if image.stem in self._labels:
            return True
        return image.stem in self._companions and _middle(image) not in fields

    def _fields(self, groups: dict[str, list[_File]]) -> set[str]:
        """Middle parts of names that several keys share, as `depth` in `0001.depth.png`."""
        seen: dict[str, int] = defaultdict(int)
        for images in groups.values():
            for middle in {_middle(image) for image in images} - {""}:
                seen[middle] += 1
        return {middle for middle, count in seen.items() if count > 1 and not middle.isdecimal()}


def _middle(image: _File) -> str:
    """What a name has between its first and its last dot."""
    return image.stem[len(image.key) + 1 :]


class _Headers(io.RawIOBase):
    """A tar file for reading its headers, none of which may be longer than a megabyte."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LONGEST_NOTE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise tarfile.ReadError("a header that points back")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def at(self, offset: int, size: int) -> bytes:
        """Some bytes; the place for headers stays."""
        before = self._file.tell()
        self._file.seek(offset)
        content = self._file.read(size)
        self._file.seek(before)
        return content


def _label(content: bytes, *, exact: bool) -> Label | None:
    """The class that a `.cls` or `.json` file gives: a number where it looks like one."""
    text = content.decode("utf-8", errors="replace").strip()
    value: Any = text
    if not exact:
        try:
            note = parse_json(text)
        except ValueError:
            return None
        value = next((note[name] for name in _LABEL_FIELDS if name in note), None)
    label = label_of(value)
    number = isinstance(label, str) and re.fullmatch(r"[0-9]{1,18}", label)
    return int(label) if label is not None and number else label
