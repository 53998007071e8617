"""Every script in examples/ runs as it stands, and the README shows commands that exist."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from creps.cli import app

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(
    script: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(script)])
    with torch.random.fork_rng(devices=[]):
        runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.strip()
    assert len(script.read_text().splitlines()) < 60


README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def readme_commands() -> list[str]:
    """Every `creps` command of the README, in its blocks and in its sentences."""
    blocks = re.findall(r"^\$ (creps .*)$", README, re.MULTILINE)
    return blocks + [" ".join(each.split()) for each in re.findall(r"`(creps [^`]*)`", README)]


@pytest.mark.parametrize("words", readme_commands())
def test_commands_of_the_readme_exist(words: str) -> None:
    command: Any = typer.main.get_command(app)
    for word in shlex.split(words, comments=True)[1:]:
        if word in getattr(command, "commands", {}):
            command = command.commands[word]
        elif word.startswith("--"):
            known = {name for option in command.params for name in option.opts}
            assert word in known, f"{word} in: {words}"
    assert not getattr(command, "commands", {}) or command.invoke_without_command


def test_the_readme_goes_from_installing_to_ones_own_pictures_in_order() -> None:
    steps = ["pip install torch", "pip install .", "creps data check", "creps train --preset"]
    steps += ["creps train doctor RUN", "creps generate --model RUN"]
    places = [README.index(step) for step in steps]
    assert places == sorted(places)
    with_data = next(words for words in readme_commands() if words.startswith("creps train --pr"))
    assert {"--data", "--out", "--mirror", "--augment"} <= set(shlex.split(with_data))
