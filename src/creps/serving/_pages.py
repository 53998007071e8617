"""The viewer's page and its files, read once: no address reaches the file system."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from creps.serving._responses import guarded, matches

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
"""Files of other kinds are not sent."""

INDEX, LOGIN = "index.html", "login.html"
"""The viewer, and the page that requests the token first."""

POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'"
)
"""What the page may load: nothing from elsewhere."""


def static_folder() -> Path:
    """Where the page's files are in the package."""
    return Path(str(files("creps"))) / "serving" / "static"


def static_files() -> dict[str, bytes]:
    """All files of the page by their names, such as `index.html` or `images/zoom.svg`."""
    folder = static_folder()
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in MEDIA_TYPES
    }


@cache
def _login_html() -> bytes:
    return (static_folder() / LOGIN).read_bytes()


def login_page(*, wrong: bool) -> Response:
    """The page for clients without the token, or with a wrong one."""
    body = _login_html().replace(b" hidden>", b">") if wrong else _login_html()
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return Response(body, 401, headers=headers, media_type=MEDIA_TYPES[".html"])


def page_routes() -> list[Route]:
    """Routes of the page and its files."""
    contents = static_files()
    tags = {name: _tag(body) for name, body in contents.items()}

    def _file(request: Request, name: str) -> Response:
        if name not in contents:
            raise HTTPException(404, f"nothing at {request.url.path}")
        more = {"Content-Security-Policy": POLICY} if name.endswith(".html") else {}
        kind = MEDIA_TYPES[Path(name).suffix]
        return _whole(request, contents[name], tag=tags[name], kind=kind, headers=more)

    async def index(request: Request) -> Response:
        return _file(request, INDEX)

    async def static(request: Request) -> Response:
        return _file(request, request.path_params["name"])

    async def robots(request: Request) -> Response:
        """Keep crawlers out: the plane is endless."""
        paths = "".join(f"Disallow: /{room}/\n" for room in ("plane", "iiif", "dzi", "view"))
        return PlainTextResponse(f"User-agent: *\n{paths}")

    table = {"/": index, "/static/{name:path}": static, "/robots.txt": robots}
    return [Route(path, guarded(route), methods=["GET"]) for path, route in table.items()]


def weights_routes(weights: Mapping[str, bytes]) -> list[Route]:
    """Routes of the files from which pages draw models by themselves."""
    tags = {name: _tag(body) for name, body in weights.items()}

    async def file(request: Request) -> Response:
        name = request.path_params["name"].removesuffix(".safetensors")
        if name not in weights:
            raise HTTPException(404, f"nothing at {request.url.path}")
        return _whole(request, weights[name], tag=tags[name], kind="application/octet-stream")

    return [Route("/weights/{name}", guarded(file), methods=["GET"])]


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _whole(
    request: Request, body: bytes, *, tag: str, kind: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A file, or the word that it is as it was."""
    headers = {"ETag": tag, "Cache-Control": "no-cache", **(headers or {})}
    if matches(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)
