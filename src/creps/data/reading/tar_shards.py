"""WebDataset shards: tar files of samples, read in any order.

A sample is the files that share a key, the name up to the first dot of its last part:
`00012.jpg` and `00012.cls` are the image and the class of sample `00012`. An index of all shards is
made in one pass and kept (`index_cache`), so that any image is one read away, the order of a
training run is the exact shuffle of other sets, and a run goes on where it was.
"""

from __future__ import annotations

import io
import itertools
import json
import posixpath
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from creps.data.reading.index_cache import archive_stamp, remembered
from creps.data.reading.names import Entry, is_image_name, visible
from creps.errors import DataError

CREDITS = ("ATTRIBUTION.txt",)
"""Files in the folder of the shards that belong to the set."""

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LONGEST_NOTE = 1 << 20  # bytes of a .cls or .json file that is read for a label
_LABEL_FIELDS = ("label", "cls", "class")


def expand_braces(pattern: str) -> list[str]:
    """The names that a pattern of shards stands for.

    Example:
        >>> expand_braces("data-{008..010}.tar")
        ['data-008.tar', 'data-009.tar', 'data-010.tar']
    """
    parts = _BRACES.split(pattern)  # text, first, last, text, first, last, ..., text
    texts, firsts, lasts = parts[0::3], parts[1::3], parts[2::3]
    ranges = [
        [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
        for first, last in zip(firsts, lasts, strict=True)
    ]
    return [
        "".join(itertools.chain(*zip(texts, (*numbers, ""), strict=True)))
        for numbers in itertools.product(*ranges)
    ]


def shards_of(pattern: str) -> list[Path]:
    """The shards of a pattern with braces, all of them there.

    Raises:
        DataError: naming the first one that is missing.
    """
    shards = [Path(name) for name in expand_braces(pattern)]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing or not shards:
        first = f", the first {missing[0]}" if missing else ""
        raise DataError(f"{pattern}: {len(missing)} of {len(shards)} shards are missing{first}")
    return shards


@dataclass(frozen=True)
class TarStore:
    """The images of tar shards; each is named `shard/key.ending`. Safe to share and to pickle."""

    shards: Sequence[Path]
    _rows: dict[str, tuple[int, int, int, int | str | None]] = field(default_factory=dict)

    def stamp(self) -> str | None:
        """See `Store.stamp`."""
        return archive_stamp(self.shards)

    def entries(self) -> list[Entry]:
        """See `Store.entries`: of each sample its image; and the credits beside the shards."""
        beside = [
            Entry(n, self._beside(n).stat().st_size) for n in CREDITS if self._beside(n).exists()
        ]
        images = [Entry(name, size) for name, (_, _, size, _) in sorted(self._index().items())]
        return beside + images

    def open(self, name: str) -> IO[bytes]:
        """See `Store.open`."""
        return io.BytesIO(self.read(name))

    def read(self, name: str) -> bytes:
        """See `Store.read`."""
        if name in CREDITS:
            return self._beside(name).read_bytes()
        shard, offset, size, _ = self._index()[name]
        with self.shards[shard].open("rb") as file:
            file.seek(offset)
            content = file.read(size)
        if len(content) < size:
            raise DataError(f"{self.shards[shard]} ends within {posixpath.basename(name)}")
        return content

    def labels(self) -> dict[str, int | str | None]:
        """The class of each image, as `.cls` or a field of `.json` gives it; None without."""
        return {name: row[3] for name, row in self._index().items()}

    def _beside(self, name: str) -> Path:
        return self.shards[0].parent / name

    def _index(self) -> dict[str, tuple[int, int, int, int | str | None]]:
        """Place and label of every image by its name: (shard, offset, bytes, label)."""
        if not self._rows:
            rows = remembered("tar", archive_stamp(self.shards), self._scan)
            self._rows.update((name, tuple(row)) for name, *row in rows)
        return self._rows

    def _scan(self) -> list[Any]:
        stems = [shard.name.removesuffix(".tar") for shard in self.shards]
        if len(set(stems)) < len(stems):  # of several folders
            stems = [f"{number:06d}-{stem}" for number, stem in enumerate(stems)]
        return [
            [f"{stem}/{name}", number, *row]
            for number, (stem, shard) in enumerate(zip(stems, self.shards, strict=True))
            for name, *row in _samples(shard)
        ]


def _samples(shard: Path) -> Iterator[tuple[str, int, int, int | str | None]]:
    """Name, offset, bytes and label of the image of every sample of a shard."""
    images: dict[str, tuple[bool, str, int, int]] = {}
    labels: dict[str, int | str] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                name = posixpath.normpath(member.name)
                if not member.isfile() or not visible(name):
                    continue
                folder, base = posixpath.split(name)
                stem, _, ending = base.partition(".")
                key = posixpath.join(folder, stem)
                if is_image_name(name):
                    plain = "." not in ending  # photo.jpg comes before photo.depth.png
                    if key not in images or (plain and not images[key][0]):
                        images[key] = (plain, name, member.offset_data, member.size)
                elif ending in ("cls", "json") and member.size <= _LONGEST_NOTE:
                    label = _label(archive, member, ending)
                    if label is not None and (ending == "cls" or key not in labels):
                        labels[key] = label
    except tarfile.ReadError as error:
        if images:
            raise DataError(f"{shard} is damaged or cut short ({error}): fetch it again") from None
        raise DataError(
            f"{shard} is no plain tar file: unpack a compressed one (.tar.gz) to .tar, so that "
            "images can be read in any order"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {shard}: {error.strerror or error}") from None
    for key, (_, name, offset, size) in images.items():
        yield name, offset, size, labels.get(key)


def _label(archive: tarfile.TarFile, member: tarfile.TarInfo, ending: str) -> int | str | None:
    """The class that a `.cls` or `.json` file gives: a number where it looks like one."""
    file = archive.extractfile(member)
    text = file.read().decode("utf-8", errors="replace").strip() if file else ""
    value: Any = text
    if ending == "json":
        try:
            note = json.loads(text)
        except ValueError:
            return None
        found = (
            [note[name] for name in _LABEL_FIELDS if name in note] if isinstance(note, dict) else []
        )
        value = found[0] if found else None
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        return None
    return int(value) if re.fullmatch(r"\d+", str(value)) else value
