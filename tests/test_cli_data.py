"""The command `creps data`."""

import zipfile

import pytest
from typer.testing import CliRunner

pytest.importorskip("dicebear")
pytest.importorskip("resvg_py")

from creps.cli import data_app
from creps.errors import DataError

RUN = CliRunner()


def _portraits(*arguments):
    return RUN.invoke(data_app, ["portraits", *map(str, arguments)])


def test_portraits_are_drawn_and_the_last_line_tells_where(tmp_path):
    out = tmp_path / "set.zip"
    result = _portraits("--count", 3, "--size", 8, "--seed", 1, "--out", out, "--workers", 1)
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-1]
    assert str(out) in last
    assert "MB" in last
    assert "Johan Melin, CC BY 4.0" in last
    with zipfile.ZipFile(out) as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == 3


def test_second_run_says_that_there_is_nothing_to_do(tmp_path):
    arguments = ("--count", 2, "--size", 8, "--out", tmp_path / "set.zip")
    _portraits(*arguments)
    assert "already there" in _portraits(*arguments).stdout


def test_other_settings_need_overwrite(tmp_path):
    out = tmp_path / "set.zip"
    _portraits("--count", 2, "--size", 8, "--out", out)
    refused = _portraits("--count", 1, "--size", 8, "--out", out)
    assert isinstance(refused.exception, DataError)
    assert _portraits("--count", 1, "--size", 8, "--out", out, "--overwrite").exit_code == 0


def test_missing_option_is_misuse(tmp_path):
    assert _portraits("--size", 8, "--out", tmp_path / "set.zip").exit_code == 2
