"""Where a server is to be found: what its documents name, and nothing a client made up."""

from __future__ import annotations

import re

from starlette.requests import Request

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9a-fA-F:]{2,45}\])(?::\d{1,5})?")


class Urls:
    """The server's base address.

    Args:
        url: fixed, as behind a proxy with a path of its own; None: as the client asked.
    """

    def __init__(self, url: str | None) -> None:
        self._url = None if url is None else url.rstrip("/")

    def of(self, request: Request) -> str:
        """Without a slash at its end."""
        if self._url is not None:
            return self._url
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):  # a name that could break out of a header or document
            server = request.scope.get("server") or ("localhost", None)
            host = server[0] if server[1] is None else f"{server[0]}:{server[1]}"
        scheme = "https" if request.scope.get("scheme") == "https" else "http"
        return f"{scheme}://{host}"
