"""Parquet files of pictures, as Hugging Face's data sets have them (extra `sets`).

An image is a struct of `bytes` and `path`, or the bytes alone; a class is a number or a name, and
the schema may say what the numbers mean. Pictures are read where they lie, a group of rows at a
time, as the format asks for. Groups are kept in memory up to a limit: neighbors cost nothing, and
of a set that fits, in whatever order, each group is read once in each process.
"""

from __future__ import annotations

import io
import os
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any

from creps._files import read_regular
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
    label_of,
)
from creps.errors import DataError, MissingExtraError
from creps.pixels._opening import MOST_FILE

_KEPT = 1 << 28
"""Bytes of encoded pictures that each process keeps in memory; one group of rows at least."""
_SPLIT = re.compile(r"([A-Za-z_]+)-\d+-of-\d+")  # train-00000-of-00002
_IMAGE_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "bytes")
_LABEL_NAMES = ("label", "labels", "class", "cls", "fine_label", "target")


@dataclass(frozen=True)
class _Columns:
    """Which columns are read, and what their names and numbers mean."""

    image: str
    nested: bool  # a struct of bytes and path
    label: str | None
    classes: tuple[str, ...]
    other_images: tuple[str, ...]


class ParquetStore(Store):
    """The pictures of parquet files, one a row; each is named `file/row`.

    Of a folder with the splits of a set (train-..., test-...) only `train` is taken.
    """

    sized = False

    def __init__(self, files: Sequence[Path]) -> None:
        splits = {path: match[1] for path in files if (match := _SPLIT.match(path.stem))}
        train = [path for path in files if splits.get(path) == "train"]
        self._files = train if train else list(files)
        self._left_out = {
            path: split for path, split in splits.items() if train and path not in train
        }
        stems = [path.stem for path in self._files]
        if len(set(stems)) < len(stems):  # of several folders
            stems = [f"{number:06d}-{stem}" for number, stem in enumerate(stems)]
        self._stems = {stem: number for number, stem in enumerate(stems)}
        self._columns = _columns(self._files[0])
        self._opened = _Opened()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_opened"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._opened = _Opened()

    def stamp(self) -> str | None:
        return archive_stamp(self._files)

    def _place(self) -> str:
        return os.fspath(self._files[0])

    def _listing(self) -> Listing:
        images = [
            Entry(f"{stem}/{row:08d}", size)
            for stem, number in self._stems.items()
            for row, size in self._rows(number)
        ]
        left_out = dict.fromkeys((f"column {name}" for name in self._columns.other_images), 1)
        for split in self._left_out.values():
            name = f"of the split {split}"
            left_out[name] = left_out.get(name, 0) + 1
        return Listing(images, [], left_out)

    def _open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self._read(name, MOST_FILE))

    def _read(self, name: str, most: int) -> bytes:
        stem, _, row = name.rpartition("/")
        if stem not in self._stems:
            raise FileNotFoundError(name)
        number, opened = self._stems[stem], self._here()
        with opened.lock:
            starts = self._file(number)[1]
            if int(row) >= starts[-1]:
                raise FileNotFoundError(name)
            group = bisect_right(starts, int(row)) - 1
            images = self._group(number, group)
        return self._bytes(number, images[int(row) - starts[group]].as_py(), most)

    def _labels(self) -> OwnLabels | None:
        """The classes of a column, by the names that the schema gives them."""
        columns = self._columns
        if columns.label is None:
            return None
        found: dict[str, Label | None] = {}
        for stem, number in self._stems.items():
            with self._here().lock:
                file, _ = self._file(number)
                values = file.read(columns=[columns.label], use_threads=False)
            for row, value in enumerate(values.column(0).to_pylist()):
                found[f"{stem}/{row:08d}"] = _class(value, columns.classes)
        return OwnLabels(found, columns.classes)

    def _rows(self, number: int) -> Iterator[tuple[int, int]]:
        """Row and a size: that of its group, which changes where pictures do."""
        with self._here().lock:
            file, starts = self._file(number)
        for group, (start, stop) in enumerate(pairwise(starts)):
            size = file.metadata.row_group(group).total_byte_size
            yield from ((row, size) for row in range(start, stop))

    def _bytes(self, number: int, value: Any, most: int) -> bytes:
        """The file in a cell, or the one that its path names, beside the parquet file."""
        if not self._columns.nested:
            content, path = value, None
        else:
            content, path = (value or {}).get("bytes"), (value or {}).get("path")
        if content is not None:
            check_size(len(content), most)
            return bytes(content)
        folder = self._files[number].parent.resolve()
        place = (folder / str(path)).resolve()
        if path and place.is_relative_to(folder) and place.is_file():
            return read_regular(place, most)
        raise Unreadable(f"the row has no bytes, and no file {path}" if path else "an empty row")

    def _group(self, number: int, group: int) -> Any:
        """The images of a group of rows, kept for the next ones; with the lock held."""
        kept = self._opened.groups
        if (number, group) not in kept:
            name, (file, _) = self._columns.image, self._file(number)
            _check_group(file.metadata.row_group(group), self._files[number].stat().st_size)
            images = file.read_row_group(group, columns=[name], use_threads=False).column(0)
            # Not `nbytes`, which pyarrow 23 refuses for views.
            room = _KEPT - images.get_total_buffer_size()
            while kept and sum(each.get_total_buffer_size() for each in kept.values()) > room:
                kept.popitem(last=False)
            kept[number, group] = images
        kept.move_to_end((number, group))
        return kept[number, group]

    def _file(self, number: int) -> tuple[Any, list[int]]:
        """A file, and the rows that its groups begin at and it ends at; with the lock held."""
        files = self._opened.files
        if number not in files:
            file = _open(self._files[number])
            groups = [file.metadata.row_group(k) for k in range(file.num_row_groups)]
            rows, room = sum(group.num_rows for group in groups), self._files[number].stat().st_size
            if rows > room or any(group.num_rows < 0 for group in groups):
                raise Unreadable(f"it is damaged: {rows:,} rows in {room:,} bytes")
            counts = (group.num_rows for group in groups)
            files[number] = file, list(accumulate(counts, initial=0))
        return files[number]

    def _here(self) -> _Opened:
        """What this process has open: a forked one shares nothing with its parent."""
        if self._opened.process != os.getpid():
            self._opened = _Opened()
        return self._opened


@dataclass(frozen=True)
class _Opened:
    """Open files and kept groups of a process, for one of its threads at a time."""

    process: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    files: dict[int, tuple[Any, list[int]]] = field(default_factory=dict)
    groups: OrderedDict[tuple[int, int], Any] = field(default_factory=OrderedDict)


def _check_group(about: Any, room: int) -> None:
    """Refuse a group of rows, in a file of so many bytes, that unpacks to many times its size."""
    columns = [about.column(k) for k in range(about.num_columns)]
    packed = min(sum(column.total_compressed_size for column in columns), room)
    check_size(sum(column.total_uncompressed_size for column in columns), 1 << 62, packed=packed)


def _open(path: Path) -> Any:
    """A parquet file, nothing but its footer read."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("reading parquet files", "sets") from None
    try:
        return parquet.ParquetFile(path, memory_map=True)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} is no parquet file, or damaged: {error}") from None


def _columns(path: Path) -> _Columns:
    """Which columns hold pictures and classes: what the schema says, or else types and names."""
    schema = _open(path).schema_arrow
    import pyarrow

    features = _features(schema)
    types = {field.name: field.type for field in schema}

    def binary(kind: Any) -> bool:
        is_kind = pyarrow.types
        return bool(
            is_kind.is_binary(kind) or is_kind.is_large_binary(kind) or is_kind.is_binary_view(kind)
        )

    def struct(kind: Any) -> bool:
        if not pyarrow.types.is_struct(kind):
            return False
        place = kind.get_field_index("bytes")
        return place >= 0 and binary(kind.field(place).type)

    said = [name for name, about in features.items() if about.get("_type") == "Image"]
    structs = [name for name, kind in types.items() if struct(kind)]
    plain = [name for name in _IMAGE_NAMES if name in types and binary(types[name])]
    found = list(dict.fromkeys(n for n in (*said, *structs, *plain) if n in types))
    found = [name for name in found if struct(types[name]) or binary(types[name])]
    if not found:
        names = ", ".join(types)
        raise DataError(f"{path}: no column of pictures (bytes, or bytes and path) among {names}")
    image = next((name for name in _IMAGE_NAMES if name in found), found[0])
    classes = [name for name, about in features.items() if about.get("_type") == "ClassLabel"]
    labels = [n for n in (*classes, *_LABEL_NAMES) if n in types and _countable(types[n])]
    label = labels[0] if labels else None
    meanings = features.get(label or "", {}).get("names") or ()
    meanings = meanings if isinstance(meanings, list) else ()
    others = tuple(name for name in found if name != image)
    return _Columns(image, struct(types[image]), label, tuple(map(str, meanings)), others)


def _countable(kind: Any) -> bool:
    """Whether a column holds classes: numbers, names, or categories of either."""
    import pyarrow

    types = pyarrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    return bool(types.is_integer(kind) or any(is_text(kind) for is_text in texts))


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """What Hugging Face's note in a schema says of the columns; empty without one."""
    try:
        note = parse_json((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = note["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return (
        {n: f for n, f in features.items() if isinstance(f, dict)}
        if isinstance(features, dict)
        else {}
    )


def _class(value: Any, names: Sequence[str]) -> Label | None:
    """A class of a cell: its name where the schema has one; None where it is not known."""
    if names and isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else None
    return label_of(value)
