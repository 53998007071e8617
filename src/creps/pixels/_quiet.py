"""No words of libraries between ours: what is wrong with a file is an error, or does not matter."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import PIL

_LOGGERS = ("PIL", "tifffile")
_lock = threading.Lock()
_users = 0
_filters: warnings.catch_warnings[None] | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings while files of strangers are read, in this thread or others.

    Python keeps one list of what is shown for all threads: the first to come changes it, the last
    to leave puts it back.
    """
    global _users, _filters
    with _lock:
        _users += 1
        if _users == 1:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.|tifffile|numpy\.")
            for kind in (SyntaxWarning, DeprecationWarning, UserWarning, RuntimeWarning):
                warnings.simplefilter("ignore", kind)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users and _filters is not None:
                _filters.__exit__(None, None, None)


def _silence() -> None:
    """Loggers that nobody has set up, and libtiff, which Pillow lets write to the terminal."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)
    for place in _libtiffs():
        with suppress(OSError, AttributeError):  # where there is none, nothing is silenced
            library = ctypes.CDLL(place, mode=getattr(os, "RTLD_NOLOAD", 0) | os.RTLD_LAZY)
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                set_handler = getattr(library, name)
                set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                set_handler(None)


def _libtiffs() -> set[str]:
    """The libtiff that Pillow has loaded."""
    maps = Path("/proc/self/maps")
    if maps.exists():
        with suppress(OSError):
            words = (line.split(maxsplit=5) for line in maps.read_text().splitlines())
            return {each[5] for each in words if len(each) > 5 and "libtiff" in each[5]}
    packed = Path(PIL.__file__).parent / ".dylibs"  # of wheels for macOS
    return {str(place) for place in packed.glob("libtiff*")}


if hasattr(os, "RTLD_LAZY"):  # on Windows it is a part of Pillow
    _silence()
