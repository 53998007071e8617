"""Classes of pictures: beside them, in a list, or by the folders they lie in.

Only classes that have pictures count, in the order of their numbers, or of their names: labels
that begin at 1 or have gaps are numbered anew, and keep their names.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from creps._json import parse_json
from creps.data._store import MOST_CLASS, MOST_NOTE, Label, Listing, Store, same_name
from creps.errors import DataError, LabelError, utf8

LABELS_NAME = "dataset.json"
"""The list of labels of a folder and those in it, as the field writes it."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_SHARD = re.compile(r"\d{5}")  # 00000/, 00001/, ...: how large sets are split, not classes


@dataclass(frozen=True)
class Classes:
    """The classes of a set.

    Attributes:
        names: of the classes, in the order of their numbers.
        of: the number of every image's class, by its name.
    """

    names: tuple[str, ...]
    of: Mapping[str, int]


def read_classes(store: Store, listing: Listing) -> Classes:
    """The classes of a set: of its store, listed, or by folder.

    A LabelError if labels are missing, malformed or incomplete.
    """
    names = [entry.name for entry in listing.images]
    own = store.labels()
    if own is not None:
        return _numbered(_complete(own.of, names), own.order)
    lists = [entry.name for entry in listing.others]
    lists = [name for name in lists if posixpath.basename(name) == LABELS_NAME]
    listed = _listed(store, lists)
    if listed:
        return _numbered(_looked_up(listed, names))
    return _of_folders(names)


def _numbered(labels: Mapping[str, Label], order: Iterable[str] = ()) -> Classes:
    """Classes numbered in the order of their numbers, of `order`, or of their names."""
    seen = set(labels.values())
    if order:
        sequence: list[Label] = [name for name in order if name in seen]
    elif all(isinstance(label, int) for label in seen):
        sequence = sorted(seen, key=int)
    else:
        named = {str(label) for label in seen}
        numeric = all(_NUMBER.fullmatch(name) for name in named)
        sequence = sorted(named, key=(lambda name: (int(name), name)) if numeric else None)
    number = {str(label): place for place, label in enumerate(sequence)}
    names = tuple(map(utf8, number))  # models keep them
    return Classes(names, {name: number[str(label)] for name, label in labels.items()})


def _complete(labels: Mapping[str, Label | None], names: Sequence[str]) -> dict[str, Label]:
    """The labels of a store, if all images have one."""
    found = {name: label for name in names if (label := labels.get(name)) is not None}
    missing = [name for name in names if name not in found]
    if missing:
        raise LabelError(
            f"no class label for {len(missing)} of {len(names)} images, as {missing[0]}: expected "
            'a .cls file next to each, .json with "label", or a column of labels'
        )
    return found


def _listed(store: Store, lists: Sequence[str]) -> dict[str, dict[str, int]]:
    """The labels of each list by the folder that it lies in; names as they are compared."""
    found = {}
    for place in lists:
        try:
            pairs = parse_json(store.read(place, MOST_NOTE), _List, most=MOST_NOTE).labels
        except DataError as error:
            raise LabelError(str(error)) from None
        except ValueError:
            raise LabelError(
                f'{place} is malformed: expected {{"labels": [["name.png", 3], ...]}}'
            ) from None
        if pairs is None:
            continue
        labels = dict(pairs)
        for name, label in labels.items():
            if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < MOST_CLASS:
                raise LabelError(
                    f"label of {name[:80]} is {str(label)[:40]}: expected a class number, 0 or more"
                )
        folder = same_name(posixpath.dirname(place)) if posixpath.dirname(place) else ""
        found[folder] = {same_name(name): label for name, label in labels.items()}
    return found


class _List(msgspec.Struct):
    """What a list of labels holds; as little as possible is made of files of strangers."""

    labels: dict[str, Any] | list[tuple[str, Any]] | None


def _looked_up(listed: Mapping[str, Mapping[str, int]], names: Sequence[str]) -> dict[str, Label]:
    """The label of each image in the list of the nearest folder above it that has one."""
    found: dict[str, Label] = {}
    missing: list[tuple[str, str]] = []
    for name in names:
        inside = same_name(name)
        folder = posixpath.dirname(inside)
        while folder not in listed and folder:
            folder = posixpath.dirname(folder)
        label = listed.get(folder, {}).get(posixpath.relpath(inside, folder or "."))
        if label is None:
            missing.append((name, folder))
        else:
            found[name] = label
    if missing:
        first = posixpath.join(missing[0][1] if missing[0][1] in listed else "", LABELS_NAME)
        raise LabelError(f"{first} has no label for {len(missing)} images, as {missing[0][0]}")
    return found


def _of_folders(names: Sequence[str]) -> Classes:
    """Classes by the folders just below the one that all images share."""
    folders = [posixpath.dirname(name) for name in names]
    shared = posixpath.commonpath(folders) if all(folders) else ""
    depth = len(shared.split("/")) if shared else 0
    parts = [folder.split("/")[depth : depth + 1] if folder else [] for folder in folders]
    if not all(parts) or all(_SHARD.fullmatch(part[0]) for part in parts):
        raise LabelError(
            f"no class labels: expected {LABELS_NAME}, "
            "or every image in a sub-folder that is named by its class"
        )
    below = sorted({part[0] for part in parts})
    split = [name for name in below if _SHARD.fullmatch(name)]
    if split and not all(map(_NUMBER.fullmatch, below)):  # 9999 and 10000 are numbers of classes
        other = next(name for name in below if name not in split)
        raise LabelError(
            f"no class labels: the folder {split[0]} is a part of a set, beside {other}: expected "
            "a folder for each class, named by it"
        )
    return _numbered({name: part[0] for name, part in zip(names, parts, strict=True)})
