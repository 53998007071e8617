"""What every request passes: names, the token, the size of requests, counters, headers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import Iterator
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creps.serving._hosts import is_ours
from creps.serving._pages import login_page
from creps.serving._pool import OverloadedError
from creps.serving._responses import error_response, response_to
from creps.serving._settings import ServeSettings
from creps.serving._telemetry import Telemetry

LONGEST_ADDRESS = 4096

OPEN = ("/health", "/robots.txt")
"""What needs no token: load balancers ask for it."""

SHARED = ("/iiif/", "/dzi/", "/plane/", "/view/", "/zarr/", "/api/models", "/api/pictures/")
"""What pages of other sites may show and read (CORS)."""

KINDS = ("iiif", "dzi", "plane", "view", "zarr", "api", "static", "health", "metrics")

SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

_log = logging.getLogger("creps.serving")


class AccessMiddleware:
    """Wraps the application: refuses, counts, adds headers; says who may ask, as `settings` do."""

    def __init__(self, app: ASGIApp, *, settings: ServeSettings, telemetry: Telemetry) -> None:
        self._app, self._settings, self._telemetry = app, settings, telemetry
        self._token, self._body = settings.token, settings.limits.body
        digest = hashlib.sha256((self._token or "").encode()).hexdigest()
        self._cookie = f"creps_{digest[:8]}"  # servers on other ports have their own cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFETY.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(SHARED):
                    headers["Access-Control-Allow-Origin"] = "*"
                if self._token is not None:
                    headers["Cache-Control"] = _for_one_client(headers.get("Cache-Control", ""))
            await send(message)

        try:
            refused = await self._refusal(scope, self._bounded(receive))
            if refused is not None:
                await refused(scope, receive, counted)
            else:
                await self._app(scope, self._bounded(receive), counted)
        except asyncio.CancelledError:  # the server ends, and has waited for answers
            if status != 500:
                raise
            await response_to(OverloadedError())(scope, receive, counted)
        except Exception:
            if status != 500:  # the answer has begun: the server must break it off
                raise
            _log.exception("request failed")
            await error_response("something went wrong on the server", 500)(scope, receive, counted)
        finally:
            first = scope["path"].split("/")[1] if "/" in scope["path"] else ""
            kind = first if first in KINDS else "other" if first else "page"
            self._telemetry.requests.labels(kind, str(status)).inc()
            self._telemetry.seconds.labels(kind).observe(time.perf_counter() - started)

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        """The answer to a request that is refused, or needs no application; None for others."""
        query: bytes = scope["query_string"]
        if len(scope.get("raw_path") or b"") + len(query) > LONGEST_ADDRESS:
            return error_response(f"the address: expected up to {LONGEST_ADDRESS} bytes", 414)
        headers = Headers(scope=scope)
        host = headers.get("host", "localhost")  # browsers always send it
        if not is_ours(host, self._settings.hosts, url=self._settings.url):
            return error_response(
                f"host {host[:80]!r}: this server has no such name; see creps serve --allow-host",
                421,
            )
        if int(_digits(headers.get("content-length", "0"))) > self._body:
            return response_to(self._too_long)
        if scope["method"] == "OPTIONS" and scope["path"].startswith(SHARED):
            allowed = {f"Access-Control-Allow-{what}": "*" for what in ("Methods", "Headers")}
            return Response(status_code=204, headers=allowed)
        if self._token is None or scope["path"] in OPEN:
            return None
        given = _token_of(query)
        if scope["path"] == "/" and scope["method"] == "POST":  # the form of the login page
            with contextlib.suppress(HTTPException, ClientDisconnect):
                given = _token_of(await Request(scope, receive).body())
        if scope["path"] == "/" and self._is_token(given):
            answer = RedirectResponse("./", 303, headers={"Cache-Control": "no-store"})
            safe = scope["scheme"] == "https"
            answer.set_cookie(self._cookie, given, httponly=True, samesite="strict", secure=safe)
            return answer
        if any(map(self._is_token, (given, *self._presented(headers)))):
            return None
        if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            refusal: Response = login_page(wrong=given != "")
        else:
            refusal = error_response("a token is needed: open /?token=...", 401)
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    @property
    def _too_long(self) -> HTTPException:
        return HTTPException(413, f"the body: expected up to {self._body} bytes")

    def _is_token(self, word: str) -> bool:
        return hmac.compare_digest(word.encode(), (self._token or "").encode())

    def _presented(self, headers: Headers) -> Iterator[str]:
        """What the headers offer as the token: a bearer, a cookie."""
        scheme, _, word = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            yield word
        with contextlib.suppress(CookieError):
            if found := SimpleCookie(headers.get("cookie", "")).get(self._cookie):
                yield found.value

    def _bounded(self, receive: Receive) -> Receive:
        """`receive` that raises when a body of unknown length is too long."""
        left = self._body

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise self._too_long
            return message

        return bounded


def _token_of(form: bytes) -> str:
    """The token in a query, or in the body that a form sends."""
    return parse_qs(form.decode("latin-1")).get("token", [""])[0]


def _for_one_client(directives: str) -> str:
    """Cache-Control of an answer that is not everybody's: no cache between may keep it."""
    if "no-store" in directives or not directives:
        return "no-store"
    return f"private, {directives.removeprefix('public, ')}"


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdigit() and len(text) < 19 else "0"
