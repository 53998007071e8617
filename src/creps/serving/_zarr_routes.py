"""Routes of pictures as arrays: `/zarr/MODEL:SEED/...`, a Zarr whose chunks are drawn on request.

An OME-Zarr 0.5 of axes (c, y, x), for zarr-python, zarrita.js, vizarr, tensorstore and others that
read Zarr 3 over HTTP. All documents are in that of the group, for HTTP lists nothing.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from creps.errors import UsageError
from creps.rendering import View, VirtualPicture, provenance
from creps.rendering.arrays._objects import Chunk, ZarrLayout, drawn_chunk
from creps.rendering.output._levels import level_sizes
from creps.serving._identifiers import PictureId, parse_identifier
from creps.serving._iiif import TILE
from creps.serving._responses import FOR_AN_HOUR, FOR_EVER, guarded, matches, while_connected
from creps.serving._service import RenderService
from creps.serving._views import RenderedSource, ViewSpec, area_window


class ZarrRoutes:
    """Routes of arrays, whose chunks `service` draws."""

    def __init__(self, service: RenderService) -> None:
        self._service, self._registry = service, service.registry
        limits = service.settings.limits
        self._chunk = max(min(TILE, limits.side, math.isqrt(limits.pixels)), 1)
        self._samples = limits.samples

    def routes(self) -> list[Route]:
        """All of them."""
        return [Route("/zarr/{id}/{key:path}", guarded(self._object), methods=["GET"])]

    async def _object(self, request: Request) -> Response:
        """A document or a chunk."""
        text, key = request.path_params["id"], request.path_params["key"]
        if ":" not in text:
            raise HTTPException(404, f"no picture {text[:80]!r}: expected MODEL:SEED")
        picture = parse_identifier(text)
        model = self._registry.model(picture)
        if picture.by is not None:
            raise UsageError(f"enlarged pictures are no arrays: leave ;by={picture.by} out")
        view = self._view(picture)
        layout = self._layout(picture, view)
        found = layout.find(key)
        if found is None:
            raise HTTPException(404, f"no object {key[:80]!r} in {str(picture)[:80]}")
        name = f"{model.made_by} {picture.content} {view} zarr {self._chunk} {key}"
        etag = f'"{hashlib.sha256(name.encode()).hexdigest()[:32]}"'
        kept = FOR_AN_HOUR if picture.pin is None else FOR_EVER
        headers = {"ETag": etag, "Cache-Control": kept}
        if matches(request, etag):
            return Response(status_code=304, headers=headers)
        if isinstance(found, bytes):
            return Response(found, media_type="application/json", headers=headers)
        kind = "application/octet-stream"
        if request.method == "HEAD":
            headers["Content-Length"] = str(layout.chunk_bytes)
            return Response(media_type=kind, headers=headers)
        client = request.client.host if request.client else ""
        making = self._service.made(name, lambda: self._draw(picture, view, found), client=client)
        return Response(await while_connected(request, making), media_type=kind, headers=headers)

    def _view(self, picture: PictureId) -> View:
        """What the full size shows: antialiased where a level needs it, as all that is served."""
        height, width = self._registry.size(picture)
        spec = ViewSpec(window=picture.window, height=height, width=width)
        sampling = self._registry.model(picture).generator.sampling
        window = area_window(spec, sampling=sampling)
        return View(size=(height, width), window=window, supersample="auto")

    def _layout(self, picture: PictureId, view: View) -> ZarrLayout:
        model = self._registry.model(picture)
        height, width = self._registry.size(picture)
        return ZarrLayout(
            name=str(picture),
            sizes=level_sizes(height, width, smallest=self._chunk),
            channels=model.generator.config.colors,
            chunk=self._chunk,
            dtype=np.dtype(np.uint8),
            about=provenance(model.generator, picture.latent, view, dtype=model.dtype),
        )

    def _draw(self, picture: PictureId, view: View, chunk: Chunk) -> bytes:
        source = self._registry.source(picture)
        assert isinstance(source, RenderedSource)
        drawn = VirtualPicture(source.renderer, view, chunk=self._chunk, samples=self._samples)
        return drawn_chunk(drawn, chunk).tobytes()
