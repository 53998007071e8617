"""A server that is told to end does so, whatever it is at; those who wait are told to come back."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from creps.rendering.output._images import UNFINISHED, read_settings
from creps.rendering.output._save import unfinished
from patience import PATIENCE, wait_until
from served import in_memory
from tiny_creps import tiny_creps

PROGRAM = """
import sys, time
from pathlib import Path

from creps.serving import ServeSettings, _jobs, _service, build_app
from creps.serving._app import listening, run_app
from tiny_creps import tiny_creps

def slow(*given, **more):  # an artificial painter, or writer, that takes a day
    print("at work", flush=True)
    time.sleep(86_400)

if sys.argv[2] == "painter":
    _service.encoded = slow
elif sys.argv[2] == "writer":
    _jobs.save_picture = slow
settings = ServeSettings(workers=1, jobs=Path(sys.argv[1]))
with listening("127.0.0.1", 0) as listener:
    print(listener.getsockname()[1], flush=True)
    run_app(build_app({"tiny": tiny_creps()}, settings=settings), listener, settings=settings)
"""
VIEW = b"GET /view/tiny:%d?height=8&width=8 HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b'{"id": "tiny:3", "height": 2000, "width": 2200, "format": "png"}'
JOB = (
    b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


class Running:
    """A server in a process of its own, and those that are connected to it."""

    def __init__(self, folder: Path, slow: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), slow],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.port = int(self.line())

    def line(self) -> str:
        """The next one that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, request: bytes) -> socket.socket:
        """A connection on which this was asked."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        client.sendall(request)
        return client

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """What it has complained of, when it has ended."""
        self.process.send_signal(how)
        return self.process.communicate(timeout=PATIENCE)[1]


@contextmanager
def running(folder: Path, slow: str) -> Iterator[Running]:
    server = Running(folder, slow)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def everything(client: socket.socket) -> str:
    content = b""
    while part := client.recv(65536):
        content += part
    client.close()
    return content.decode()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_gets_a_503_and_the_process_ends(
    how: signal.Signals, tmp_path: Path
) -> None:
    with running(tmp_path, "painter") as server:
        drawing = server.ask(VIEW % 1)
        assert server.line() == "at work"
        waiting, idle, half = server.ask(VIEW % 2), server.ask(b""), server.ask(b"GET /")
        complaints = server.end(how)
        for client in (drawing, waiting):
            answer = everything(client)
            assert answer.startswith("HTTP/1.1 503 ")
            assert re.search(r"(?i)\r\nretry-after: [1-9]", answer)
        assert everything(idle) == everything(half) == ""
    assert "Traceback" not in complaints
    assert complaints.count("\n") <= 1


@pytest.mark.slow
def test_a_job_that_is_being_written_is_not_waited_for_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    with running(tmp_path, "writer") as server:
        assert everything_of_one(server.ask(JOB)).startswith("HTTP/1.1 202 ")
        assert server.line() == "at work"
        assert server.end() == ""
    finish(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_goes_on_after_the_end_of_its_server(how: signal.Signals, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    with running(tmp_path, "nothing") as server:
        assert everything_of_one(server.ask(JOB)).startswith("HTTP/1.1 202 ")
        wait_until(lambda: has_begun(tmp_path), "a part of the picture")
        assert server.end(how) == ""
    finish(tmp_path)


def test_what_a_killed_server_left_beside_a_finished_file_goes(tmp_path: Path) -> None:
    finish(tmp_path)
    (path,) = tmp_path.iterdir()
    unfinished(path).mkdir()
    (unfinished(path) / UNFINISHED).write_text(json.dumps({"settings": read_settings(path)}))
    finish(tmp_path)


def everything_of_one(client: socket.socket) -> str:
    """The beginning of an answer, from a connection that stays open."""
    with client:
        return client.recv(65536).decode()


def has_begun(folder: Path) -> bool:
    """Whether a part of a picture, or all of it, is there; a folder may go while it is listed."""
    with suppress(FileNotFoundError):
        return any(folder.glob("*.part/*.done")) or any(folder.glob("*.png"))
    return False


def finish(folder: Path) -> None:
    """The same job in another server: the picture, and nothing else, is there at the end."""
    with in_memory({"tiny": tiny_creps()}, jobs=folder) as client:
        number = client.post(
            "/api/jobs", content=BODY, headers={"Content-Type": "application/json"}
        ).json()["job"]
        state = wait_until(
            lambda: (
                (found := client.get(f"/api/jobs/{number}").json())["state"] in ("done", "failed")
                and found
            )
        )
    assert state["error"] is None
    (path,) = folder.iterdir()
    assert read_settings(path)["picture"] == "tiny:3"
