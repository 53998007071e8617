"""By which names a server may be called: no page elsewhere reaches it through a name of its own.

A page of evil.example may let its name point at this machine (DNS rebinding). The visitor's browser
then takes what answers for a part of that page, though the server listens at the loopback only. But
the Host header still says evil.example.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from creps.errors import ConfigError

ANY = "*"

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})"
_HEADER = re.compile(rf"({_NAME}|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?")
_PATTERN = re.compile(rf"\*|(?:\*\.)?{_NAME}|[0-9A-Fa-f:.]{{2,45}}")


def host_name(header: str) -> str | None:
    """The name or address of a Host header, in small letters; None for what is none.

    Example:
        >>> host_name("Example.org:8000"), host_name("[::1]:8000"), host_name('x"><script>')
        ('example.org', '::1', None)
    """
    found = _HEADER.fullmatch(header)
    return None if found is None else found[1].lower().strip("[].")


def is_name(name: str) -> bool:
    """Whether a server can be called so."""
    return _PATTERN.fullmatch(name) is not None


def checked_names(names: Sequence[str]) -> None:
    """Refuse what is no name of a server with a ConfigError."""
    for name in names:
        if not is_name(name):
            raise ConfigError(
                f"host {name[:80]!r}: expected a name without port, such as example.org, "
                "*.example.org for all below it, or * for any"
            )


def is_ours(header: str, names: Sequence[str], *, url: str | None = None) -> bool:
    """Whether a request with this Host header is meant for this server.

    Addresses in numbers always are, as no page can make them point elsewhere, and so is localhost.

    Args:
        header: as the client sent it.
        names: of this server; `*.example.org` for all below it, `*` for any.
        url: the server's public address, whose name is another.
    Example:
        >>> is_ours("[::1]:8000", ()), is_ours("evil.example", ()), is_ours("a.b.org", ["*.b.org"])
        (True, False, True)
    """
    if ANY in names:
        return True
    host = host_name(header)
    if host is None:
        return False
    if host == "localhost" or _is_address(host):
        return True
    public = (urlsplit(url).hostname or "") if url else ""
    return any(
        host == name or (name.startswith("*.") and host.endswith(name[1:]))
        for name in (public, *(each.lower() for each in names))
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
