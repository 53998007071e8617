"""From a picture and a view of it to the bytes of an answer: found on disk, or drawn and kept."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import os
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from creps._files import cores, replacing
from creps.serving._identifiers import PictureId
from creps.serving._iiif import Quality
from creps.serving._models import ModelRegistry, ServedModel
from creps.serving._pool import Pool
from creps.serving._responses import encoded
from creps.serving._settings import ServeSettings
from creps.serving._telemetry import Telemetry
from creps.serving._views import ViewSpec

SUFFIX = ".answer"
DIGEST = 16
"""Bytes of a checksum at the beginning of a file: what a crash tore is not sent."""
KEPT = 0.9
"""Of the limit, after old answers were deleted."""


class AnswerCache:
    """Bytes by key, of about `limit` bytes in all, a file for each, named by the hash of its key.

    Nothing here fails: what cannot be kept is made again.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self.nbytes = sum(size for _, size, _ in self._files())

    def get(self, key: str) -> bytes | None:
        """The bytes of a key, if they exist and are intact."""
        path = self._path(key)
        try:
            content = path.read_bytes()
            os.utime(path)  # used just now
        except OSError:
            return None
        body = content[DIGEST:]
        return body if content[:DIGEST] == _checksum(body) else None

    def put(self, key: str, body: bytes) -> None:
        """Keep the bytes of a key."""
        if len(body) > self._limit // 4:
            return
        path = self._path(key)
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as temporary:  # not synced: the checksum shows damage
                temporary.write_bytes(_checksum(body) + body)
        with self._lock:
            self.nbytes += DIGEST + len(body)
            if self.nbytes > self._limit:
                self._sweep()

    def _sweep(self) -> None:
        """Delete what was not used for longest, of all servers that share the folder."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= KEPT * self._limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
        self.nbytes = total

    def _files(self) -> list[tuple[float, int, Path]]:
        """(time of use, bytes, path) of all answers."""
        found = []
        for path in self._folder.glob(f"??/*{SUFFIX}"):
            with contextlib.suppress(OSError):  # another server deleted it
                about = path.stat()
                found.append((about.st_mtime, about.st_size, path))
        return found

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / name[:2] / f"{name[2:]}{SUFFIX}"


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGEST).digest()


SHARE = struct.Struct("<f")
"""Before the bytes of a kept picture: the share of its pixels that was evaluated, or NaN."""


class Answer(NamedTuple):
    """A picture file, and the share of its pixels that the model evaluated; None: unknown."""

    body: bytes
    evaluated: float | None


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """An answer that is wanted: which picture, what of it, and how it is written (`_iiif`)."""

    picture: PictureId
    spec: ViewSpec
    quality: Quality = "default"
    format: str = "jpg"

    def key(self, model: ServedModel) -> str:
        """All that the bytes depend on."""
        quality = "default" if self.quality == "color" else self.quality
        return f"{model.made_by} {self.picture.content} {self.spec} {quality}.{self.format}"


class RenderService:
    """Draws requested views: in `pool`, of the models of `registry`, counted by `telemetry`."""

    def __init__(
        self, registry: ModelRegistry, *, settings: ServeSettings, telemetry: Telemetry
    ) -> None:
        self.registry, self.settings, self.telemetry = registry, settings, telemetry
        devices = {model.generator.device.type for model in registry.models.values()}
        workers = settings.workers or (cores() if devices == {"cpu"} else 1)
        limits = settings.limits
        self.pool = Pool(workers, waiting=limits.waiting, seconds=limits.seconds)
        self._settling: asyncio.Future[None] | None = None
        self.cache = (
            AnswerCache(settings.cache, limit=limits.cache)
            if settings.cache is not None and limits.cache
            else None
        )
        cache = self.cache
        telemetry.watch("queue_length", "Requests that wait.", lambda: self.pool.waiting)
        telemetry.watch("busy_workers", "Threads that draw.", lambda: self.pool.busy)
        telemetry.watch("prepared_pictures", "Pictures that are ready.", lambda: len(registry))
        telemetry.watch("prepared_bytes", "Bytes held for them.", lambda: registry.nbytes)
        telemetry.watch(
            "cache_bytes", "Bytes of answers on disk.", lambda: cache.nbytes if cache else 0
        )

    def etag(self, wanted: RenderRequest) -> str:
        """The strong entity tag of an answer, known before it is drawn."""
        key = wanted.key(self.registry.model(wanted.picture))
        return f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'

    async def answer(self, wanted: RenderRequest, *, client: str = "") -> Answer:
        """An answer; clients take turns.

        Raises:
            GridError: for what cannot be drawn.
            OverloadedError: when there is too much to do.
        """
        key = wanted.key(self.registry.model(wanted.picture))
        wanted.spec.check()
        kept = await self.made(key, lambda: self._draw(wanted), client=client)
        (share,) = SHARE.unpack_from(kept)
        return Answer(kept[SHARE.size :], None if math.isnan(share) else share)

    async def made(self, key: str, make: Callable[[], bytes], *, client: str = "") -> bytes:
        """The bytes that `make` gives in a thread that draws; or those kept under `key`.

        Raises:
            OverloadedError: when there is too much to do.
        """
        if self.cache is not None:
            kept = await asyncio.to_thread(self.cache.get, key)
            self.telemetry.lookups.labels(str(kept is not None).lower()).inc()
            if kept is not None:
                return kept
        body = await self.pool.result(key, lambda: self._make(key, make), client=client)
        if self._settling is None or self._settling.done():  # may wait for drawing threads
            self._settling = asyncio.ensure_future(asyncio.to_thread(self.registry.settle))
        return body

    def _make(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Make and keep an answer."""
        with self.telemetry.drawing.time():
            body = make()
        if self.cache is not None:
            self.cache.put(key, body)
        return body

    def _draw(self, wanted: RenderRequest) -> bytes:
        """Draw and encode an answer; its share comes first."""
        source = self.registry.source(wanted.picture)
        picture, opacity, evaluated = source.draw(
            wanted.spec,
            samples=self.settings.limits.samples,
            side_by_side=self.pool.side_by_side,
        )
        about = self.registry.model(wanted.picture).about(wanted.picture, wanted.spec)
        body = encoded(picture, opacity, quality=wanted.quality, kind=wanted.format, about=about)
        return SHARE.pack(math.nan if evaluated is None else min(evaluated, 1.0)) + body

    def close(self, *, patience: float | None = None) -> None:
        """Stop drawing, see `Pool.close`."""
        self.pool.close(patience=patience)
