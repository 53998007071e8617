"""What all routes answer with: encoded pictures, error texts, entity tags, absolute URLs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from creps.errors import CrepsError, printable
from creps.rendering._painter import Picture
from creps.rendering.output._images import settings_inside
from creps.serving._hosts import host_name
from creps.serving._iiif import Quality
from creps.serving._models import UnknownPictureError
from creps.serving._pool import OverloadedError
from creps.serving._views import Coverage, as_image


def base_url(request: Request, public: str | None) -> str:
    """The server's address as documents hold it, without a slash at its end.

    The request's own, or `public`, as behind a proxy with its own path.
    """
    if public is not None:
        return public.rstrip("/")
    host = request.headers.get("host", "")
    if host_name(host) is None:  # a name that could break out of a header or document
        server = request.scope.get("server") or ("localhost", None)
        host = server[0] if server[1] is None else f"{server[0]}:{server[1]}"
    scheme = "https" if request.scope.get("scheme") == "https" else "http"
    return f"{scheme}://{host}"


Result = TypeVar("Result")
Handler = Callable[[Request], Awaitable[Response]]

FOR_EVER = "public, max-age=31536000, immutable"
FOR_AN_HOUR = "public, max-age=3600"
LONGEST_ERROR = 300
"""Characters of an error's sentence."""
GONE = 499
"""What nginx calls the status of a request whose client has left."""


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


def sentence(message: str) -> str:
    """One line that is fit to be shown, whatever of a request it quotes."""
    line = printable(message)
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 3]}..."


def error_response(message: str, status: int, *, retry_after: int | None = None) -> JSONResponse:
    """One sentence as JSON."""
    headers = {"Cache-Control": "no-store"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return JSONResponse({"error": sentence(message)}, status, headers=headers)


def response_to(error: Exception) -> Response:
    """The answer to a client's error; others are raised again."""
    match error:
        case ClientGoneError() | ClientDisconnect():
            return Response(status_code=GONE)
        case OverloadedError():
            return error_response(str(error), 503, retry_after=error.retry_after)
        case UnknownPictureError():
            return error_response(str(error), 404)
        case HTTPException():
            return error_response(str(error.detail), error.status_code)
        case CrepsError() if error.exit_code == 2:
            return error_response(str(error), 400)
    raise error


def guarded(route: Handler) -> Handler:
    """The route, with errors as text."""

    @wraps(route)
    async def answer(request: Request) -> Response:
        try:
            return await route(request)
        except Exception as error:
            return response_to(error)

    return answer


def matches(request: Request, etag: str) -> bool:
    """Whether the client has this very answer already."""
    given = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return etag in tags or "*" in tags


async def while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """What `work` gives, unless the client leaves first: then the work is cancelled.

    Raises:
        ClientGoneError: then.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            leaving.result()  # raises what was wrong with the request
            raise ClientGoneError
        return working.result()
    finally:
        for each in (working, leaving):
            each.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    """Wait until the client closes the connection."""
    while True:
        message: Any = await request.receive()
        if message["type"] == "http.disconnect":
            return


PAPER = 255
"""White: seen through transparent places in formats without transparency."""

HALF = 128
"""Bitonal pictures are white from this level on."""


@dataclass(frozen=True)
class Encoding:
    """How a format is written: Pillow's name and options, the media type, with opacity or not."""

    name: str
    media_type: str
    transparent: bool
    options: dict[str, Any] = field(default_factory=dict)


ENCODINGS = {
    "jpg": Encoding("JPEG", "image/jpeg", False, {"quality": 90, "subsampling": 0}),
    "png": Encoding("PNG", "image/png", True, {"compress_level": 4}),
    "webp": Encoding("WEBP", "image/webp", True, {"quality": 90, "method": 2}),
    "tif": Encoding("TIFF", "image/tiff", True, {"compression": "tiff_deflate"}),
    "gif": Encoding("GIF", "image/gif", False),
    "jp2": Encoding("JPEG2000", "image/jp2", True),
    "pdf": Encoding("PDF", "application/pdf", False),
}
"""By suffix, as section 4.5 of the IIIF Image API names them."""


def encoded(
    picture: Picture,
    opacity: Coverage | None,
    *,
    quality: Quality,
    kind: str,
    about: Mapping[str, Any],
) -> bytes:
    """The bytes of a picture (H, W, C) with opacity (H, W), 0 transparent; None: all is opaque.

    `kind` is a suffix of `ENCODINGS`. `about` holds JSON values that say how the picture was made:
    stored in the file where its format can.
    """
    encoding = ENCODINGS[kind]
    if picture.shape[2] == 4:  # its own opacity
        own, picture = picture[:, :, 3], picture[:, :, :3]
        opacity = own if opacity is None else (own.astype(np.uint16) * opacity // 255).astype("u1")
    image = as_image(picture)
    if quality in ("gray", "bitonal"):
        image = image.convert("L")
    if opacity is not None:
        mask = Image.fromarray(opacity)
        if not encoding.transparent:
            paper = Image.new(image.mode, image.size, (PAPER,) * len(image.getbands()))
            image = Image.composite(image, paper, mask)
    if quality == "bitonal":
        image = Image.fromarray(np.where(np.asarray(image) < HALF, 0, 255).astype(np.uint8))
    if opacity is not None and encoding.transparent:
        image.putalpha(mask)
    target = BytesIO()
    image.save(target, encoding.name, **encoding.options, **settings_inside(encoding.name, about))
    return target.getvalue()
