"""Models on the Hugging Face Hub (extra "hub"): config.json, model.safetensors and a model card."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from creps.checkpoints._store import CONFIG, WEIGHTS, load, save
from creps.errors import CheckpointError, MissingExtraError
from creps.networks.base import Generator, describe_generator

_TAGS = {
    "library_name": "creps",
    "pipeline_tag": "unconditional-image-generation",
    "tags": ["any-scale", "creps", "image-synthesis"],
}
"""What the Hub finds a model by."""


def from_pretrained(
    repo_or_dir: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Generator:
    """A generator from the Hub or from a directory; a directory needs no network.

    Args:
        repo_or_dir: a repository ("someone/portraits"), or a directory that `save_pretrained` or
            `save` wrote; an existing directory comes first.
        revision: branch, tag or commit of the repository.
        token: for private repositories; by default the one of `hf auth login`.
        cache_dir: where downloads are kept; by default the Hub's own cache.
        local_files_only: use what was downloaded before, never the network.
        force_download: download even what is in the cache.
    Returns:
        As `load`: evaluation mode, CPU, float32.
    Raises:
        CheckpointError: if the model does not exist or cannot be read.
        MissingExtraError: without the package huggingface_hub.
    """
    if Path(repo_or_dir).is_dir():
        return load(Path(repo_or_dir))
    hub = _hub()
    with _one_line(f"{repo_or_dir}: cannot be read"):
        folder = hub.snapshot_download(
            os.fspath(repo_or_dir),
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
            allow_patterns=[CONFIG, WEIGHTS],
        )
    return load(Path(folder))


def save_pretrained(
    generator: Generator,
    directory: str | os.PathLike[str],
    *,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write a model directory with a model card (README.md), ready for the Hub.

    Args:
        generator: a network of any registered family.
        directory: made if missing; an existing README.md is kept.
        record: as in `save`; its "license", "credits" and "training" appear on the card.
    Raises:
        CheckpointError, UsageError: as `save`.
        MissingExtraError: without the package huggingface_hub.
    """
    if Path(directory).is_file():
        raise CheckpointError(f"{directory} is a file: give a directory")
    _write(generator, Path(directory), record, repo_id="someone/model")


def push_to_hub(
    generator: Generator,
    repo_id: str,
    *,
    record: Mapping[str, Any] | None = None,
    private: bool | None = None,
    token: str | None = None,
    branch: str | None = None,
    commit_message: str = "Push a creps model",
) -> str:
    """Upload a model, its config and its card to the Hub, in one commit.

    Args:
        generator: a network of any registered family.
        repo_id: "someone/name"; the repository is made if missing.
        record: as in `save_pretrained`.
        private: whether a new repository is private; by default as the account says.
        token: by default the one of `hf auth login`.
        branch: to push to; "main" by default.
        commit_message: of the commit.
    Returns:
        The address of the commit.
    Raises:
        CheckpointError: if the Hub refuses.
        MissingExtraError: without the package huggingface_hub.
    """
    hub = _hub()
    with _one_line(f"{repo_id}: the Hub refused"), tempfile.TemporaryDirectory() as folder:
        api = hub.HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        _write(generator, Path(folder), record, repo_id=repo_id)
        address = api.upload_folder(
            repo_id=repo_id, folder_path=folder, revision=branch, commit_message=commit_message
        )
    return str(address)


def _hub() -> ModuleType:
    """The package huggingface_hub, imported when it is needed."""
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtraError("the hub", "hub") from None
    return huggingface_hub


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Errors of repositories that are missing, misnamed, private or out of reach, as one line."""
    utils = _hub().utils
    # The bases are those of the HTTP library, which is not the same in all versions.
    known = (OSError, utils.HFValidationError, *utils.HfHubHTTPError.__bases__)
    try:
        yield
    except known as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{what} ({reason})") from None


def _write(
    generator: Generator, folder: Path, record: Mapping[str, Any] | None, *, repo_id: str
) -> None:
    """A model and its card, unless there is one."""
    hub = _hub()
    save(generator, folder, record=record)
    if not (folder / "README.md").exists():
        text = _card(generator, generator.record if record is None else record, repo_id)
        hub.ModelCard(text).save(folder / "README.md")


def _card(generator: Generator, record: Mapping[str, Any], repo_id: str) -> str:
    """The card of a model: what it is, how to draw with it, where it comes from."""
    family, config = describe_generator(generator)
    data = _hub().ModelCardData(**_TAGS, license=record.get("license"))
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
    return f"---\n{data.to_yaml()}\n---\n\n{body}"


def _json_block(values: Mapping[str, Any]) -> str:
    text = json.dumps(dict(values), indent=2, ensure_ascii=False)
    return f"```json\n{text}\n```\n"
