"""What `config.json` says of a model, and its text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from creps.errors import CheckpointError

FORMAT = "creps-model"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Document:
    """What `config.json` says of a model.

    Attributes:
        family: registered name of the generator family.
        config: fields of the family's config, as JSON types.
        record: free JSON: training, source, credits, license.
        weights_sha256: of the weights file, as it was written; only `config.json` beside it can
            say so, hence it does not count when two documents are compared.
    """

    family: str
    config: Mapping[str, Any]
    record: Mapping[str, Any]
    weights_sha256: str | None = field(default=None, compare=False)

    def to_json(self) -> str:
        """The text of `config.json`."""
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        if self.weights_sha256 is None:
            del document["weights_sha256"]
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: Path) -> Document:
        """Read the text of `config.json`, strictly; errors name the file `where`."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{where}: not JSON ({error})") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise CheckpointError(f"{where}: not a creps model (no format {FORMAT!r})")
        version = values.get("version")
        if version != VERSION:
            raise CheckpointError(
                f"{where}: format version {version!r}, this creps reads {VERSION}: upgrade creps"
            )
        family, config, record = (values.get(key) for key in ("family", "config", "record"))
        if not isinstance(family, str) or not isinstance(config, dict):
            raise CheckpointError(f"{where}: family or config is missing")
        weights = values.get("weights_sha256")
        return cls(
            family=family,
            config=config,
            record=record if isinstance(record, dict) else {},
            weights_sha256=weights if isinstance(weights, str) else None,
        )
