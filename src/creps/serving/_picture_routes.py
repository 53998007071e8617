"""Routes of pictures: IIIF, Deep Zoom, tiles of the endless plane, and any view."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from creps.coordinates import Window
from creps.errors import GridError, UsageError
from creps.rendering._tiles import Tile
from creps.rendering._words import parse_window
from creps.rendering.output._images import DEEP_ZOOM_OVERLAP, DEEP_ZOOM_TILE
from creps.serving._identifiers import PictureId, number, parse_identifier, whole_number
from creps.serving._iiif import (
    CONTEXT,
    PROFILE,
    TILE,
    information,
    manifest,
    parse_image_request,
    refuse_beyond,
)
from creps.serving._models import ServedModel
from creps.serving._responses import (
    ENCODINGS,
    FOR_AN_HOUR,
    FOR_EVER,
    base_url,
    guarded,
    matches,
    while_connected,
)
from creps.serving._service import RenderRequest, RenderService
from creps.serving._views import ViewSpec

LOWEST_LEVEL, HIGHEST_LEVEL = -4, 40
PLANE_REACH = 1000
"""Tiles of the plane: from 16 pixels a plane unit to 2**48, so far from its origin."""

VIEW_FORMATS = ("jpg", "png", "webp")
VIEW_WORDS = {"window", "height", "width", "rotation", "mirror", "format", "download"}

EVALUATED = "Creps-Evaluated"
"""Header of pictures: the share of the pixels that the model evaluated, the others interpolated."""

KEPT = {"Cache-Control": FOR_AN_HOUR}


class PictureRoutes:
    """Routes of pictures, which `service` draws."""

    def __init__(self, service: RenderService) -> None:
        self._service, self._registry = service, service.registry
        self._limits = service.settings.limits

    def routes(self) -> list[Route]:
        """All of them."""
        table = {
            "/iiif/{id}": self._image,
            "/iiif/{id}/info.json": self._information,
            "/iiif/{id}/manifest.json": self._manifest,
            "/iiif/{id}/{region}/{size}/{rotation}/{tail}": self._part,
            "/dzi/{id}.dzi": self._deep_zoom,
            "/dzi/{id}_files/{level}/{tile}": self._deep_zoom_tile,
            "/plane/{id}/{level}/{tile}": self._plane_tile,
            "/view/{id}": self._view,
            "/api/pictures/{id}": self._describe,
        }
        return [Route(path, guarded(route), methods=["GET"]) for path, route in table.items()]

    async def _image(self, request: Request) -> Response:
        """An image's own address leads to its document (IIIF, section 2)."""
        picture, _ = self._named(request)
        return RedirectResponse(f"{self._iiif(request, picture)}/info.json", 303)

    async def _information(self, request: Request) -> Response:
        """An image's document."""
        picture, model = self._named(request)
        height, width = self._registry.size(picture)
        base = self._iiif(request, picture)
        document = information(base, width=width, height=height, limits=self._limits)
        if model.credits:
            document["creps:credits"] = model.credits
        linked = "application/ld+json" in request.headers.get("accept", "")
        kind = f'application/ld+json;profile="{CONTEXT}"' if linked else "application/json"
        return JSONResponse(document, media_type=kind, headers={**KEPT, "Vary": "Accept"})

    async def _manifest(self, request: Request) -> Response:
        """A manifest of one picture (IIIF Presentation 3.0)."""
        picture, model = self._named(request)
        height, width = self._registry.size(picture)
        document = manifest(
            self._iiif(request, picture),
            label=str(picture),
            height=height,
            width=width,
            credits=model.credits,
            largest=min(self._limits.side, math.isqrt(self._limits.pixels)),
        )
        return JSONResponse(document, headers=KEPT)

    async def _part(self, request: Request) -> Response:
        """A part of an image, scaled, turned and in the requested colors."""
        picture, _ = self._named(request)
        words = request.path_params
        height, width = self._registry.size(picture)
        wanted = parse_image_request(
            (words["region"], words["size"], words["rotation"], words["tail"]),
            width=width,
            height=height,
            limits=self._limits,
        )
        spec = ViewSpec(
            window=_part_of(picture.window, wanted.region, height, width),
            height=wanted.height,
            width=wanted.width,
            mirror=wanted.mirror,
            turn=wanted.turn,
        )
        asked = RenderRequest(
            picture=picture, spec=spec, quality=wanted.quality, format=wanted.format
        )
        canonical = f"{self._iiif(request, picture)}/{wanted.canonical}"
        links = f'<{canonical}>;rel="canonical",<{PROFILE}>;rel="profile"'
        return await self._answer(request, asked, Link=links)

    async def _deep_zoom(self, request: Request) -> Response:
        """The description of a Deep Zoom image."""
        picture, _ = self._named(request)
        height, width = self._registry.size(picture)
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="jpg" '
            f'Overlap="{DEEP_ZOOM_OVERLAP}" TileSize="{DEEP_ZOOM_TILE}">\n'
            f'  <Size Width="{width}" Height="{height}"/>\n'
            "</Image>\n"
        )
        return Response(text, media_type="application/xml", headers=KEPT)

    async def _deep_zoom_tile(self, request: Request) -> Response:
        """A tile of a level of a Deep Zoom image."""
        picture, _ = self._named(request)
        level = whole_number(request.path_params["level"], "level")
        column, row, kind = _tile(request.path_params["tile"])
        height, width = self._registry.size(picture)
        top_level = math.ceil(math.log2(max(height, width)))
        if level > top_level:
            raise GridError(f"level {level}: expected 0 to {top_level}")
        high, wide = (math.ceil(side / 2 ** (top_level - level)) for side in (height, width))
        (left, across), (top, down) = _with_overlap(column, wide), _with_overlap(row, high)
        window = _part_of(picture.window, Tile(top, left, down, across), high, wide)
        spec = ViewSpec(window=window, height=down, width=across)
        return await self._answer(request, RenderRequest(picture=picture, spec=spec, format=kind))

    async def _plane_tile(self, request: Request) -> Response:
        """A tile of the endless plane: `{level}/{x}_{y}`, 2**level tiles a plane unit."""
        picture, _ = self._named(request)
        text = request.path_params["level"]
        level = int(text) if re.fullmatch(r"-?[0-9]{1,2}", text) else HIGHEST_LEVEL + 1
        if not LOWEST_LEVEL <= level <= HIGHEST_LEVEL:
            raise GridError(f"level {text[:20]}: expected {LOWEST_LEVEL} to {HIGHEST_LEVEL}")
        x, y, kind = _tile(request.path_params["tile"])
        unit = 2.0**-level
        window = y * unit, x * unit, (y + 1) * unit, (x + 1) * unit
        if max(map(abs, window)) > PLANE_REACH:
            raise GridError(f"tile {x}_{y}: expected one within {PLANE_REACH} plane units")
        spec = ViewSpec(window=window, height=TILE, width=TILE)
        return await self._answer(request, RenderRequest(picture=picture, spec=spec, format=kind))

    async def _view(self, request: Request) -> Response:
        """Any view as one picture."""
        picture, _ = self._named(request)
        spec, kind = parse_view(request.query_params, picture)
        try:
            refuse_beyond(*spec.size, turn=spec.turn, limits=self._limits)
        except GridError as error:
            raise GridError(f"{error}; larger pictures are jobs, POST api/jobs") from None
        headers = {}
        if request.query_params.get("download") == "1":
            name = file_name(picture, spec, kind)
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        asked = RenderRequest(picture=picture, spec=spec, format=kind)
        return await self._answer(request, asked, **headers)

    async def _describe(self, request: Request) -> Response:
        """What an identifier says."""
        picture, model = self._named(request)
        document = {
            "id": str(picture),
            "pinned": str(replace(picture, pin=model.pin)),
            "model": model.name,
            "recipe": str(picture.recipe),
            "truncation": picture.truncation,
            "window": picture.window,
            "by": picture.by,
            "iiif": f"iiif/{picture.in_url}",
            "dzi": f"dzi/{picture.in_url}.dzi",
            "zarr": None if picture.by else f"zarr/{picture.in_url}",
        }
        return JSONResponse(document, headers=KEPT)

    async def _answer(self, request: Request, asked: RenderRequest, **headers: str) -> Response:
        """The requested picture, or 304 where the client has it already."""
        headers["ETag"] = etag = self._service.etag(asked)
        headers["Cache-Control"] = FOR_AN_HOUR if asked.picture.pin is None else FOR_EVER
        if matches(request, etag):
            return Response(status_code=304, headers=headers)
        client = request.client.host if request.client else ""
        answer = await while_connected(request, self._service.answer(asked, client=client))
        if answer.evaluated is not None:
            headers[EVALUATED] = f"{answer.evaluated:.4f}"
        return Response(answer.body, media_type=ENCODINGS[asked.format].media_type, headers=headers)

    def _named(self, request: Request) -> tuple[PictureId, ServedModel]:
        """The picture of an address, and its model."""
        text = request.path_params["id"]
        if ":" not in text:
            raise HTTPException(404, f"no picture {text[:80]!r}: expected MODEL:SEED")
        picture = parse_identifier(text)
        return picture, self._registry.model(picture)

    def _iiif(self, request: Request, picture: PictureId) -> str:
        """The URI of a picture's image service."""
        return f"{base_url(request, self._service.settings.url)}/iiif/{picture.in_url}"


def _part_of(window: Window, part: Tile, height: int, width: int) -> Window:
    """The window of a part of the given size in pixels."""
    y0, x0, y1, x1 = window
    tops, lefts = (part.top, part.top + part.height), (part.left, part.left + part.width)
    (top, bottom), (left, right) = (y / height for y in tops), (x / width for x in lefts)
    high, wide = y1 - y0, x1 - x0
    return y0 + top * high, x0 + left * wide, y0 + bottom * high, x0 + right * wide


def parse_view(words: QueryParams, picture: PictureId) -> tuple[ViewSpec, str]:
    """The view and format of a query; UsageError or GridError for an invalid query."""
    unknown = set(words) - VIEW_WORDS - {"token"}
    if unknown:
        raise UsageError(f"{sorted(unknown)[0][:40]!r}: expected {', '.join(sorted(VIEW_WORDS))}")
    kind = words.get("format", "jpg")
    if kind not in VIEW_FORMATS:
        raise UsageError(f"format {kind[:20]!r}: expected {', '.join(VIEW_FORMATS)}")
    window = parse_window(words["window"]) if "window" in words else picture.window
    spec = checked_view(
        window,
        height=whole_number(words.get("height", "512"), "height"),
        width=whole_number(words.get("width", "512"), "width"),
        turn=number(words.get("rotation", "0"), "rotation"),
        mirror=words.get("mirror", "0") in ("1", "true"),
    )
    return spec, kind


def checked_view(window: Window, *, height: int, width: int, turn: float, mirror: bool) -> ViewSpec:
    """A view of a window that the plane fills wholly.

    A GridError for an impossible window or size.
    """
    spec = ViewSpec(
        window=window, height=height, width=width, turn=turn % 360, mirror=mirror, grows=False
    )
    spec.check()
    return spec


def file_name(picture: PictureId, spec: ViewSpec, kind: str) -> str:
    """What a downloaded view is called."""
    recipe = re.sub(r"[^A-Za-z0-9._~-]+", "_", str(picture.recipe))[:60]
    height, width = spec.size
    return f"{picture.model}-{recipe}-{width}x{height}.{kind}"


def _tile(text: str) -> tuple[int, int, str]:
    """(x, y, format) of `3_-4.jpg`."""
    match = re.fullmatch(r"(-?[0-9]{1,15})_(-?[0-9]{1,15})\.(jpg|png|webp)", text)
    if match is None:
        raise UsageError(f"tile {text[:60]!r}: expected X_Y.jpg, .png or .webp")
    return int(match[1]), int(match[2]), match[3]


def _with_overlap(index: int, side: int) -> tuple[int, int]:
    """First pixel of a Deep Zoom tile on an axis, and how many."""
    first = max(index * DEEP_ZOOM_TILE - DEEP_ZOOM_OVERLAP, 0)
    last = min((index + 1) * DEEP_ZOOM_TILE + DEEP_ZOOM_OVERLAP, side)
    if not 0 <= index * DEEP_ZOOM_TILE < side:
        raise GridError(f"tile {index}: expected 0 to {(side - 1) // DEEP_ZOOM_TILE}")
    return first, last - first
