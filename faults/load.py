"""A server that many use at once, well and badly, for minutes; then it is told to end.

What must not happen is counted: tracebacks in its log, 5xx that are not 503, requests without an
answer, jobs that fail or are lost, a token in the log, memory that grows.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from creps.errors import CrepsError
from faults.nonsense import nonsense

TOKEN = "a-secret-of-the-load"
LIMITS = ("--max-pixels", "300000", "--max-seconds", "20", "--max-waiting", "24")
STORES = ("--memory-mb", "64", "--cache-mb", "16", "--job-megapixels", "2", "--size", "4096")

STARTED = re.compile(r"The viewer is at http://127\.0\.0\.1:(\d+)")

HANG = 120.0
"""Seconds without an answer, or an end of the connection, that are a fault: the server refuses what
it cannot draw within 20."""
LAST = 10.0
"""Seconds for the end; the server promises 5, to those who run it on an idle machine."""
GROWTH = 64.0
"""MiB between the middle and the end; beyond that it is a fault."""
PARTS = 8
"""Of the time, for which the memory is told."""
WIDEST = 388
"""Pixels a side that views stay below: one that is turned may have half the pixels of the limit."""
SEEDS = 12
"""Pictures that many look at; every fifth request is for one that nobody has seen."""


class Refused(Exception):
    """The server has closed the connection without an answer."""


@dataclass
class Tally:
    """What happened in some minutes."""

    minutes: float
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    ended_s: float = 0.0

    def row(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        kinds: Counter[str] = Counter()
        for name, count in self.answers.items():
            kinds[name.rsplit(maxsplit=1)[1]] += count
        part = max(-(-len(self.mib) // PARTS), 1)
        parts = [self.mib[k : k + part] for k in range(0, len(self.mib), part)]
        return {
            "minutes": round(self.minutes, 1),
            "requests": sum(self.answers.values()),
            "answers": dict(sorted(kinds.items())),
            "p95_s": round(statistics.quantiles(self.seconds, n=20)[-1], 2)
            if len(self.seconds) > 1
            else None,
            "mib": [round(statistics.median(each)) for each in parts],
            "ended_s": round(self.ended_s, 1),
            "faults": dict(sorted(self.faults.items())),
        }


@dataclass
class Server:
    """A server in a process of its own, and what it writes."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def mib(self) -> float:
        """Memory that it holds (Linux)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def running(model: str, folder: Path) -> Iterator[Server]:
    """A server on a free port, which listens; what it keeps is in `folder`."""
    (secret := folder / "token").write_text(TOKEN)
    words = ["--model", model, "--port", "0", "--folder", str(folder / "store"), "--verbose"]
    words += ["--token-file", str(secret), *LIMITS, *STORES]
    log = folder / "log"
    known = len(STARTED.findall(log.read_text())) if log.exists() else 0
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "creps", "serve", *words],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        while not (found := STARTED.findall(log.read_text(errors="replace"))[known:]):
            if process.poll() is not None:
                raise CrepsError(f"the server does not start: {log.read_text()[-200:]}")
            time.sleep(0.1)
        yield Server(process, int(found[-1]), log)
    finally:
        process.kill()
        process.wait()


class Visitor:
    """Somebody who uses a server, in one way after the other.

    Args:
        draw: what it does next.
    """

    def __init__(self, server: Server, model: str, draw: random.Random, tally: Tally) -> None:
        self.server, self.model, self.draw, self.tally = server, model, draw, tally
        self._client = f"10.0.0.{draw.randrange(250)}"
        self.ways: dict[Callable[[], Awaitable[None]], int] = {
            self.tile: 30,
            self.view: 8,
            self.region: 8,
            self.array: 8,
            self.document: 6,
            self.job: 2,
            self.job_called_off: 2,
            self.leave: 8,
            self.nonsense: 20,
            self.stranger: 4,
            self.long_body: 2,
            self.half: 2,
            self.dawdle: 2,
        }

    async def live(self, end: float, pause: float) -> None:
        """Until `end`, with pauses of about `pause` seconds."""
        while (left := end - time.monotonic()) > 0:
            (way,) = self.draw.choices(list(self.ways), list(self.ways.values()))
            try:
                await asyncio.wait_for(way(), HANG)
            except TimeoutError:
                self.tally.faults[f"hang of {way.__name__}"] += 1
            except (OSError, EOFError, Refused) as error:
                if self.server.process.poll() is not None:
                    self.tally.faults["the server is gone"] += 1
                    return
                self.tally.faults[f"{way.__name__}: {type(error).__name__}"] += 1
            await asyncio.sleep(min(self.draw.expovariate(1 / pause), max(left, 0)))

    def picture(self) -> str:
        """One that many look at, most often."""
        seed = (
            self.draw.randrange(2**32) if self.draw.random() < 0.2 else self.draw.randrange(SEEDS)
        )
        return f"{self.model}:{seed}"

    async def tile(self) -> None:
        """A tile of the plane."""
        level = self.draw.randrange(0, 20)
        x, y = (self.draw.randrange(2**level) for _ in range(2))
        await self.expect("tile", f"/plane/{self.picture()}/{level}/{x}_{y}.jpg", 200)

    async def view(self) -> None:
        """A view, often turned."""
        angle = self.draw.choice((0, 0, 90, 33))
        size = f"height={self.draw.randrange(8, WIDEST)}&width={self.draw.randrange(8, WIDEST)}"
        await self.expect("view", f"/view/{self.picture()}?{size}&rotation={angle}", 200)

    async def region(self) -> None:
        """A region by IIIF, or a tile by Deep Zoom."""
        if self.draw.random() < 0.3:
            await self.expect("dzi", f"/dzi/{self.picture()}_files/9/0_1.jpg", 200)
            return
        x, y = self.draw.randrange(3000), self.draw.randrange(3000)
        last = self.draw.choice(("default.jpg", "gray.png", "default.webp", "bitonal.tif"))
        await self.expect("iiif", f"/iiif/{self.picture()}/{x},{y},512,700/128,/0/{last}", 200)

    async def array(self) -> None:
        """A chunk of an array."""
        row, column = self.draw.randrange(8), self.draw.randrange(8)
        await self.expect("zarr", f"/zarr/{self.picture()}/1/c/0/{row}/{column}", 200)

    async def document(self) -> None:
        """A document, the page, numbers."""
        picture = self.picture()
        path = self.draw.choice(
            (f"/iiif/{picture}/info.json", f"/zarr/{picture}/zarr.json", "/", "/metrics",
             "/api/models", f"/api/pictures/{picture}", "/static/js/pixels.js")
        )  # fmt: skip
        await self.expect("document", path, 200, 303)

    async def job(self) -> None:
        """A big download, to its end."""
        number = await self.submit(body := self.wish())
        if number is not None:
            await self.finished(number, body)

    async def job_called_off(self) -> None:
        """A big download that is called off, and then wanted after all."""
        body = self.wish()
        if (number := await self.submit(body)) is None:
            return
        await asyncio.sleep(self.draw.random())
        await self.expect("cancel", f"/api/jobs/{number}", 200, 404, method="DELETE")
        await asyncio.sleep(self.draw.random() / 4)
        if self.draw.random() < 0.7 and (number := await self.submit(body)) is not None:
            await self.finished(number, body)

    def wish(self) -> dict[str, Any]:
        """What a job is asked for."""
        height, width = self.draw.randrange(30, 900), self.draw.randrange(30, 900)
        kind = self.draw.choice(("png", "jpg", "webp", "tif"))
        return {"id": self.picture(), "height": height, "width": width, "format": kind}

    async def submit(self, body: dict[str, Any]) -> str | None:
        """The number of a job; None if too many wait."""
        content = json.dumps(body).encode()
        kind = "Content-Type: application/json"
        answer = await self.expect("post", "/api/jobs", 202, method="POST", body=content, more=kind)
        return None if answer is None else str(json.loads(answer)["job"])

    async def finished(self, number: str, body: dict[str, Any]) -> bool:
        """Wait for a job, and look at its file; whether that was there."""
        start = time.monotonic()
        while time.monotonic() - start < HANG / 2:
            answer = await self.expect("poll", f"/api/jobs/{number}", 200, 404)
            state = json.loads(answer or b"{}").get("state")
            if state == "failed":
                self.tally.faults["failed job"] += 1
            if state in ("failed", "cancelled", None):  # others may call the same job off
                return False
            if state == "done":
                break
            await asyncio.sleep(1)
        else:
            return False  # others come first
        file = await self.expect("file", f"/api/jobs/{number}/file", 200, 409, 410)
        if file is None or file.startswith(b"{"):
            return False
        with Image.open(BytesIO(file)) as image:
            if image.size != (body["width"], body["height"]):
                self.tally.faults["picture of another size"] += 1
        return True

    async def leave(self) -> None:
        """Ask, and leave in the middle: of the request, or of the answer."""
        request = self.request(f"/view/{self.picture()}?height=300&width=300")
        _, writer = await self.connect()
        writer.write(request[: self.draw.choice((len(request), self.draw.randrange(len(request))))])
        await asyncio.sleep(self.draw.random() / 5)
        if self.draw.random() < 0.5:
            linger = b"\1\0\0\0\0\0\0\0"  # a reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()
        self.tally.answers["leave left"] += 1

    async def nonsense(self) -> None:
        """Whatever it is, it is answered, or the connection is closed."""
        header = f"Authorization: Bearer {TOKEN}"
        await self.ask("nonsense", nonsense(self.draw, self.model, header=header))

    async def stranger(self) -> None:
        """Without the token, or through a name that points here."""
        path = self.draw.choice((f"/view/{self.picture()}", "/api/models", "/api/jobs/1"))
        token = f"?token={TOKEN[:-1]}" if self.draw.random() < 0.5 else ""
        plain = f"GET {path}{token} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        await self.ask("stranger", plain, 401)
        await self.ask("rebound", self.request(path, host="evil.example"), 421)

    async def long_body(self) -> None:
        """A body in chunks, beyond the limit."""
        more = "Content-Type: application/json\r\nTransfer-Encoding: chunked"
        head = self.request("/api/jobs", method="POST", more=more)
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        with suppress(Refused, ConnectionError):  # it need not take all of it
            await self.ask(
                "long body", head + chunk * self.draw.randrange(3, 9) + b"0\r\n\r\n", 413
            )

    async def half(self) -> None:
        """Half a request; the server does not wait for the other."""
        reader, writer = await self.connect()
        writer.write(self.request("/metrics")[: self.draw.randrange(40)])
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        self.tally.answers["half closed"] += 1

    async def dawdle(self) -> None:
        """An answer, taken byte by byte, and left."""
        reader, writer = await self.connect()
        writer.write(self.request(f"/view/{self.picture()}?height=400&width=400&format=png"))
        for _ in range(self.draw.randrange(50)):
            if not await reader.read(1):
                break
            await asyncio.sleep(0.02)
        writer.close()
        self.tally.answers["dawdle left"] += 1

    def request(
        self, path: str, *, method: str = "GET", host: str = "localhost", more: str = ""
    ) -> bytes:
        """The head of a request with the token."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"X-Forwarded-For: {self._client}"]
        secret = self.draw.random() < 0.5 and "?" not in path
        if secret:
            lines[0] = f"{method} {path}?token={TOKEN} HTTP/1.1"
        else:
            lines.append(f"Authorization: Bearer {TOKEN}")
        return "\r\n".join([*lines, *([more] if more else []), "", ""]).encode()

    async def expect(
        self, kind: str, path: str, *statuses: int, method: str = "GET", body: bytes = b"",
        more: str = "",
    ) -> bytes | None:  # fmt: skip
        """The body of the answer to a good request; None if the server has too much to do."""
        if body:
            more = f"{more}\r\nContent-Length: {len(body)}"
        request = self.request(path, method=method, more=more) + body
        status, content = await self.ask(kind, request, *statuses, 503)
        return None if status == 503 else content

    async def ask(self, kind: str, request: bytes, *statuses: int) -> tuple[int, bytes]:
        """Status and body of an answer; others than `statuses` are faults.

        Without `statuses` all below 500 will do, 503, and the end of the connection.
        """
        started = time.monotonic()
        reader, writer = await self.connect()
        try:
            writer.write(request)
            status, content = await self.answer(reader, head_only=request.startswith(b"HEAD"))
        except (Refused, ConnectionError):
            if statuses:
                raise
            status, content = 0, b""
        finally:
            writer.close()
        self.tally.seconds.append(time.monotonic() - started)
        self.tally.answers[f"{kind} {status}"] += 1
        if status not in statuses if statuses else status >= 500 and status != 503:
            self.tally.faults[f"{kind}: {status}"] += 1
        if status >= 400 and content.startswith(b"{"):
            line = json.loads(content)["error"]
            if len(line) > 300 or not line.isprintable():
                self.tally.faults["an error that is no short line"] += 1
        return status, content

    async def answer(
        self, reader: asyncio.StreamReader, *, head_only: bool = False
    ) -> tuple[int, bytes]:
        """Status and body of what comes."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            found = re.search(r"(?i)\r\ncontent-length: (\d+)", head)
            status = int(head.split()[1])
            if head_only or status in (204, 304):
                return status, b""
            return status, await (reader.readexactly(int(found[1])) if found else reader.read())
        except asyncio.IncompleteReadError:
            raise Refused from None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection."""
        return await asyncio.open_connection("127.0.0.1", self.server.port)


async def _watch(server: Server, tally: Tally, end: float) -> None:
    """Note how much memory the server holds."""
    while time.monotonic() < end and server.process.poll() is None:
        tally.mib.append(server.mib())
        await asyncio.sleep(2)


async def _together(visitors: list[Visitor], seconds: float, pause: float) -> None:
    """What all visitors do for some seconds."""
    end = time.monotonic() + seconds
    first = visitors[0]
    watch = _watch(first.server, first.tally, end)
    await asyncio.gather(watch, *(each.live(end, pause) for each in visitors))


async def _end(server: Server, model: str, tally: Tally) -> dict[str, Any]:
    """Tell the server to end while it draws, waits and writes; returns the job it was at."""
    visitor = Visitor(server, model, random.Random(0), tally)
    big = {"id": f"{model}:4242", "height": 1400, "width": 1300, "format": "tif"}
    while await visitor.submit(big) is None:
        await asyncio.sleep(1)
    queries = [f"/view/{model}:{77_000 + k}?height=360&width=360&rotation=33" for k in range(12)]
    under_way = [asyncio.create_task(visitor.expect("last", each, 200)) for each in queries]
    await asyncio.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    await asyncio.to_thread(server.process.wait, HANG)
    tally.ended_s = time.monotonic() - started
    for each in await asyncio.gather(*under_way, return_exceptions=True):
        if isinstance(each, BaseException):
            tally.faults[f"under way at the end: {type(each).__name__}"] += 1
    return big


def use(model: str, *, minutes: float, clients: int, pause: float, seed: int = 0) -> Tally:
    """Use a server well and badly, tell it to end, and start it again.

    Args:
        model: to serve, as `creps serve --model` takes it.
        minutes: of use, before the end.
        clients: visitors at once.
        pause: seconds between two things that a visitor does, on average.
        seed: of what they do.
    """
    tally, name = Tally(minutes), model.partition("=")[0]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with running(model, folder) as server:
            visitors = [
                Visitor(server, name, random.Random(1000 * seed + k), tally) for k in range(clients)
            ]
            asyncio.run(_together(visitors, 60 * minutes, pause))
            left = asyncio.run(_end(server, name, tally))
        with running(model, folder) as server:
            if not asyncio.run(_finish(server, name, tally, left)):
                tally.faults["a job is lost at the end"] += 1
        _judge(server.log.read_bytes(), tally)
    return tally


async def _finish(server: Server, model: str, tally: Tally, job: dict[str, Any]) -> bool:
    """Ask a new server for the job at which another ended; whether its file was there."""
    visitor = Visitor(server, model, random.Random(1), tally)
    number = await visitor.submit(job)
    return number is not None and await visitor.finished(number, job)


def _judge(log: bytes, tally: Tally) -> None:
    """Faults of the log, of memory and of the end."""
    found = {
        "traceback": log.count(b"Traceback (most recent call last)"),
        "token in the log": log.count(TOKEN.encode()[:-1]),
        "control character in the log": len(re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]", log)),
    }
    if (
        tally.mib
        and statistics.median(tally.mib[-5:])
        - statistics.median(tally.mib[len(tally.mib) // 2 :][:5])
        > GROWTH
    ):
        found["memory that grows"] = 1
    if tally.ended_s > LAST:
        found["a slow end"] = 1
    tally.faults.update({kind: count for kind, count in found.items() if count})
