"""How a server is set up, and what it gives at most."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from creps.errors import ConfigError
from creps.serving._hosts import checked_names

SWITCHES = ("cache", "job_pixels")
"""Limits that may be 0."""

_TOKEN = re.compile(r"[!-~][ -~]{6,}[!-~]")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper bounds of one server; whole numbers from 1.

    Attributes:
        pixels: of one answer, corners of turned pictures included; half as many of a picture that
            is turned by no quarters.
        side: pixels of its longer side.
        samples: evaluated for one answer: small pictures of a large scene take several a pixel.
        waiting: answers that wait for a free core; a newer one replaces the oldest.
        seconds: within which an answer must be there; what takes longer is refused for now.
        pictures: bytes of prepared pictures (weights, lines, tables) that are kept.
        cache: bytes of finished answers on disk; 0: no cache.
        job_pixels: of one background job; 0: no jobs.
        job_bytes: of all files of jobs.
        jobs: that wait.
        body: bytes of a request's body.
        connections: open at the same time.
    Raises:
        ConfigError: for other numbers.
    """

    pixels: int = 2**22
    side: int = 8192
    samples: int = 2**23
    waiting: int = 256
    seconds: int = 50
    pictures: int = 512 * 2**20
    cache: int = 2**30
    job_pixels: int = 4096 * 10**6
    job_bytes: int = 20 * 2**30
    jobs: int = 8
    body: int = 16_384
    connections: int = 1024

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least = getattr(self, each.name), int(each.name not in SWITCHES)
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"limit {each.name} {value!r}: expected a whole number from {least}"
                )


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """A server.

    Attributes:
        size: declared pixels of a picture's longer side.
        workers: threads that draw; None: one a core, on an accelerator one.
        device, dtype: as for `render`.
        cache: folder of finished answers; None: no cache.
        jobs: folder of background jobs; None: no jobs.
        token: clients must present it; None: no token needed.
        hosts: names by which clients may call it, beside localhost and addresses in numbers;
            `*.example.org` for all below it, `*` for any.
        url: public address, such as https://example.org/creps, whose name clients may call it by;
            None: the request's own.
        live: give browsers the weights, so that the viewer draws by itself where it can.
        limits: of every answer.
    Raises:
        ConfigError: for an invalid size, number of workers, token, name or address.
    """

    size: int = 2**17
    workers: int | None = None
    device: str | None = None
    dtype: str | None = None
    cache: Path | None = None
    jobs: Path | None = None
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    url: str | None = None
    live: bool = False
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 2**31 - 1:
            raise ConfigError(f"size {self.size}: expected 1 to {2**31 - 1} pixels a side")
        if self.workers is not None and not 1 <= self.workers <= 1024:
            raise ConfigError(f"{self.workers} workers: expected 1 to 1024")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ConfigError("the token: expected at least 8 ASCII characters on one line")
        checked_names(self.hosts)
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"url {self.url!r}: expected http:// or https:// at its beginning")
