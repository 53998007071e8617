"""From a picture and a shot to the bytes of an answer: looked up, or drawn and kept."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from creps.serving._cache import AnswerCache
from creps.serving._identifiers import PictureId
from creps.serving._iiif import Quality
from creps.serving._models import ModelRegistry, ServedModel
from creps.serving._pool import Pool
from creps.serving._responses import encoded
from creps.serving._settings import VERSION, ServeSettings, cores
from creps.serving._telemetry import Telemetry
from creps.serving._views import Shot


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """An answer that is wanted.

    Attributes:
        picture: of which model and styles.
        shot: what is to be seen.
        quality, format: as `iiif.QUALITIES` and `iiif.FORMATS`.
    """

    picture: PictureId
    shot: Shot
    quality: Quality = "default"
    format: str = "jpg"

    def key(self, model: ServedModel) -> str:
        """All that the bytes depend on."""
        picture = PictureId(
            model="-",
            recipe=self.picture.recipe,
            truncation=self.picture.truncation,
            cutoff=self.picture.cutoff,
            label=self.picture.label,
            by=self.picture.by,
        )
        quality = "default" if self.quality == "color" else self.quality
        return f"{VERSION} {model.weights} {picture} {self.shot} {quality}.{self.format}"


class RenderService:
    """Draws what is asked for.

    Args:
        registry: of the models.
        settings: of the server.
        telemetry: where the work is counted.
    """

    def __init__(
        self, registry: ModelRegistry, *, settings: ServeSettings, telemetry: Telemetry
    ) -> None:
        self.registry, self.settings, self.telemetry = registry, settings, telemetry
        devices = {model.generator.device.type for model in registry.models.values()}
        workers = settings.workers or (cores() if devices == {"cpu"} else 1)
        limits = settings.limits
        self.pool = Pool(workers, waiting=limits.waiting)
        self._settling: asyncio.Future[None] | None = None
        self.cache = (
            None if settings.cache is None else AnswerCache(settings.cache, limit=limits.cache)
        )
        telemetry.watch("queue_length", "requests that wait", lambda: self.pool.waiting)
        telemetry.watch("busy_workers", "threads that draw", lambda: self.pool.busy)
        telemetry.watch("prepared_pictures", "pictures that are ready", lambda: len(registry))
        telemetry.watch("prepared_bytes", "bytes held for them", lambda: registry.nbytes)
        telemetry.watch(
            "cache_bytes",
            "bytes of answers on disk",
            lambda: self.cache.nbytes if self.cache else 0,
        )

    def etag(self, wanted: RenderRequest) -> str:
        """The strong entity tag of an answer, known before it is drawn."""
        key = wanted.key(self.registry.model(wanted.picture))
        return f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'

    async def answer(self, wanted: RenderRequest, *, client: str = "") -> bytes:
        """The bytes of an answer.

        Args:
            wanted: what is wanted.
            client: who asks: clients take turns.
        Raises:
            GridError: for what cannot be drawn.
            OverloadedError: when there is too much to do.
        """
        key = wanted.key(self.registry.model(wanted.picture))
        wanted.shot.check()
        if self.cache is not None:
            kept = await asyncio.to_thread(self.cache.get, key)
            self.telemetry.cached(kept is not None)
            if kept is not None:
                return kept
        body = await self.pool.result(key, lambda: self._draw(wanted, key), client=client)
        if self._settling is None or self._settling.done():  # may wait for those who draw
            self._settling = asyncio.ensure_future(asyncio.to_thread(self.registry.settle))
        return body

    def _draw(self, wanted: RenderRequest, key: str) -> bytes:
        """Draw, encode and keep an answer."""
        with self.telemetry.drawing():
            source = self.registry.source(wanted.picture)
            picture, opacity = source.shoot(
                wanted.shot,
                samples=self.settings.limits.samples,
                side_by_side=self.pool.side_by_side,
            )
            body = encoded(picture, opacity, quality=wanted.quality, kind=wanted.format)
        if self.cache is not None:
            self.cache.put(key, body)
        return body

    def close(self) -> None:
        """Stop drawing."""
        self.pool.close()
