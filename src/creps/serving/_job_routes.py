"""Routes of background jobs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from creps.errors import GridError, UsageError
from creps.serving._identifiers import parse_identifier
from creps.serving._jobs import Job, JobDesk
from creps.serving._picture_routes import checked_shot, file_name
from creps.serving._responses import ENCODINGS, guarded
from creps.serving._settings import JOB_FORMATS, Limits

FIELDS = {"id", "window", "height", "width", "rotation", "mirror", "format"}

NOT_KEPT = {"Cache-Control": "no-store"}


class JobRoutes:
    """Routes of background jobs; no other site may use them through a client's browser.

    Args:
        desk: where jobs are taken.
        limits: of jobs.
    """

    def __init__(self, desk: JobDesk, *, limits: Limits) -> None:
        self._desk, self._limits = desk, limits

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/jobs", guarded(self.submit), methods=["POST"]),
            Route("/api/jobs/{job}", guarded(self.show), methods=["GET"]),
            Route("/api/jobs/{job}", guarded(self.cancel), methods=["DELETE"]),
            Route("/api/jobs/{job}/file", guarded(self.file), methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        """Take a job."""
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise HTTPException(415, "expected a body of type application/json")
        try:
            wanted = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise UsageError("the body is not JSON") from None
        job = await asyncio.to_thread(self._taken, wanted)
        headers = {**NOT_KEPT, "Location": f"api/jobs/{job.number}"}
        return JSONResponse(job.document(), 202, headers=headers)

    async def show(self, request: Request) -> Response:
        """How far a job is."""
        return JSONResponse(self._job(request).document(), headers=NOT_KEPT)

    async def cancel(self, request: Request) -> Response:
        """Stop a job, or throw its file away."""
        job = self._job(request)
        self._desk.cancel(job)
        return JSONResponse({**job.document(), "state": "cancelled"}, headers=NOT_KEPT)

    async def file(self, request: Request) -> Response:
        """The file of a job that is done."""
        job = self._job(request)
        if job.state != "done":
            raise HTTPException(409, f"this job is {job.state}: expected done")
        if not job.path.is_file():
            raise HTTPException(410, "this file was thrown away to make room: ask for it again")
        kind = ENCODINGS[job.format].media_type
        return FileResponse(job.path, media_type=kind, filename=job.name, headers=NOT_KEPT)

    def _taken(self, wanted: Any) -> Job:
        """The job that a body asks for."""
        if not isinstance(wanted, dict) or not set(wanted) <= FIELDS or "id" not in wanted:
            raise UsageError(f"expected an object with id, and of {', '.join(sorted(FIELDS))}")
        picture = parse_identifier(_typed(wanted, "id", str))
        window = wanted.get("window", picture.window)
        if not isinstance(window, list | tuple) or len(window) != 4:
            raise UsageError("window: expected four numbers [y0, x0, y1, x1]")
        y0, x0, y1, x1 = (_number(edge, "window") for edge in window)
        kind = _typed(wanted, "format", str, "png")
        if kind not in JOB_FORMATS:
            raise UsageError(f"format {kind[:20]!r}: expected {', '.join(JOB_FORMATS)}")
        shot = checked_shot(
            (y0, x0, y1, x1),
            height=_typed(wanted, "height", int),
            width=_typed(wanted, "width", int),
            turn=_number(wanted.get("rotation", 0), "rotation"),
            mirror=_typed(wanted, "mirror", bool, False),
        )
        if shot.height * shot.width > self._limits.job_pixels:
            raise GridError(
                f"{shot.height} x {shot.width} pixels: expected at most "
                f"{self._limits.job_pixels:,} in all"
            )
        return self._desk.submit(picture, shot, kind=kind, name=file_name(picture, shot, kind))

    def _job(self, request: Request) -> Job:
        job = self._desk.find(request.path_params["job"])
        if job is None:
            raise HTTPException(404, "no such job: it may have been forgotten, ask for it again")
        return job


def _typed(wanted: dict[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """A field of one type."""
    value = wanted.get(name, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        words = {str: "text", int: "a whole number", bool: "true or false"}
        raise UsageError(f"{name}: expected {words[kind]}")
    return value


def _number(value: Any, name: str) -> float:
    """A finite number of reasonable size."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise UsageError(f"{name}: expected numbers")
    return float(value)
