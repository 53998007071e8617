"""Words that the parser refuses, of every command: one line that says what is expected."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from enum import EnumType
from typing import Annotated, Literal, get_args, get_origin

import pytest
import typer

from creps.cli import app, main

NUMBERS = ("x", "", "1e3x", "--", "0x7", "٣;", "9" * 5000)


def _options(command, *path: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(words of the command, option, kind of its values) of all that take one."""
    callback = command.callback or (lambda: None)
    annotations = inspect.signature(callback, eval_str=True).parameters
    for parameter in command.params:
        if parameter.opts[0].startswith("--") and parameter.name in annotations:
            yield path, parameter.opts[0], kind_of(annotations[parameter.name].annotation)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _options(inner, *path, name)


def kind_of(annotation: object) -> str:
    """`int`, `float`, `choice` or something else."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kinds = {annotation, *get_args(annotation)} - {type(None)}
    if kinds & {int, float}:
        return "int" if int in kinds else "float"
    choices = any(get_origin(k) is Literal or (isinstance(k, EnumType)) for k in kinds)
    return "choice" if choices else "text"


OPTIONS = list(_options(typer.main.get_command(app)))


def said(capsys, monkeypatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["creps", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("creps: ")
    assert told.err.count("\n") == 1
    assert len(told.err) < 300
    assert told.err[:-1].isprintable()
    return told.err[len("creps: ") : -1]


def test_the_numbers_and_choices_of_all_commands_are_tried():
    kinds = [kind for _, _, kind in OPTIONS]
    assert kinds.count("int") > 50
    assert kinds.count("float") > 30
    assert kinds.count("choice") >= 5


@pytest.mark.parametrize("value", NUMBERS)
def test_what_is_no_number_is_one_line(value, capsys, monkeypatch):
    for path, name, kind in OPTIONS:
        if kind in ("int", "float"):
            if kind == "float" and value == NUMBERS[-1]:
                continue  # infinity, which is the command's matter
            line = said(capsys, monkeypatch, *path, f"{name}={value}")
            assert line.startswith(f"{name} '{value[:30]}"), path
            assert "expected a whole number" in line or "expected a number" in line


def test_what_is_no_choice_is_one_line(capsys, monkeypatch):
    for path, name, kind in OPTIONS:
        if kind == "choice":
            line = said(capsys, monkeypatch, *path, name, "nonsense")
            assert line.startswith(f"{name} 'nonsense': expected ")
            assert " or " in line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("serve", "--port", "80000"), "--port '80000': expected a whole number from 0 to 65535"),
        (("serve", "--port", "-1"), "--port '-1': expected a whole number from 0 to 65535"),
        (
            ("diagnose", "m", "--data", "d", "--n=3", "--n=1"),
            "--n '1': expected a whole number from 2 to 1000000",
        ),
        (
            ("serve", "--memory-mb=-1"),
            "--memory-mb '-1': expected a whole number of at least 1",
        ),
        (("serve", "--max-waiting=0"), "--max-waiting '0': expected a whole number of at least 1"),
        (("serve", "--workers=0"), "--workers '0': expected a whole number from 1 to 1024"),
        (
            ("export-site", "--size=3000000000"),
            "--size '3000000000': expected a whole number from 1 to 2147483647",
        ),
        (("train", "--loss", "hinge"), "--loss 'hinge': expected relativistic or nonsaturating"),
        (("generate", "--format", "bmp"), "--format 'bmp': expected png or jpg or webp"),
    ],
)
def test_what_was_expected_is_said(words, line, capsys, monkeypatch):
    assert said(capsys, monkeypatch, *words) == line


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("rendr",), "render"),
        (("data", "shw"), "show"),
        (("render", "--sede", "3"), "--seed"),
        (("info",), "info --help"),
        (("info", "a", "b"), "info --help"),
        (("render", "--out"), "--out"),
        (("render", "--dither=3"), "--dither"),
        (("a\x1b[31m" * 200,), r"\x1b[31m"),
    ],
)
def test_what_else_is_refused_is_one_line(words, hint, capsys, monkeypatch):
    assert hint in said(capsys, monkeypatch, *words)


def test_nothing_asked_shows_help(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["creps", "data"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, 2)  # as the release of click has it
    told = capsys.readouterr()
    assert "portraits" in told.out + told.err
    assert "creps: " not in told.err


def test_a_file_in_place_of_a_folder_is_said(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    out = str(tmp_path / "file")
    monkeypatch.setattr(
        sys, "argv", ["creps", "generate", "--seeds", "1", "--size=8", "--out", out]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.endswith("file is a file: expected a folder\n")
