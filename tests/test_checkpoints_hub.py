"""Models for the Hub: the same files, a card, and no network where none is needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from creps.checkpoints import from_pretrained, load, push_to_hub, save, save_pretrained
from creps.errors import CheckpointError, MissingExtraError
from creps.networks.base import Generator, build_generator

hub = pytest.importorskip("huggingface_hub")

RECORD = {"license": "cc-by-4.0", "credits": "Art by A", "training": {"steps": 3}}


@pytest.fixture(scope="module")
def generator() -> Generator:
    config = {"resolution": 4, "channel_base": 16, "w_dim": 3, "z_dim": 3, "mapping_layers": 1}
    return build_generator("creps", config)


def same(first: Generator, second: Generator) -> bool:
    tensors = second.state_dict()
    return all(torch.equal(value, tensors[name]) for name, value in first.state_dict().items())


def test_a_directory_comes_back_without_a_network(tmp_path: Path, generator: Generator) -> None:
    save_pretrained(generator, tmp_path / "model", record=RECORD)
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["README.md", "config.json", "model.safetensors"]
    for loaded in (from_pretrained(tmp_path / "model"), load(tmp_path / "model")):
        assert same(generator, loaded)
        assert loaded.record == RECORD
        assert not loaded.training


def test_a_plain_save_is_a_pretrained_model(tmp_path: Path, generator: Generator) -> None:
    save(generator, tmp_path / "model", record=RECORD)
    assert same(generator, from_pretrained(str(tmp_path / "model")))


def test_the_card_names_library_license_and_credits(tmp_path: Path, generator: Generator) -> None:
    save_pretrained(generator, tmp_path / "model", record=RECORD)
    card = hub.ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.library_name == "creps"
    assert card.data.license == "cc-by-4.0"
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert "Art by A" in card.text
    assert '"steps": 3' in card.text


def test_a_card_without_a_record_says_so(tmp_path: Path, generator: Generator) -> None:
    save_pretrained(generator, tmp_path / "model")
    card = hub.ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.license is None
    assert "License: not stated" in card.text


def test_a_card_written_by_hand_is_kept(tmp_path: Path, generator: Generator) -> None:
    (tmp_path / "README.md").write_text("mine")
    save_pretrained(generator, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_push_uploads_the_model_in_one_commit(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, Any] = {}

    class Api:
        def __init__(self, token: str | None) -> None:
            calls["token"] = token

        def create_repo(self, repo_id: str, private: bool | None, exist_ok: bool) -> Any:
            calls["created"] = repo_id, private, exist_ok
            return hub.RepoUrl(f"https://huggingface.co/{repo_id}")

        def upload_folder(self, *, folder_path: str, **settings: Any) -> str:
            calls["files"] = sorted(path.name for path in Path(folder_path).iterdir())
            calls["record"] = json.loads((Path(folder_path) / "config.json").read_text())["record"]
            calls["card"] = (Path(folder_path) / "README.md").read_text()
            calls["settings"] = settings
            return "https://example.org/commit"

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    address = push_to_hub(
        generator, "someone/tiny", record=RECORD, private=True, token="t", branch="new"
    )
    assert address == "https://example.org/commit"
    assert calls["token"] == "t"
    assert calls["created"] == ("someone/tiny", True, True)
    assert calls["files"] == ["README.md", "config.json", "model.safetensors"]
    assert calls["record"] == RECORD
    assert 'from_pretrained("someone/tiny")' in calls["card"]
    assert calls["settings"]["repo_id"] == "someone/tiny"
    assert calls["settings"]["revision"] == "new"


def test_a_hub_that_refuses_is_one_line(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_settings: Any) -> None:
        raise OSError("no token\nfound")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    with pytest.raises(CheckpointError, match=r"someone/tiny: the Hub refused \(no token found\)"):
        push_to_hub(generator, "someone/tiny")


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing", "a/b/c", "no such name!"])
def test_models_that_are_nowhere_are_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        from_pretrained(name, cache_dir=tmp_path, local_files_only=True)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)


def test_a_damaged_directory_is_named(tmp_path: Path, generator: Generator) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such file"):
        from_pretrained(tmp_path)
    save(generator, tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: not JSON"):
        from_pretrained(tmp_path / "model")


def test_a_file_is_not_replaced_by_a_directory(tmp_path: Path, generator: Generator) -> None:
    (tmp_path / "model").write_text("mine")
    with pytest.raises(CheckpointError, match="is a file"):
        save_pretrained(generator, tmp_path / "model")


def test_without_the_package_the_extra_is_named(
    generator: Generator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"creps\[hub\]"):
        save_pretrained(generator, tmp_path)
