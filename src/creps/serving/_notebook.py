"""A picture to walk into, in a notebook: `creps.view(generator, 7)`."""

from __future__ import annotations

import atexit
import base64
import html
import os
import threading
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import quote

from creps.errors import MissingExtraError
from creps.networks.base import Generator
from creps.rendering._renderer import Model, Renderer
from creps.serving._views import as_image

FALLBACK = 768
"""Pixels of the picture that is shown where no server can be reached."""

_servers: dict[int | str, tuple[Generator, int]] = {}
"""A model and its port, by the model's identity, or the name or path that was given."""
_lock = threading.Lock()


@dataclass(frozen=True)
class LiveView:
    """What a notebook shows of a picture; `str` is its address.

    Attributes:
        address: of the viewer, on the machine where Python runs; None: a still picture is shown.
        height: of the frame, in pixels of the page.
        still: the picture as a data address.
    """

    address: str | None
    height: int
    still: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.address or "a still picture"

    def _repr_html_(self) -> str:
        if self.address is None:
            return f'<img alt="a generated picture" src="{self.still}" height="{self.height}">'
        source = html.escape(self.address, quote=True)
        return (
            f'<iframe title="creps viewer" src="{source}" width="100%" height="{self.height}" '
            'style="border: 0" allow="fullscreen"></iframe>'
        )


def view(generator: Model, seed: int = 0, *, height: int = 600, static: bool = False) -> LiveView:
    """Show a picture in a notebook, as an endless zoom.

    The first call for a model starts a server in this process, for this machine only; it ends with
    the process. Where the notebook's browser is on another machine (JupyterHub, Colab), ask for a
    still picture.

    Args:
        generator: the model, or its name or path.
        seed: which picture.
        height: of the frame, in pixels of the page.
        static: a still picture, without a server.
    Returns:
        an object that notebooks show.
    Raises:
        UsageError: for a seed out of range.
        MissingExtraError: without the packages of the `serve` extra.
    """
    renderer = Renderer(generator, seed=seed)  # refuses invalid seeds
    if static:
        picture = renderer.picture(size=FALLBACK)
        target = BytesIO()
        as_image(picture).save(target, "PNG")
        still = f"data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}"
        return LiveView(None, height, still)
    key = id(generator) if isinstance(generator, Generator) else os.fspath(generator)
    port = _port_of(renderer.generator, key)
    return LiveView(f"http://127.0.0.1:{port}/#id={quote(f'model:{seed}')}", height)


def _port_of(generator: Generator, key: int | str) -> int:
    """The port of the server of a model; started if there is none."""
    with _lock:
        if key not in _servers:
            # The generator is kept with it: its identity cannot go to another.
            _servers[key] = generator, _start(generator)
        return _servers[key][1]


def _start(generator: Generator) -> int:
    """Start a server in its own thread; returns its port."""
    try:
        import uvicorn

        from creps.serving._app import build_app, listening, server_config
        from creps.serving._settings import ServeSettings
    except ImportError:
        raise MissingExtraError("creps.view", "serve") from None
    settings = ServeSettings()
    app = build_app({"model": generator}, settings=settings)
    listener = listening("127.0.0.1", 0)
    server = uvicorn.Server(server_config(app, settings=settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()

    def end() -> None:
        server.should_exit = True
        thread.join(timeout=10)

    atexit.register(end)
    port: int = listener.getsockname()[1]
    return port
