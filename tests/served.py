"""A server on the loopback for tests, and one in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from creps.networks.base import Generator
from creps.serving import ServeSettings, build_app
from creps.serving._app import listening, server_config


@contextmanager
def in_memory(generators: dict[str, Generator], **settings: Any) -> Iterator[TestClient]:
    """A client of a server without a network; `settings` are those of `ServeSettings`."""
    app = build_app(
        generators, settings=ServeSettings(workers=2, hosts=("testserver",), **settings)
    )
    with TestClient(app, follow_redirects=False) as client:
        yield client


@contextmanager
def on_loopback(
    app: Starlette, settings: ServeSettings, *, port: int = 0, verbose: bool = False
) -> Iterator[int]:
    """The port of a server that really listens, in a thread of its own; 0: any that is free."""
    listener = listening("127.0.0.1", port)
    server = uvicorn.Server(server_config(app, settings=settings, verbose=verbose))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def static_host(folder: Path) -> Iterator[str]:
    """The address of a plain static host, as `python -m http.server` is."""
    handler = partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{host.server_port}"
        finally:
            host.shutdown()
            thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
