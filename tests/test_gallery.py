"""The gallery: every picture on the page is made by a command on the page."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from creps.cli import app

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "gallery.md").read_text(encoding="utf-8")
LARGEST = 3_000_000
"""Bytes of all pictures of the documentation."""


def commands() -> list[list[str]]:
    spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[list[str]] = module.commands(DOCS / "gallery.md")
    return found


def made_by_hand() -> list[str]:
    """Pictures of models that are not packaged: their commands stand in bash blocks."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("--out ")[1].strip() for line in lines if line.startswith("creps render ")]


def test_every_picture_has_one_command() -> None:
    made = [words[words.index("--out") + 1] for words in commands()] + made_by_hand()
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)|<img src=\"([^\"]+)\"", PAGE)
    assert sorted(made) == sorted(name or other for name, other in shown)


def test_pictures_are_there_and_small() -> None:
    for words in commands():
        assert (DOCS / words[words.index("--out") + 1]).is_file()
    assert sum(path.stat().st_size for path in (DOCS / "images").iterdir()) < LARGEST


@pytest.mark.parametrize("words", commands(), ids=lambda words: words[-1])
def test_commands_are_understood(words, monkeypatch) -> None:
    """All is checked that can be without a model."""
    monkeypatch.chdir(DOCS)

    class UnderstoodError(Exception):
        """The model would be loaded next."""

    def load(model: str) -> None:
        raise UnderstoodError(model)

    monkeypatch.setattr("creps.checkpoints.load", load)
    result = CliRunner().invoke(app, [*words, "--overwrite"])
    assert isinstance(result.exception, UnderstoodError), result.exception
