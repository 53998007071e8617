"""Files by URL, `s3://bucket/name` and whatever else fsspec knows, for reading and writing.

fsspec, because torch brings it, zarr and xarray take it, and its drivers (s3fs, gcsfs, adlfs) find
credentials where the tools of their services keep them. None is read here, and URLs are shown and
recorded without user names, passwords and signatures.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from creps._files import cache_folder, expand_braces, replacing
from creps.errors import CrepsError, DataError, MissingExtraError, UsageError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""A scheme has two letters at least: one is a Windows drive."""

_FOLDED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/[^/]")
_USER = re.compile(r"(?<=://)[^\s/@]*@")
_QUERY = re.compile(r"(?<=[^\s?])\?[^\s'\"<>]+")
_SECRET = re.compile(r"(?i)\b(key|secret|token|password|signature|credential)=[^\s&'\",)]+")

LONGEST_REASON = 300
"""Characters of an error of a service."""


def is_url(place: object) -> bool:
    """Whether a text names a place by URL."""
    return isinstance(place, str) and _URL.match(place) is not None


def refuse_url(path: Path) -> None:
    """Refuse a URL that was taken for a path, which has lost a slash: s3:/bucket/name.

    Raises:
        UsageError: unless there is such a folder.
    """
    text = path.as_posix()
    if _FOLDED.match(text) and not Path(path.parts[0]).exists():
        raise UsageError(f"{shown(text)}: a URL is not taken here, expected a path")


def shown(url: str) -> str:
    """A URL, or a text with URLs in it, as it may be shown and recorded: nothing secret.

    Example:
        >>> shown("s3://key:word@bucket/a.zarr?X-Amz-Signature=12")
        's3://bucket/a.zarr'
    """
    return _SECRET.sub(r"\1=...", _QUERY.sub("", _USER.sub("", url)))


def last_name(url: str) -> str:
    """What a place is called: the last part of its path.

    Example:
        >>> last_name("s3://bucket/pictures/a.zarr/")
        'a.zarr'
    """
    return urlsplit(shown(url)).path.rstrip("/").rpartition("/")[2]


@contextmanager
def one_line(url: str, kind: type[CrepsError] = DataError) -> Iterator[None]:
    """Errors of a place, of the network and of credentials as one line.

    Raises:
        CrepsError: of that kind.
        MissingExtraError: where no package knows the scheme's service.
    """
    try:
        yield
    except CrepsError:
        raise
    except ImportError:
        scheme = url.partition("://")[0]
        if scheme in ("s3", "s3a", "http", "https"):
            raise MissingExtraError(f"{scheme}://", "arrays") from None
        raise kind(f"{shown(url)}: no package for {scheme}:// is installed") from None
    except Exception as error:
        if not _is_of_a_service(error, url):
            raise
        told = " ".join(shown(str(error)).split()) or type(error).__name__
        raise kind(f"{shown(url)}: {told[:LONGEST_REASON]}") from None


def _is_of_a_service(error: Exception, url: str) -> bool:
    """Whether an error is the place's, not ours: a file's, or of a package for its service."""
    own = ("builtins", "creps", "torch", "numpy", "zarr")
    unknown_scheme = isinstance(error, ValueError) and "rotocol" in str(error)
    root = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or unknown_scheme or root not in own


def local(place: str | os.PathLike[str], kind: type[CrepsError] = DataError) -> Path:
    """A path; of a URL, where its copy is: see `fetched`."""
    return fetched(str(place), kind) if is_url(place) else Path(place)


def fetched(url: str, kind: type[CrepsError] = DataError) -> Path:
    """A copy of a file, or of a folder with all that is in it, in the user's cache.

    What is there already, of the same size and age, is not fetched again.

    Args:
        url: of the file or folder; or of numbered files, as `data-{0000..0012}.tar`.
        kind: of error that says what failed.
    Raises:
        CrepsError: of that kind, if it does not exist or cannot be read.
        MissingExtraError: where no package knows the scheme's service.
    """
    with one_line(url, kind):
        from fsspec.core import url_to_fs

        files, root = url_to_fs(url)
        if "{" in root:
            found = {name: files.info(name) for name in expand_braces(root)}
            base = root.rpartition("/")[0]
        elif (about := files.info(root))["type"] == "directory":
            found = {
                name: each
                for name, each in files.find(root, detail=True).items()
                if each["type"] == "file"
            }
            base = root
        else:
            found, base = {root: about}, root.rpartition("/")[0]
        if not found:
            raise FileNotFoundError("no such file or folder")
        folder = _place(url, list(found.values()))
        if base == root:
            folder /= last_name(url)
        for name, each in found.items():
            parts = name.removeprefix(base).strip("/").split("/")
            if any(part in ("", ".", "..") for part in parts):
                raise kind(f"{shown(url)}: holds a file of the name {name[:80]!r}")
            _fetch(files, name, folder.joinpath(*parts), each.get("size"))
        return folder if base == root else folder / last_name(url)


def _place(url: str, abouts: list[dict[str, Any]]) -> Path:
    """The folder of a copy: another one where the files have changed."""
    keys = ("name", "size", "ETag", "mtime", "LastModified")
    text = json.dumps([shown(url), [[str(about.get(key)) for key in keys] for about in abouts]])
    return cache_folder("downloads", hashlib.sha256(text.encode()).hexdigest()[:32])


def _fetch(files: Any, name: str, target: Path, size: int | None) -> None:
    """Copy a file, unless it is there; it appears whole or not at all."""
    if target.exists() and size in (None, target.stat().st_size):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        files.get_file(name, os.fspath(temporary))
