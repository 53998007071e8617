"""The command `creps` within this process, for thousands of calls."""

from __future__ import annotations

import sys
from unittest.mock import patch

from creps.cli import main


def creps(*words: object) -> None:
    """Run a command; SystemExit as the shell would see it, and what else it raises is a fault."""
    with patch.object(sys, "argv", ["creps", *map(str, words)]):
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
