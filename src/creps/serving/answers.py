"""Answers that all routes give: errors in words, entity tags, who may read them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from creps.errors import CrepsError
from creps.serving.gallery import UnknownPictureError
from creps.serving.pool import OverloadedError

Result = TypeVar("Result")
Route = Callable[[Request], Awaitable[Response]]

FOR_EVER = "public, max-age=31536000, immutable"
FOR_AN_HOUR = "public, max-age=3600"
GONE = 499
"""What nginx calls the status of a request whose client has left."""

OPEN_TO_ALL = {"Access-Control-Allow-Origin": "*"}


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


def error_response(message: str, status: int, *, retry_after: int | None = None) -> JSONResponse:
    """One sentence as JSON."""
    headers = {**OPEN_TO_ALL, "Cache-Control": "no-store"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return JSONResponse({"error": message}, status, headers=headers)


def response_to(error: Exception) -> Response:
    """The answer that an error is to a visitor.

    Raises:
        Exception: the error itself, if it is none of a visitor's.
    """
    match error:
        case ClientGoneError():
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


def guarded(route: Route) -> Route:
    """The route, with errors in words."""

    @wraps(route)
    async def answer(request: Request) -> Response:
        try:
            return await route(request)
        except Exception as error:
            return response_to(error)

    return answer


def matches(request: Request, etag: str) -> bool:
    """Whether the visitor has this very answer already."""
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
            raise ClientGoneError
        return working.result()
    finally:
        for each in (working, leaving):
            each.cancel()


async def _left(request: Request) -> None:
    """Wait until the client closes the connection."""
    while True:
        message: Any = await request.receive()
        if message["type"] == "http.disconnect":
            return
