"""Styles in a file: what a projection has found, or anything that no seed stands for.

A safetensors file with one tensor, "styles" (K, D), and a JSON document in its metadata that says
how they were made. Any model with as many styles of that width can draw them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from creps.errors import DataError, UsageError
from creps.files import write_atomically
from creps.networks.base import Generator

SUFFIX = ".safetensors"
TENSOR = "styles"
METADATA_KEY = "creps-styles"
"""Where the document lies in the metadata, and how such a file is told from a model's."""


def save_styles(
    path: str | os.PathLike[str], styles: Tensor, *, record: Mapping[str, Any] | None = None
) -> None:
    """Write the styles of one picture, whole or not at all.

    Args:
        path: ends with ".safetensors"; its folder must exist.
        styles: (1, K, D).
        record: JSON values that travel with them: the model, the picture they were found for.
    Raises:
        UsageError: for another shape, values that are not finite, another suffix, or a record that
            is not JSON.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise UsageError(f"{path.name}: styles are kept in files that end with {SUFFIX}")
    if styles.ndim != 3 or len(styles) != 1 or not styles.isfinite().all():
        raise UsageError(f"styles of shape {tuple(styles.shape)}: expected finite (1, K, D)")
    try:
        document = json.dumps(dict(record or {}), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the record of styles must be JSON: {error}") from None
    tensor = styles[0].detach().float().cpu().contiguous()
    write_atomically(path, save({TENSOR: tensor}, {METADATA_KEY: document}))


@dataclass(frozen=True)
class StyleFile:
    """A file of styles, where a recipe has a walk otherwise; `str` gives its path.

    Args:
        path: as given, ending with ".safetensors".
    """

    path: str

    def __str__(self) -> str:
        return self.path

    @property
    def fingerprint(self) -> str:
        """Of the file's bytes: its name does not tell whether it was made anew.

        Raises:
            DataError: if it is missing.
        """
        try:
            return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()[:16]
        except (FileNotFoundError, IsADirectoryError):
            raise DataError(f"{self.path}: no such file of styles") from None

    def read(self) -> tuple[Tensor, dict[str, Any]]:
        """(1, K, D) float32 styles on the CPU, and their record.

        Raises:
            DataError: if the file is missing, damaged, or holds something else.
        """
        if not Path(self.path).is_file():
            raise DataError(f"{self.path}: no such file of styles")
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if METADATA_KEY not in metadata:
                    raise DataError(
                        f"{self.path} holds no styles: expected a file that creps project has made"
                    )
                styles: Tensor = file.get_tensor(TENSOR)
                record = json.loads(metadata[METADATA_KEY])
        except (SafetensorError, ValueError) as error:
            raise DataError(f"{self.path}: damaged file of styles ({error})") from None
        if styles.ndim != 2 or not styles.is_floating_point() or not styles.isfinite().all():
            raise DataError(f"{self.path}: damaged file of styles (expected finite (K, D))")
        return styles[None].float(), record if isinstance(record, dict) else {}

    def styles(
        self,
        generator: Generator,
        *,
        label: Tensor | None = None,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """(1, K, D) styles on the model's device; `label` is left aside, they have theirs already.

        Raises:
            DataError: as `read`.
            UsageError: if the model has other numbers of styles, or styles of another width.
        """
        styles, _ = self.read()
        expected = (generator.num_styles, generator.mapping.average.shape[-1])
        if tuple(styles.shape[1:]) != expected:
            given = "x".join(map(str, styles.shape[1:]))
            raise UsageError(
                f"{self.path} holds {given} styles, this model takes "
                f"{'x'.join(map(str, expected))}: use the model they were found with"
            )
        average = generator.mapping.average
        return generator.truncate(
            styles.to(average), truncation=truncation, truncation_cutoff=truncation_cutoff
        )
