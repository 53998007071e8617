"""The exception tree: every error a user can cause is one clear line.

CrepsError                 something the user can fix; the command prints the message, no traceback
├── UsageError             an invalid request (command exit code 2)
│   ├── ConfigError        an unknown or impossible setting
│   ├── GridError          sizes, windows or coordinates that cannot be rendered
│   ├── LabelError         class labels missing, unexpected or of the wrong count
│   └── UnsupportedError   something that this family of generators cannot do
├── CheckpointError        a model file that is missing, damaged, unsafe or of another shape
├── DataError              images that are missing, broken or cannot be drawn
└── MissingExtraError      a feature whose optional packages are missing or do not load
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable


def printable(text: str) -> str:
    r"""Text that may come from strangers' files, as one line that is safe to show on a terminal.

    Spaces of any kind and ends of lines become spaces; control characters, those that turn the
    direction of reading and halves of characters are spelled out.

    Example:
        >>> print(printable("a\nb\x1b[31m.png"))
        a b\x1b[31m.png
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else ascii(letter)[1:-1]
        for letter in text
    )


def utf8(text: str) -> str:
    r"""Text as UTF-8 can hold it: what it cannot, as of names in other encodings, spelled out.

    Example:
        >>> print(utf8("caf\udce9"), utf8("café"))
        caf\udce9 café
    """
    return text.encode("utf-8", "backslashreplace").decode()


LONGEST = 290
"""Characters of a message: with the name of the command before it, fewer than 300."""


def one_line(text: str, longest: int = LONGEST) -> str:
    """A message that may quote what strangers wrote: printable, its middle left out if it is long.

    Example:
        >>> print(one_line("x" * 500 + ": expected a size"))  # doctest: +ELLIPSIS
        xxx...xxx … xxx...: expected a size
    """
    return shortened(printable(text), longest)


def shortened(text: str, longest: int) -> str:
    """A text whose middle is left out if it is longer than so many characters.

    Example:
        >>> shortened("a name of many words", 12)
        'a name … rds'
    """
    if len(text) <= longest:
        return text
    first = longest // 2
    return f"{text[:first]} … {text[first + 3 - longest :]}"


class CrepsError(Exception):
    """Base of all errors a user can fix; the message is one short line, whatever it quotes."""

    exit_code = 1

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(CrepsError):
    """A request that is invalid as given."""

    exit_code = 2


class ConfigError(UsageError):
    """An unknown or impossible setting."""


class GridError(UsageError):
    """Sizes, windows or coordinates that cannot be rendered."""


class LabelError(UsageError):
    """Class labels that are missing, unexpected or of the wrong count."""


class UnsupportedError(UsageError):
    """Something that this family of generators cannot do."""


class CheckpointError(CrepsError):
    """A model file that is missing, damaged, unsafe or of another shape."""


class DataError(CrepsError):
    """Images that are missing, broken or cannot be drawn."""


class MissingExtraError(CrepsError):
    """A feature whose optional packages are not installed, or too old or too new to load.

    Raised while an import fails, it says why a package that is there does not load.
    """

    def __init__(self, feature: str, extra: str) -> None:
        error = sys.exception()
        if isinstance(error, ImportError | OSError) and not isinstance(error, ModuleNotFoundError):
            lines = str(error).splitlines() or [type(error).__name__]
            lack, command = f"do not load ({printable(lines[0])})", "pip install --upgrade"
        else:
            lack, command = "are not installed", "pip install"
        super().__init__(f"{feature} needs packages that {lack}: {command} 'creps[{extra}]'")


def nearest(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A hint for a mistyped `name`: the close ones of `known`, else all of them, or `otherwise`.

    Example:
        >>> nearest("portrats", ["portraits", "earth"])
        'did you mean portraits?'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return otherwise or f"known: {', '.join(names) or 'none'}"
