"""What every request passes: the token, the size of requests, counters, headers."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import Iterator
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creps.serving._pages import login_page
from creps.serving._responses import error_response
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
    """Wraps the application: refuses, counts, adds headers.

    Without a `token` anybody may ask. A request's body has at most `body` bytes.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, telemetry: Telemetry, body: int) -> None:
        self._app, self._token, self._telemetry, self._body = app, token, telemetry, body
        digest = hashlib.sha256((token or "").encode()).hexdigest()
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
            await send(message)

        try:
            refused = self._refusal(scope)
            if refused is not None:
                await refused(scope, receive, counted)
            else:
                await self._app(scope, self._bounded(receive), counted)
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

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is refused, or needs no application; None for others."""
        query: bytes = scope["query_string"]
        if len(scope.get("raw_path") or b"") + len(query) > LONGEST_ADDRESS:
            return error_response(f"the address: expected up to {LONGEST_ADDRESS} bytes", 414)
        headers = Headers(scope=scope)
        if int(_digits(headers.get("content-length", "0"))) > self._body:
            return error_response(f"the body: expected up to {self._body} bytes", 413)
        if scope["method"] == "OPTIONS" and scope["path"].startswith(SHARED):
            allowed = {f"Access-Control-Allow-{what}": "*" for what in ("Methods", "Headers")}
            return Response(status_code=204, headers=allowed)
        if self._token is None or scope["path"] in OPEN:
            return None
        given = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._is_token(given):
            answer = RedirectResponse("./", 303, headers={"Cache-Control": "no-store"})
            answer.set_cookie(self._cookie, given, httponly=True, samesite="strict")
            return answer
        if any(map(self._is_token, (given, *self._presented(headers)))):
            return None
        if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            refusal: Response = login_page(wrong=given != "")
        else:
            refusal = error_response("a token is needed: open /?token=...", 401)
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

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
        """`receive` that breaks off a body of unknown length when it is too long."""
        left = self._body

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    return {"type": "http.disconnect"}
            return message

        return bounded


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdigit() and len(text) < 19 else "0"
