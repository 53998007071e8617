"""Class labels of a set: listed in `dataset.json`, beside the images of shards, or by folder."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence

from creps.data.reading.names import Entry
from creps.data.reading.stores import Store
from creps.data.reading.tar_shards import TarStore
from creps.errors import LabelError

LABELS_NAME = "dataset.json"
"""The list of labels in the root of a set, as the field writes it."""

_SHARD = re.compile(r"\d{5}")  # 00000/, 00001/, ...: how large sets are split, not classes


def read_labels(
    store: Store, listed: Sequence[Entry], entries: Sequence[Entry]
) -> tuple[list[str], dict[str, int]]:
    """Class names, and the label of every image by its name.

    Args:
        store: of the set.
        listed: all of its files.
        entries: its images, broken ones included.
    Raises:
        LabelError: if there are no labels, or they are malformed or of a part only.
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
            'a .cls file beside each, or .json with "label"'
        )
    found = {name: label for name in names if (label := labels[name]) is not None}
    numbers = {name: label for name, label in found.items() if isinstance(label, int)}
    if len(numbers) == len(found):
        return [str(number) for number in range(max(numbers.values()) + 1)], numbers
    classes = sorted({str(label) for label in found.values()})
    number_of = {name: number for number, name in enumerate(classes)}
    return classes, {name: number_of[str(label)] for name, label in found.items()}
