"""Background jobs: views of any size as files, one after the other; stopped ones resume."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import queue
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from creps.errors import CrepsError, GridError, UsageError
from creps.rendering._painter import Picture
from creps.rendering._tiles import Tile
from creps.rendering.output._save import Tiles, refuse_target, save_picture, tidy, unfinished
from creps.serving._identifiers import PictureId, parse_identifier
from creps.serving._models import ModelRegistry
from creps.serving._picture_routes import checked_view, file_name
from creps.serving._pool import OverloadedError, Pool
from creps.serving._responses import ENCODINGS, guarded, sentence
from creps.serving._settings import Limits
from creps.serving._views import RenderedSource, ViewSpec

JobFormat = Literal["png", "jpg", "webp", "tif"]
"""What a job can write: one file each."""
JOB_FORMATS: tuple[JobFormat, ...] = get_args(JobFormat)

State = Literal["queued", "running", "writing", "done", "failed", "cancelled"]

ENDED = ("done", "failed", "cancelled")
REMEMBERED = 200
"""Ended jobs that are still known."""
SAMPLES_A_PIXEL = 16
SOONER = 30
"""Seconds until a client may ask again, when too many jobs wait."""

_log = logging.getLogger("creps.serving")


class _StoppedError(Exception):
    """The job was cancelled, or the server ends."""


@dataclass
class Job:
    """A view that becomes a file.

    Attributes:
        number: its name in addresses: it cannot be guessed.
        name, path: of the file, for clients and here.
        done: pixels of the file so far; `before` of them when it resumed.
        error: what went wrong, in one sentence.
        unwanted: a client called it off; it ends as soon as it notices.
    """

    number: str
    picture: PictureId
    spec: ViewSpec
    format: str
    name: str
    path: Path
    state: State = "queued"
    done: int = 0
    error: str | None = None
    started: float | None = None
    ended: float | None = None
    before: int = 0
    unwanted: bool = False

    @property
    def total(self) -> int:
        """Pixels of the file."""
        height, width = self.spec.size
        return height * width

    def document(self) -> dict[str, Any]:
        """What a client sees."""
        now = self.ended or time.time()
        seconds = now - (self.started or now)
        drawn, left = self.done - self.before, None
        if self.state == "running" and drawn > 0:
            left = round(seconds * (self.total - self.done) / drawn, 1)
        there = self.state == "done" and self.path.is_file()
        return {
            "job": self.number,
            "state": "cancelled" if self.unwanted else self.state,
            "done": self.done,
            "total": self.total,
            "seconds": round(seconds, 1),
            "left": left,
            "name": self.name,
            "bytes": self.path.stat().st_size if there else None,
            "file": f"api/jobs/{self.number}/file" if there else None,
            "error": None if self.error is None else sentence(self.error),
        }


class JobQueue:
    """Background jobs, run one at a time while no picture is requested.

    Files and unfinished work have names that follow from what they show, so that the same job
    resumes after a cancel, a crash or a restart. Nothing else may be in `folder`.
    """

    def __init__(
        self, folder: Path, *, registry: ModelRegistry, pool: Pool, limits: Limits
    ) -> None:
        self._folder, self._registry, self._pool, self._limits = folder, registry, pool, limits
        folder.mkdir(parents=True, exist_ok=True)
        self._secret = secrets.token_bytes(16)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="creps-jobs", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that are not begun."""
        return sum(job.state == "queued" for job in list(self._jobs.values()))

    def submit(self, picture: PictureId, spec: ViewSpec, *, kind: str, name: str) -> Job:
        """Add a job; an equal one that exists is returned instead.

        Raises:
            GridError, UsageError: for what cannot be drawn, or not in this format.
            MissingExtraError: for large ones, without the packages they need.
            OverloadedError: when too many wait.
        """
        model = self._registry.model(picture)
        if picture.by is not None:
            raise UsageError("jobs do not enlarge pictures: leave ;by= out")
        content = f"{model.made_by} {picture.content} {spec} {kind}"
        path = self._folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.{kind}"
        height, width = spec.size
        refuse_target(path, height=height, width=width, overwrite=True)
        number = hashlib.sha256(self._secret + path.name.encode()).hexdigest()[:32]
        with self._lock:
            known = self._jobs.get(number)
            if known is not None and (
                known.state in ("queued", "running", "writing")
                or (known.state == "done" and known.path.is_file())
            ):
                known.unwanted = False
                return known
            if self._closed or self.waiting >= self._limits.jobs:
                raise OverloadedError(SOONER)
            job = Job(number, picture, spec, kind, name, path)
            self._jobs[number] = job
            self._jobs.move_to_end(number)
            self._forget()
            self._queue.put(job)
        return job

    def find(self, number: str) -> Job | None:
        """The job of this number."""
        return self._jobs.get(number)

    def cancel(self, job: Job) -> None:
        """Stop a job, or delete its file; unfinished work stays for the next job like it."""
        with self._lock:
            if job.state in ("running", "writing"):
                job.unwanted = True
            elif job.state in ("queued", "done"):
                job.path.unlink(missing_ok=True)
                job.state = "cancelled"

    def close(self, *, patience: float | None = None) -> None:
        """Stop what runs, at the next chunk; a job like it goes on, whatever a new server is.

        Waits for it as long as `patience` says; None: for ever.
        """
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._thread.join(patience)

    def _serve(self) -> None:
        """Work jobs off, the oldest first."""
        while (job := self._queue.get()) is not None and not self._closed:
            with self._lock:
                if job.state != "queued":
                    continue
                job.state, job.started, job.done = "running", time.time(), 0
            self._work(job)

    def _work(self, job: Job) -> None:
        """One job, to its end; errors do not reach the next one."""
        try:
            self._make_room(job)
            self._write(job)
        except (_StoppedError, OverloadedError):
            self._end(job, "queued")  # unless it is unwanted
        except CrepsError as error:
            self._end(job, "failed", str(error))
        except OSError as error:
            self._end(job, "failed", f"the file cannot be written: {error.strerror}")
            _log.warning("job failed: %s", error)
        except Exception:
            self._end(job, "failed", "something went wrong on the server")
            _log.exception("job failed")
        else:
            self._end(job, "done")

    def _end(self, job: Job, state: State, error: str | None = None) -> None:
        """Note how a job ended; one that was called off and asked for again since is no longer."""
        with self._lock:
            if job.unwanted:
                job.path.unlink(missing_ok=True)
                state, error = "cancelled", None
            job.state, job.error, job.ended = state, error, time.time()
            if state == "queued":
                self._queue.put(job)

    def _write(self, job: Job) -> None:
        """Write the file of a job."""
        if job.path.is_file():  # of an earlier run
            tidy(job.path)
            job.done = job.total
            return
        model, source = self._registry.model(job.picture), self._registry.source(job.picture)
        assert isinstance(source, RenderedSource)  # see `submit`
        samples = job.total * SAMPLES_A_PIXEL
        draw = source.maker(job.spec, samples=samples, side_by_side=self._pool.in_background)

        def make(tile: Tile) -> Picture:
            if job.unwanted or self._closed:
                raise _StoppedError
            return draw(tile)

        def progress(done: int, total: int) -> None:
            if job.done == 0:
                job.before = done
            job.done = done
            if done == total:
                job.state = "writing"

        height, width = job.spec.size
        channels = model.generator.config.colors
        tiles = Tiles(height=height, width=width, channels=channels, make=make)
        about = model.about(job.picture, job.spec)
        save_picture(tiles, job.path, settings=about, progress=progress)

    def _make_room(self, job: Job) -> None:
        """Delete the oldest files until a job's raw pixels fit in the limit."""
        own = {job.path, unfinished(job.path)}
        there = sorted((*_age_and_bytes(each), each) for each in self._folder.iterdir())
        there = [each for each in there if each[2] not in own]
        used = sum(size for _, size, _ in there)
        for _, size, place in there:
            if used + 3 * job.total <= self._limits.job_bytes:
                return
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)  # another server may have been faster
            used -= size

    def _forget(self) -> None:
        """Forget all but the latest of the jobs that have ended."""
        ended = [number for number, job in self._jobs.items() if job.state in ENDED]
        for number in ended[:-REMEMBERED]:
            del self._jobs[number]


def _age_and_bytes(place: Path) -> tuple[float, int]:
    """When a file, or anything in a folder, was written last; and its bytes."""
    found = []
    for path in [place, *place.rglob("*")]:
        with contextlib.suppress(OSError):
            found.append(path.stat())
    return max((s.st_mtime for s in found), default=0.0), sum(s.st_size for s in found)


NOT_KEPT = {"Cache-Control": "no-store"}
_Number = Annotated[float, msgspec.Meta(gt=-1e9, lt=1e9)]


class _JobRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a request for a job: a view of a picture as a file."""

    id: str
    height: int
    width: int
    window: tuple[_Number, _Number, _Number, _Number] | None = None
    rotation: _Number = 0.0
    mirror: bool = False
    format: JobFormat = "png"


class JobRoutes:
    """Routes of background jobs; no other site may use them through a client's browser."""

    def __init__(self, queue: JobQueue, *, limits: Limits) -> None:
        self._queue, self._limits = queue, limits

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/jobs", guarded(self._submit), methods=["POST"]),
            Route("/api/jobs/{job}", guarded(self._show), methods=["GET"]),
            Route("/api/jobs/{job}", guarded(self._cancel), methods=["DELETE"]),
            Route("/api/jobs/{job}/file", guarded(self._file), methods=["GET"]),
        ]

    async def _submit(self, request: Request) -> Response:
        """Take a job."""
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise HTTPException(415, "expected a body of type application/json")
        try:
            wanted = msgspec.json.decode(await request.body(), type=_JobRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"the body: {error}") from None
        job = await asyncio.to_thread(self._taken, wanted)
        headers = {**NOT_KEPT, "Location": f"api/jobs/{job.number}"}
        return JSONResponse(job.document(), 202, headers=headers)

    async def _show(self, request: Request) -> Response:
        return JSONResponse(self._job(request).document(), headers=NOT_KEPT)

    async def _cancel(self, request: Request) -> Response:
        """Stop a job, or delete its file."""
        job = self._job(request)
        self._queue.cancel(job)
        return JSONResponse({**job.document(), "state": "cancelled"}, headers=NOT_KEPT)

    async def _file(self, request: Request) -> Response:
        job = self._job(request)
        if job.state != "done":
            raise HTTPException(409, f"this job is {job.state}: expected done")
        if not job.path.is_file():
            raise HTTPException(410, "this file was deleted to make room: ask for it again")
        kind = ENCODINGS[job.format].media_type
        return FileResponse(job.path, media_type=kind, filename=job.name, headers=NOT_KEPT)

    def _taken(self, wanted: _JobRequest) -> Job:
        """The job of a request's body."""
        picture = parse_identifier(wanted.id)
        view = checked_view(
            wanted.window or picture.window,
            height=wanted.height,
            width=wanted.width,
            turn=wanted.rotation,
            mirror=wanted.mirror,
        )
        if view.height * view.width > self._limits.job_pixels:
            raise GridError(
                f"{view.height} x {view.width} pixels: expected at most "
                f"{self._limits.job_pixels:,} in all"
            )
        name = file_name(picture, view, wanted.format)
        return self._queue.submit(picture, view, kind=wanted.format, name=name)

    def _job(self, request: Request) -> Job:
        job = self._queue.find(request.path_params["job"])
        if job is None:
            raise HTTPException(404, "no such job here: ask for the picture again")
        return job
