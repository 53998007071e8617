"""A generator in the Hub's mixin; imported only where the package huggingface_hub is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin, snapshot_download
from huggingface_hub.utils import HfHubHTTPError, HFValidationError

from creps.checkpoints.native import CONFIG, WEIGHTS, load, save
from creps.networks.base import Generator, describe_generator

HUB_ERRORS = (OSError, HFValidationError, *HfHubHTTPError.__bases__)
"""What comes up for repositories that are missing, misnamed, private or out of reach; the bases are
those of the HTTP library, which is another one in newer versions of the package."""


class PretrainedGenerator(
    ModelHubMixin,
    library_name="creps",
    tags=["creps", "any-scale", "image-synthesis"],
    pipeline_tag="unconditional-image-generation",
):
    """Holds a generator of any family, so that the network itself knows no files.

    Args:
        generator: the network.
        provenance: its record; by default the generator's own.
    """

    def __init__(self, generator: Generator, provenance: Mapping[str, Any] | None = None) -> None:
        self.generator = generator
        self.provenance = dict(generator.record if provenance is None else provenance)

    def generate_model_card(self, *, repo_id: str = "someone/model") -> ModelCard:
        """The README of the model, from its config and record."""
        return model_card(self.generator, self.provenance, repo_id=repo_id)

    def _save_pretrained(self, save_directory: Path) -> None:
        save(self.generator, save_directory, record=self.provenance)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **_unused: Any,
    ) -> PretrainedGenerator:
        folder = Path(model_id)
        if not folder.is_dir():
            downloaded = snapshot_download(
                model_id,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
                allow_patterns=[CONFIG, WEIGHTS],
            )
            folder = Path(downloaded)
        return cls(load(folder))


def model_card(generator: Generator, record: Mapping[str, Any], *, repo_id: str) -> ModelCard:
    """The card of a model: what it is, how to draw with it, where it comes from."""
    family, config = describe_generator(generator)
    info = PretrainedGenerator._hub_mixin_info.model_card_data.to_dict()
    data = ModelCardData(**{**info, "license": record.get("license")})
    size = config.get("resolution", "?")
    parameters = sum(p.numel() for p in generator.parameters())
    body = f"""# An any-scale generator ({family}, {size} px)

{parameters:,} parameters, trained at {size} x {size} pixels; it draws the same picture at any size.

```python
import creps

g = creps.from_pretrained("{repo_id}")
picture = creps.render(g, seed=7, size=(1024, 1024))  # uint8 (H, W, 3)
```

## Credits and license

{record.get("credits", "Not stated.")}

License: {record.get("license", "not stated")}.

## Config

{_json_block(config)}
## Record

{_json_block(record)}"""
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}")


def _json_block(values: Mapping[str, Any]) -> str:
    text = json.dumps(dict(values), indent=2, ensure_ascii=False)
    return f"```json\n{text}\n```\n"
