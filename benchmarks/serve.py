"""How fast `creps serve` answers, over the loopback: tiles of a viewer that pans and zooms.

    python benchmarks/serve.py [--model portraits] [--clients 1,8,32] [--seconds 10]
                               [--workers 2] [--out results.jsonl]

A server of its own in a fresh process and an empty folder, then one JSON line a row:

- first: a seed nobody has seen; a viewport of 1024 x 1024 pixels, 16 tiles over 6 connections as
  browsers have: seconds to the first tile and to the last, the median of some seeds;
- warm: tiles of that picture that were never drawn, one after the other;
- cached: the same tiles again, from disk;
- clients: that many clients at once, each on a way of its own in one of eight pictures; some of
  their tiles were seen before, by themselves or others. Milliseconds that half of the answers and
  that 95 % took at most, tiles a second, and how many were sent away (503).

Times are for tiles of 256 pixels, JPEG. `cpu_ms` is what the server's process computed for a tile:
on a busy machine it tells more than the clock. Bounded: about two minutes.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from record import Record

CONNECTIONS = 6  # that browsers open to one server
VIEWPORT = [(x, y) for y in range(4) for x in range(4)]  # tiles of level 2: 1024 x 1024 pixels
NEW_SEEDS = 7
WARM_TILES = 40


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    def cpu_seconds(self) -> float:
        """That its process has computed (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Tally:
    """What clients have seen."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def milliseconds(self, share: float) -> float:
        """That so many of the answers took at most."""
        ordered = sorted(self.seconds)
        return round(1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)], 1)


class Connection:
    """One keep-alive connection, as plain as can be: the client shares the cores."""

    def __init__(self, port: int, client: str = "10.0.0.0") -> None:
        self._port, self._client = port, client
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str, tally: Tally) -> int:
        """The status of an answer; its time and status are noted."""
        started = time.perf_counter()
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {self._client}"
        status = await self._exchange(f"{head}\r\n\r\n".encode())
        tally.statuses[status] += 1
        if status == 200:
            tally.seconds.append(time.perf_counter() - started)
        return status

    async def _exchange(self, request: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(
            line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
        )
        await reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            self.close()
        return int(head.split()[1])

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def tile(picture: str, level: int, x: int, y: int) -> str:
    """The address of a tile."""
    return f"/plane/{quote(picture)}/{level}/{x}_{y}.jpg"


async def first_view(server: Server, model: str) -> dict[str, Any]:
    """New seeds: seconds to the first and to the last tile of a viewport."""
    firsts, lasts = [], []
    for seed in range(1000, 1000 + NEW_SEEDS):
        waiting = list(VIEWPORT)
        started = time.perf_counter()
        ends: list[float] = []

        async def visit(seed: int = seed, waiting: Any = waiting, ends: Any = ends) -> None:
            connection = Connection(server.port)
            while waiting:
                await connection.get(tile(f"{model}:{seed}", 2, *waiting.pop(0)), Tally())
                ends.append(time.perf_counter())
            connection.close()

        await asyncio.gather(*(visit() for _ in range(CONNECTIONS)))
        firsts.append(min(ends) - started)
        lasts.append(max(ends) - started)
    return {
        "row": "first",
        "first_tile_s": round(statistics.median(firsts), 3),
        "viewport_s": round(statistics.median(lasts), 3),
        "seeds": NEW_SEEDS,
    }


async def one_after_the_other(server: Server, model: str) -> Iterator[dict[str, Any]]:
    """Tiles of a prepared picture, fresh and then from disk."""
    connection = Connection(server.port)
    await connection.get(tile(f"{model}:1000", 5, 0, 0), Tally())
    rows = []
    for row in ("warm", "cached"):
        tally, before = Tally(), server.cpu_seconds()
        for k in range(WARM_TILES):
            await connection.get(tile(f"{model}:1000", 5, 8 + k % 8, 8 + k // 8), tally)
        cpu = 1000 * (server.cpu_seconds() - before) / WARM_TILES
        rows.append({"row": row, **_times(tally), "cpu_ms": round(cpu, 1)})
    connection.close()
    return iter(rows)


async def crowd(server: Server, model: str, clients: int, seconds: float) -> dict[str, Any]:
    """Many clients at once."""
    tally, before = Tally(), server.cpu_seconds()
    end = time.perf_counter() + seconds

    async def visit(number: int) -> None:
        draw = random.Random(number)
        connection = Connection(server.port, f"10.0.0.{number % 250}")
        level, x, y = 4, draw.randrange(16), draw.randrange(16)
        while time.perf_counter() < end:
            if draw.random() < 0.25:  # where others have been
                address = tile(f"{model}:1000", 2, *draw.choice(VIEWPORT))
            else:
                x, y = x + draw.choice((-1, 0, 1)), y + draw.choice((-1, 0, 1))
                if draw.random() < 0.1 and level < 14:
                    level, x, y = level + 1, 2 * x, 2 * y
                address = tile(f"{model}:{2000 + number % 8}", level, x, y)
            if await connection.get(address, tally) == 503:
                await asyncio.sleep(1)
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(visit(100 * clients + number) for number in range(clients)))
    took = time.perf_counter() - started
    answered = tally.statuses[200]
    cpu = 1000 * (server.cpu_seconds() - before) / max(answered, 1)
    return {
        "row": "clients",
        "clients": clients,
        **_times(tally),
        "tiles_per_s": round(answered / took, 1),
        "sent_away": tally.statuses[503],
        "cpu_ms": round(cpu, 1),
    }


def _times(tally: Tally) -> dict[str, Any]:
    if not tally.seconds:
        return {"tiles": 0}
    return {
        "tiles": len(tally.seconds),
        "p50_ms": tally.milliseconds(0.5),
        "p95_ms": tally.milliseconds(0.95),
    }


@contextmanager
def running(model: str, workers: int | None) -> Iterator[Server]:
    """A server on a free port, with an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "creps", "serve", "--model", model, "--port", "0"]
        command += ["--folder", folder]
        command += [] if workers is None else ["--workers", str(workers)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()  # The viewer is at http://127.0.0.1:PORT/ ...
            yield Server(process, int(line.split("127.0.0.1:")[1].split("/")[0]))
        finally:
            process.terminate()
            process.wait(20)


def main(
    model: str = "portraits",
    clients: Annotated[str, typer.Option(help="Visitors at once, in turn.")] = "1,8,32",
    seconds: Annotated[float, typer.Option(help="For each number of clients.")] = 10.0,
    workers: int | None = None,
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
) -> None:
    """Measure `creps serve` over the loopback."""
    record = Record("serve", out)

    def tell(row: dict[str, Any]) -> None:
        record.write({"model": model, **row})

    async def measure(server: Server) -> None:
        connection = Connection(server.port)
        await connection.get("/health", Tally())  # as soon as it answers
        connection.close()
        tell(await first_view(server, model))
        for row in await one_after_the_other(server, model):
            tell(row)
        for count in map(int, clients.split(",")):
            tell(await crowd(server, model, count, seconds))

    with running(model, workers) as server:
        asyncio.run(measure(server))


if __name__ == "__main__":
    typer.run(main)
