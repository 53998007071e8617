"""Run the commands of a page, by default docs/gallery.md, in its folder: python docs/gallery.py"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from creps.cli import app
from creps.errors import CrepsError

PAGE = Path(__file__).with_name("gallery.md")


def commands(page: Path) -> list[list[str]]:
    """The arguments of every `$ creps ...` in the page's console blocks, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[2:] for line in lines if line.startswith("$ creps ")]


def main(page: Path) -> None:
    """Make all pictures of a page again."""
    os.chdir(page.parent)
    for command in commands(page):
        app([*command, "--overwrite"], standalone_mode=False)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else PAGE)
    except CrepsError as error:
        sys.exit(f"creps: {error}")
