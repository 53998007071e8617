"""Models on the Hugging Face Hub (extra "hub"): config.json, model.safetensors and a model card."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from creps.errors import CheckpointError, MissingExtraError
from creps.networks.base import Generator


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
        CheckpointError: if there is no such model or it cannot be read.
        MissingExtraError: without the package huggingface_hub.
    """
    mixin = _mixin()
    try:
        pretrained = mixin.PretrainedGenerator.from_pretrained(
            repo_or_dir,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
        )
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{repo_or_dir}: config.json is not JSON ({error})") from None
    except mixin.HUB_ERRORS as error:
        raise CheckpointError(_one_line(f"{repo_or_dir}: cannot be read", error)) from None
    generator: Generator = pretrained.generator
    return generator


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
    _mixin().PretrainedGenerator(generator, record).save_pretrained(directory)


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
    mixin = _mixin()
    try:
        address = mixin.PretrainedGenerator(generator, record).push_to_hub(
            repo_id,
            private=private,
            token=token,
            branch=branch,
            commit_message=commit_message,
            model_card_kwargs={"repo_id": repo_id},
        )
    except mixin.HUB_ERRORS as error:
        raise CheckpointError(_one_line(f"{repo_id}: the Hub refused", error)) from None
    return str(address)


def _mixin() -> ModuleType:
    """The module that needs huggingface_hub, imported when it is needed."""
    try:
        from creps.checkpoints import hub_mixin
    except ImportError:
        raise MissingExtraError("the hub", "hub") from None
    return hub_mixin


def _one_line(what: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return f"{what} ({reason})"
