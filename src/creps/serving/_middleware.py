"""What every request passes: the token, the size of requests, counters, headers."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creps.serving._pages import login_page
from creps.serving._responses import OPEN_TO_ALL, error_response
from creps.serving._telemetry import Telemetry

LONGEST_ADDRESS = 4096

OPEN = ("/health", "/robots.txt")
"""What needs no token: balancers ask whether the server is there."""

SHARED = ("/iiif/", "/dzi/", "/plane/", "/view/")
"""What pages of other sites may show."""

KINDS = ("iiif", "dzi", "plane", "view", "api", "static", "health", "metrics")

SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

_log = logging.getLogger("creps.serving")


class AccessMiddleware:
    """Stands before the application.

    Args:
        app: what it guards.
        token: what clients must know; None: nothing.
        telemetry: where requests are counted.
        body: bytes of a request's body at most.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, telemetry: Telemetry, body: int) -> None:
        self._app, self._token, self._telemetry, self._body = app, token, telemetry, body
        digest = hashlib.sha256((token or "").encode()).hexdigest()
        self._cookie = f"creps_{digest[:8]}"  # servers on other ports have cookies of their own

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
            self._telemetry.answered(kind, status, seconds=time.perf_counter() - started)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to those who may not pass; None to others."""
        query: bytes = scope["query_string"]
        if len(scope.get("raw_path") or b"") + len(query) > LONGEST_ADDRESS:
            return error_response(f"the address: expected up to {LONGEST_ADDRESS} bytes", 414)
        headers = Headers(scope=scope)
        if int(_digits(headers.get("content-length", "0"))) > self._body:
            return error_response(f"the body: expected up to {self._body} bytes", 413)
        if scope["method"] == "OPTIONS" and scope["path"].startswith(SHARED):
            allowed = {f"Access-Control-Allow-{what}": "*" for what in ("Methods", "Headers")}
            return Response(status_code=204, headers={**OPEN_TO_ALL, **allowed})
        if self._token is None or scope["path"] in OPEN:
            return None
        given = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._is_token(given):
            answer = RedirectResponse("./", 303, headers={"Cache-Control": "no-store"})
            answer.set_cookie(self._cookie, given, httponly=True, samesite="strict")
            return answer
        words = (given, self._bearer(headers), self._from_cookie(headers))
        if any(map(self._is_token, words)):
            return None
        if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            refusal: Response = login_page(wrong=given != "")
        else:
            refusal = error_response("a token is needed: open /?token=...", 401)
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    def _is_token(self, word: str) -> bool:
        return hmac.compare_digest(word.encode(), (self._token or "").encode())

    def _bearer(self, headers: Headers) -> str:
        scheme, _, word = headers.get("authorization", "").partition(" ")
        return word if scheme.lower() == "bearer" else ""

    def _from_cookie(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    def _bounded(self, receive: Receive) -> Receive:
        """`receive` that ends a body without a length that grows too long."""
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
