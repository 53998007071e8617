"""The server as one ASGI application, and how it is run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from types import FrameType

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from creps import __version__
from creps.errors import UnsupportedError
from creps.networks.base import Generator
from creps.serving._connections import BoundedConnection
from creps.serving._jobs import JOB_FORMATS, JobQueue, JobRoutes
from creps.serving._middleware import AccessMiddleware
from creps.serving._models import ModelRegistry
from creps.serving._offer import offer, page_weights
from creps.serving._pages import page_routes, weights_routes
from creps.serving._picture_routes import PictureRoutes
from creps.serving._responses import error_response, guarded
from creps.serving._secrecy import keep_out_of_logs
from creps.serving._service import RenderService
from creps.serving._settings import ServeSettings
from creps.serving._telemetry import Telemetry
from creps.serving._zarr_routes import ZarrRoutes

KEEP_ALIVE = 20
"""Seconds that an idle connection stays open."""
LAST_ANSWERS = 3
"""Seconds for answers under way, when the server shuts down; those that are late get a 503."""
LAST_WORDS = 0.1
"""Seconds for these 503."""
LAST_WORK = 0.25
"""Seconds for threads to notice, before they are left."""
LAST_SECONDS = 5.0
"""From a signal to the end of the process, whatever it is at."""


def build_app(generators: Mapping[str, Generator], *, settings: ServeSettings) -> Starlette:
    """The ASGI application: pictures, jobs, the page, health and metrics.

    Its threads end with the application's lifespan.

    Args:
        generators: models by their names in addresses.
        settings: of the server.
    Raises:
        ConfigError: for no models, or a name that no address can have.
        UsageError: for an invalid device or precision.
        UnsupportedError: for a server of live pages without a model that pages can draw.
    Example:
        >>> import creps
        >>> app = build_app({"portraits": creps.load("portraits")}, settings=ServeSettings())
    """
    if settings.token is not None:
        keep_out_of_logs(settings.token)
    telemetry = Telemetry()
    registry = ModelRegistry(generators, settings=settings)
    service = RenderService(registry, settings=settings, telemetry=telemetry)
    jobs = None
    routes = [*PictureRoutes(service).routes(), *ZarrRoutes(service).routes()]
    if settings.jobs is not None and settings.limits.job_pixels:
        jobs = JobQueue(settings.jobs, registry=registry, pool=service.pool, limits=settings.limits)
        telemetry.watch("jobs_waiting", "Jobs that wait.", lambda: jobs.waiting if jobs else 0)
        routes += JobRoutes(jobs, limits=settings.limits).routes()
    weights = _weights(generators) if settings.live else {}
    routes += [
        *_about(service, telemetry, jobs=jobs is not None, weights=weights),
        *page_routes(),
        *weights_routes(weights),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.sleep(LAST_WORDS)
        if jobs is not None:
            jobs.close(patience=LAST_WORK)
        service.close(patience=LAST_WORK)

    guard = Middleware(AccessMiddleware, settings=settings, telemetry=telemetry)
    app = Starlette(
        routes=routes,
        middleware=[guard],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error},
    )
    app.router.redirect_slashes = False
    return app


def run_app(
    app: Starlette, listener: socket.socket, *, settings: ServeSettings, verbose: bool = False
) -> None:
    """Serve until SIGINT or SIGTERM; the process ends within `LAST_SECONDS` of it."""
    # The server shuts down gracefully; the signal it re-raises then should end the process quietly.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(KeyboardInterrupt):  # which is raised again, too
        _Server(server_config(app, settings=settings, verbose=verbose)).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends with its process: what is written is renamed when it is whole, or taken up again."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, and see to it that it does not last: a file, a chunk may take minutes."""
        last = threading.Timer(LAST_SECONDS, os._exit, [0])
        last.daemon = True
        last.start()
        super().handle_exit(sig, frame)


def server_config(
    app: Starlette, *, settings: ServeSettings, verbose: bool = False
) -> uvicorn.Config:
    """How the server runs: few words, few connections, an end that waits for answers."""
    return uvicorn.Config(
        app,
        lifespan="on",
        http=BoundedConnection,
        ws="none",
        log_level="info" if verbose else "error",
        access_log=verbose,
        server_header=False,
        limit_concurrency=settings.limits.connections,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=LAST_ANSWERS,
    )


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; made first, so that a port in use is one clear error, an OSError.

    127.0.0.1 is heard on this machine only; port 0 is any that is free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol given, asyncio sends small packets at once.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from None
    return listener


def _weights(generators: Mapping[str, Generator]) -> dict[str, bytes]:
    """The files of the models that pages draw by themselves; others are drawn here."""
    weights: dict[str, bytes] = {}
    for name, generator in generators.items():
        try:
            weights[name] = page_weights(generator)
        except UnsupportedError:
            if len(generators) == 1:
                raise
    return weights


def _about(
    service: RenderService, telemetry: Telemetry, *, jobs: bool, weights: Mapping[str, bytes]
) -> list[Route]:
    """Routes about the server itself."""
    settings = service.settings
    document = offer(
        service.registry.models,
        size=settings.size,
        limits=settings.limits,
        weights={name: f"weights/{name}.safetensors" for name in weights},
        formats=tuple(JOB_FORMATS) if jobs else (),
    )

    async def models(request: Request) -> Response:
        return JSONResponse(document, headers={"Cache-Control": "no-cache"})

    async def health(request: Request) -> Response:
        state = {
            "status": "ok",
            "version": __version__,
            "waiting": service.pool.waiting,
            "busy": service.pool.busy,
            "workers": service.pool.workers,
        }
        return JSONResponse(state, headers={"Cache-Control": "no-store"})

    async def metrics(request: Request) -> Response:
        return Response(telemetry.text(), media_type=CONTENT_TYPE_LATEST)

    table = {"/api/models": models, "/health": health, "/metrics": metrics}
    return [Route(path, guarded(route), methods=["GET"]) for path, route in table.items()]


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown addresses and methods, as text."""
    assert isinstance(error, HTTPException)
    words = {404: f"nothing at {request.url.path[:80]}", 405: f"no {request.method[:10]} here"}
    answer = error_response(words.get(error.status_code, str(error.detail)), error.status_code)
    answer.headers.update(error.headers or {})
    return answer
