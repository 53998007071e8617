"""Messages are one line that is safe to show, whatever names they quote."""

import zipfile

import pytest
from typer.testing import CliRunner

from creps.cli import data_app
from creps.data import open_images
from creps.errors import CrepsError, DataError, MissingExtraError, UsageError, printable
from image_files import noise, png

ESCAPE = "\x1b]0;other title\x07\x1b[31m"
"""What would change a terminal's title and color."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\nc\td", "a b  c d"),
        ("\x1b[2Jx", r"\x1b[2Jx"),
        ("\x9b31mx\x7f", r"\x9b31mx\x7f"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("half \udcff of one", r"half \udcff of one"),
        ("größe 猫 😀", "größe 猫 😀"),
    ],
)
def test_text_of_strangers_is_one_printable_line(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("kind", [CrepsError, UsageError, DataError])
def test_errors_quote_names_safely(kind):
    assert str(kind(f"{ESCAPE}.png: broken\nnow")) == (
        r"\x1b]0;other title\x07\x1b[31m.png: broken now"
    )


@pytest.fixture
def hostile_names(tmp_path):
    """A ZIP file with a picture, a broken one and another file, all of them with escapes."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{ESCAPE}a/1.png", png(noise(40, 48)))
        archive.writestr(f"{ESCAPE}b/2.png", png(noise(40, 48, seed=1)))
        archive.writestr(f"{ESCAPE}b/3.png", b"\x89PNG\r\n\x1a\n broken \x1b[31m")
        archive.writestr(f"x.{ESCAPE}", b"")
    return path


def _controls(text):
    return [letter for letter in text if ord(letter) < 32 and letter != "\n"]


def test_remarks_about_a_set_hold_no_control_characters(hostile_names):
    remarks = open_images(hostile_names, labels=True).remarks()
    assert len(remarks) == 3  # broken, passed over, classes
    assert not _controls("\n".join(remarks))


def test_commands_show_no_control_characters_of_names(hostile_names, tmp_path):
    checked = CliRunner().invoke(data_app, ["check", str(hostile_names), "--workers", "1"])
    assert r"\x1b[31mb" in checked.output
    assert not _controls(checked.output)
    out = str(tmp_path / "out")
    shown = CliRunner().invoke(data_app, ["show", str(hostile_names), "--out", out])
    assert shown.exit_code == 0
    assert not _controls(shown.output)


def test_names_of_a_page_lack_their_middle(tmp_path):
    assert len(str(DataError(f"cannot read {'x' * 60_000}.png: broken"))) < 300
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x" * 60_000 + ".png", png(noise(40, 48)))
        archive.writestr("y" * 60_000 + ".png", png(noise(40, 48)))
        archive.writestr("z" * 60_000 + ".png", b"broken")
        archive.writestr("ATTRIBUTION.txt", "thanks " * 5000)
    checked = CliRunner().invoke(data_app, ["check", str(path), "--workers", "1"]).output
    assert max(map(len, checked.splitlines())) < 2 * 300
    assert all(len(line) < 300 for line in open_images(path).remarks())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'x'"), "are not installed: pip install 'creps[big]'"),
        (
            ImportError("cannot import name 'f' from 'x'\n(x.py)"),
            "do not load (cannot import name 'f' from 'x'): pip install --upgrade 'creps[big]'",
        ),
        (OSError(), "do not load (OSError): pip install --upgrade 'creps[big]'"),
    ],
)
def test_packages_that_do_not_load_are_told_from_missing_ones(error, said):
    try:
        raise error
    except (ImportError, OSError):
        told = str(MissingExtraError("big pictures", "big"))
    assert told == f"big pictures needs packages that {said}"
