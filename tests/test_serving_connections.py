"""Clients that send half of a request, too much of one, or leave in the middle: real sockets."""

from __future__ import annotations

import json
import logging
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from creps.serving import ServeSettings, _connections, build_app
from creps.serving._settings import Limits
from patience import PATIENCE, wait_until
from served import on_loopback
from tiny_creps import tiny_creps

BODY = json.dumps({"id": "tiny:3", "height": 8, "width": 8}).encode()
POST = b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HALVES = {
    "nothing": b"",
    "half a line": b"GET /heal",
    "half of the headers": b"GET /health HTTP/1.1\r\nHost: localhost\r\n",
    "half of the body": POST + b"Content-Length: 90\r\n\r\n{",
    "half of a body in chunks": CHUNKED + b"1\r\n{\r\n",
    "a second request begun": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea",
    "the rest of a body nobody reads": CHUNKED + b"5000\r\n" + b"x" * 0x5000,
}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the server complains of: nothing, at the end."""
    uvicorn = logging.getLogger("uvicorn")
    uvicorn.propagate = True  # its own configuration says no
    yield caplog
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


@contextmanager
def server(folder: Path, **limits: Any) -> Iterator[int]:
    settings = ServeSettings(workers=1, jobs=folder, limits=Limits(job_pixels=5000, **limits))
    with on_loopback(build_app({"tiny": tiny_creps()}, settings=settings), settings) as port:
        logging.getLogger("uvicorn").propagate = True
        yield port


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def answer(client: socket.socket) -> tuple[int, bytes]:
    """Status and body of what is there when the server closes, or has said as much as it will."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += (part := client.recv(65536))
        if not part:
            return 0, content
    head, _, body = content.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return int(head.split()[1]), body


def health(port: int) -> int:
    with connected(port) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return answer(client)[0]


@pytest.mark.parametrize("half", HALVES)
def test_half_a_request_is_not_waited_for(
    half: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setattr(_connections, "ARRIVAL", 0.3)
    with server(tmp_path) as port, connected(port) as client:
        client.sendall(HALVES[half])
        while client.recv(65536):  # forever, if it is waited for
            pass
        assert health(port) == 200


def test_a_trickle_of_bytes_is_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setattr(_connections, "ARRIVAL", 0.3)
    with server(tmp_path) as port, connected(port) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")

        def over() -> bool:
            try:
                client.sendall(b"X: y\r\n")
            except OSError:
                return True
            return False

        wait_until(over, "the end of the connection")


def test_a_request_under_way_and_an_open_page_are_not_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    """The time is for what comes in: not for drawing, nor between two requests."""
    from creps.serving import _service as service

    monkeypatch.setattr(_connections, "ARRIVAL", 0.1)
    encoded = service.encoded

    def slow(*given: Any, **more: Any) -> bytes:
        time.sleep(0.5)
        return encoded(*given, **more)

    monkeypatch.setattr(service, "encoded", slow)
    with server(tmp_path) as port, connected(port) as client:
        client.sendall(b"GET /view/tiny:3?height=8&width=8 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(client)[0] == 200
        time.sleep(0.5)
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(client)[0] == 200


def test_half_open_connections_of_one_client_make_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setattr(_connections, "IDLE", 4)
    with server(tmp_path, connections=12) as port, ExitStack() as stack:
        crowd = [stack.enter_context(connected(port)) for _ in range(40)]
        for client in crowd:
            with suppress(OSError):
                client.sendall(b"GET /health HTTP/1.1\r\n")
        assert health(port) == 200  # 503 when they fill the server
        open_still = 0
        for client in crowd:
            client.settimeout(0.05)
            try:
                open_still += client.recv(1) != b""
            except TimeoutError:
                open_still += 1
            except OSError:
                pass
        assert open_still <= 4


def test_a_client_that_takes_nothing_of_its_answer_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setattr(_connections, "ARRIVAL", 0.1)
    monkeypatch.setattr(_connections, "STANDSTILL", 2)
    (big := tmp_path / "big").write_bytes(bytes(2**26))
    settings = ServeSettings(workers=1)
    app = build_app({"tiny": tiny_creps()}, settings=settings)
    from starlette.responses import FileResponse, Response

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/streamed":
            await FileResponse(big)(scope, receive, send)
        elif scope.get("path") == "/whole":
            await Response(big.read_bytes())(scope, receive, send)
        else:
            await app(scope, receive, send)

    with on_loopback(endless, settings) as port:
        for address in (b"/streamed", b"/whole"):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(PATIENCE)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % address)
            watch = select.poll()
            watch.register(client, select.POLLHUP)
            with client:
                wait_until(lambda watch=watch: watch.poll(20), f"the end of {address!r}")
        assert health(port) == 200


@pytest.mark.parametrize("size", [16_385, 100_000, 3_000_000])
@pytest.mark.parametrize("address", ["/api/jobs", "/view/tiny:3", "/no"])
def test_a_body_in_chunks_that_is_too_long_is_413(
    size: int, address: str, tmp_path: Path, log: Any
) -> None:
    head = CHUNKED.replace(b"/api/jobs", address.encode())
    with server(tmp_path) as port, connected(port) as client:

        def send() -> None:
            with suppress(OSError):  # the server had enough
                client.sendall(head)
                for start in range(0, size, 10_000):
                    part = b"x" * min(10_000, size - start)
                    client.sendall(b"%x\r\n%s\r\n" % (len(part), part))
                client.sendall(b"0\r\n\r\n")

        thread = threading.Thread(target=send)
        thread.start()
        status, body = answer(client)
        if address == "/api/jobs":
            assert status == 413
            assert json.loads(body)["error"] == "the body: expected up to 16384 bytes"
        else:  # nothing looks at it
            assert status in (405, 404, 413)
        client.shutdown(socket.SHUT_RDWR)
        thread.join()
        assert health(port) == 200


@pytest.mark.parametrize(
    "begun",
    [POST + b"Content-Length: 90\r\n\r\n{", CHUNKED + b"1\r\n{\r\n", CHUNKED,
     b"GET /view/tiny:3 HTTP/1.1\r\nHost: localhost\r\n\r\n",
     b"GET /zarr/tiny:3/zarr.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
     b"GET /plane/tiny:3/0/0_0.jpg HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"],
)  # fmt: skip
def test_a_client_that_leaves_in_the_middle_is_no_error(
    begun: bytes, tmp_path: Path, log: Any
) -> None:
    with server(tmp_path) as port:
        for reset in (False, True):
            client = connected(port)
            client.sendall(begun)
            time.sleep(0.05)
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        assert health(port) == 200
