"""Write the results in docs/reproducing.md: python -m reproduce.write_page [NEW_RESULTS]

NEW_RESULTS is the `results` folder of `python -m reproduce`; what lies there is copied first.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from creps.errors import CrepsError
from reproduce.catalogue import EXPERIMENTS
from reproduce.records import page

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULTS, PAGE = DOCS / "reproduced", DOCS / "reproducing.md"

MARK = "<!-- results -->\n"


def text() -> str:
    """The page: its introduction as it is, then the results."""
    introduction, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return f"{introduction}{mark}\n{page(EXPERIMENTS, RESULTS, pictures=RESULTS.name)}"


def main(new: Path | None) -> None:
    """Take new results over, and write the page."""
    if new is not None:
        for path in sorted(new.iterdir()):
            shutil.copy(path, RESULTS / path.name)
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except CrepsError as error:
        sys.exit(f"creps: {error}")
