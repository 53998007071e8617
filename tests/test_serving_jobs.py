"""Big downloads in the background."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from creps.rendering._renderer import render
from creps.rendering.output._images import read_settings
from creps.rendering.output._save import save_picture
from creps.serving._identifiers import parse_identifier
from creps.serving._jobs import Job, JobQueue
from creps.serving._models import ModelRegistry
from creps.serving._pool import OverloadedError, Pool
from creps.serving._settings import Limits, ServeSettings
from creps.serving._views import ViewSpec
from patience import PATIENCE, wait_until
from served import in_memory
from tiny_creps import tiny_creps

LIMITS = Limits(job_pixels=2 * 10**6, jobs=2)
BODY = {"id": "tiny:3", "window": [0, 0, 0.5, 1], "height": 40, "width": 80, "format": "png"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("jobs")
    with in_memory({"tiny": tiny_creps()}, jobs=folder, limits=LIMITS) as client:
        yield client


def finished(client: TestClient, number: str) -> dict:
    """The document of a job when it has ended."""

    def document() -> dict:
        answer = client.get(f"/api/jobs/{number}").json()
        return answer if answer["state"] in ("done", "failed", "cancelled") else {}

    return wait_until(document, "the end of a job")


def test_a_job_makes_the_file_of_a_view(client: TestClient) -> None:
    answer = client.post("/api/jobs", json=BODY)
    assert answer.status_code == 202
    job = finished(client, answer.json()["job"])
    assert (job["state"], job["done"], job["total"]) == ("done", 3200, 3200)
    assert job["name"] == "tiny-3-80x40.png"
    file = client.get("/" + job["file"])
    assert 'filename="tiny-3-80x40.png"' in file.headers["content-disposition"]
    assert len(file.content) == job["bytes"]
    picture = np.asarray(Image.open(BytesIO(file.content)))
    expected = render(tiny_creps(), seed=3, size=(40, 80), window=(0, 0, 0.5, 1))
    assert np.abs(picture.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("changes", [{"rotation": 90}, {"rotation": 33.0, "mirror": True}], ids=str)
def test_a_turned_job_is_the_view(changes: dict, client: TestClient) -> None:
    job = finished(client, client.post("/api/jobs", json=BODY | changes).json()["job"])
    assert job["error"] is None
    picture = np.asarray(Image.open(BytesIO(client.get("/" + job["file"]).content)))
    query = "&".join(f"{name}={str(value).lower()}" for name, value in changes.items())
    view = client.get(f"/view/tiny:3?window=0,0,0.5,1&height=40&width=80&format=png&{query}")
    assert np.abs(picture.astype(int) - np.asarray(Image.open(BytesIO(view.content)))).max() <= 1


def test_the_same_job_again_is_the_one_that_is_there(client: TestClient) -> None:
    first = client.post("/api/jobs", json=BODY).json()["job"]
    finished(client, first)
    assert client.post("/api/jobs", json=BODY).json()["job"] == first
    assert client.post("/api/jobs", json=BODY | {"height": 41}).json()["job"] != first


def test_a_file_can_be_thrown_away(client: TestClient) -> None:
    number = client.post("/api/jobs", json=BODY | {"height": 44}).json()["job"]
    finished(client, number)
    assert client.delete(f"/api/jobs/{number}").json()["state"] == "cancelled"
    assert client.get(f"/api/jobs/{number}/file").status_code == 409
    again = client.post("/api/jobs", json=BODY | {"height": 44}).json()["job"]
    assert finished(client, again)["state"] == "done"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "nonsense"},
        {"id": 3},
        {"id": "tiny:3;by=lanczos"},
        {"window": [0, 0, 1]},
        {"window": [0, 0, 1, "x"]},
        {"window": [0, 0, 0, 1]},
        {"height": 0},
        {"height": True},
        {"height": 10**5},
        {"width": 1.5},
        {"format": "exe"},
        {"rotation": "x"},
        {"mirror": 1},
        {"path": "x"},
    ],
    ids=str,
)
def test_jobs_that_make_no_sense(changes: dict, client: TestClient) -> None:
    answer = client.post("/api/jobs", json=BODY | changes)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_other_sites_cannot_post_through_a_clients_browser(client: TestClient) -> None:
    """A page elsewhere may send text without asking, but no JSON."""
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = client.post("/api/jobs", content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code == 415
    assert client.options("/api/jobs").status_code == 405  # which a browser asks before JSON
    broken = client.post(
        "/api/jobs", content=b"[" * 5000, headers={"Content-Type": "application/json"}
    )
    assert broken.status_code == 400
    assert client.post("/api/jobs", json=[1]).status_code == 400
    assert client.get("/api/jobs/0123").status_code == 404


class Desk:
    """A desk whose background work waits for a gate, from its chunk number `hold_at` on."""

    def __init__(self, folder: Path, limits: Limits, *, hold_at: int = 1) -> None:
        self.gate, self.begun = threading.Event(), threading.Event()
        left = itertools.count(hold_at, -1)
        self.registry = ModelRegistry({"tiny": tiny_creps()}, settings=ServeSettings())
        self.pool = Pool(1, waiting=4)
        inner = self.pool.in_background

        def held(parts) -> None:
            if next(left) <= 1:
                self.begun.set()
                assert self.gate.wait(PATIENCE)
            inner(parts)

        self.pool.in_background = held
        self.desk = JobQueue(folder, registry=self.registry, pool=self.pool, limits=limits)

    def submit(self, side: int, kind: str = "png"):
        spec = ViewSpec(window=(0, 0, 1, 1), height=side, width=side, grows=False)
        return self.desk.submit(parse_identifier("tiny:3"), spec, kind=kind, name="x")

    def end(self) -> None:
        """As at the end of a server: what is at the gate comes through, and no more."""
        self.desk.close(patience=0)
        self.close()

    def close(self) -> None:
        self.gate.set()
        self.desk.close()
        self.pool.close()


def test_jobs_wait_for_each_other_up_to_a_limit_and_can_be_called_off(tmp_path: Path) -> None:
    work = Desk(tmp_path, LIMITS)
    try:
        running = work.submit(20)
        assert work.begun.wait(PATIENCE)
        queued, other = work.submit(21), work.submit(22)
        with pytest.raises(OverloadedError):
            work.submit(23)
        assert work.submit(21) is queued
        work.desk.cancel(queued)
        assert queued.state == "cancelled"
        work.desk.cancel(running)
        work.gate.set()
        wait_until(lambda: other.state == "done")
        assert running.state == "cancelled"
        assert not running.path.exists()
    finally:
        work.close()


def test_a_stopped_job_goes_on_where_it_was(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    side, chunk = 1100, 512  # nine chunks
    first = Desk(tmp_path, LIMITS, hold_at=3)
    job = first.submit(side, "tif")
    assert first.begun.wait(PATIENCE)
    first.end()
    assert job.state == "queued"
    second = Desk(tmp_path, LIMITS)
    second.gate.set()
    try:
        again = second.submit(side, "tif")
        wait_until(lambda: again.state in ("done", "failed"))
        assert again.error is None
        assert again.before == 2 * chunk**2 + chunk * (side - 2 * chunk)  # a row of three
        assert again.done == side**2
        assert read_settings(again.path)["picture"] == "tiny:3"
    finally:
        second.close()


@pytest.mark.parametrize("ends", ["before", "after"])
def test_the_end_of_the_server_calls_no_job_off(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file is made of the chunks, and when it just was: it stays, or a rerun makes it."""
    pytest.importorskip("zarr")
    at_work, gate = threading.Event(), threading.Event()

    def held(*given: Any, **more: Any) -> Any:
        done = None if ends == "before" else save_picture(*given, **more)
        at_work.set()
        assert gate.wait(PATIENCE)
        return save_picture(*given, **more) if done is None else done

    monkeypatch.setattr("creps.serving._jobs.save_picture", held)
    first = Desk(tmp_path, LIMITS)
    first.gate.set()
    job = first.submit(600, "tif")
    assert at_work.wait(PATIENCE)
    first.desk.close(patience=0)
    gate.set()
    first.close()
    assert job.path.exists() == (ends == "after")
    assert job.state == ("done" if ends == "after" else "queued")
    second = Desk(tmp_path, LIMITS)
    second.gate.set()
    try:
        again = second.submit(600, "tif")
        wait_until(lambda: again.state == "done")
        assert again.path == job.path
        assert read_settings(again.path)["picture"] == "tiny:3"
    finally:
        second.close()


@pytest.mark.parametrize("state", ["running", "writing"])
def test_what_is_asked_for_again_after_it_was_called_off_is_made(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, gate = threading.Event(), threading.Event()

    def held(*given: Any, **more: Any) -> Any:
        done = save_picture(*given, **more)
        writing.set()
        assert gate.wait(PATIENCE)
        return done

    if state == "writing":
        monkeypatch.setattr("creps.serving._jobs.save_picture", held)
    work = Desk(tmp_path, LIMITS)
    try:
        job = work.submit(20)
        assert work.begun.wait(PATIENCE)
        if state == "writing":
            work.gate.set()
            assert writing.wait(PATIENCE)
        work.desk.cancel(job)
        assert job.document()["state"] == "cancelled"
        again = work.submit(20)
        assert again.document()["state"] == state
        work.gate.set()
        gate.set()
        wait_until(lambda: again.state == "done")
        assert again.path.is_file()
        assert work.desk.find(job.number) is again
    finally:
        gate.set()
        work.close()


def test_a_wish_that_comes_after_the_stop_is_honored_too(tmp_path: Path) -> None:
    """The drawing has stopped; the queue has not heard of it yet."""
    work = Desk(tmp_path, LIMITS)
    end, wishes = work.desk._end, []

    def slow(job: Job, *given: Any) -> None:
        if not wishes:
            wishes.append(work.submit(20))
        end(job, *given)

    work.desk._end = slow
    try:
        job = work.submit(20)
        assert work.begun.wait(PATIENCE)
        work.desk.cancel(job)
        work.gate.set()
        wait_until(lambda: wishes and wishes[0].state == "done")
        assert wishes[0].path.is_file()
    finally:
        work.close()


def nested(depth: int) -> bytes:
    return b'{"id": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    "body",
    [
        nested(7000),
        b'{"id": "tiny:3", "x": ' + b'{"a":' * 2500 + b"1" + b"}" * 2501,
        b"[" * 16_000,
        b'{"id": "tiny:3", "height": ' + b"9" * 5000 + b', "width": 8}',
        b'{"id": "tiny:3", "height": 1e999, "width": 8}',
        b'{"id": "tiny:3", "height": 8, "width": 8, "rotation": NaN}',
        b'{"id": "tiny:3", "height": 8, "width": 8, "rotation": Infinity}',
        b'{"id": "tiny:3", "height": 8, "width": 8, "rotation": 1e308}',
        b'{"id": "tiny:3", "height": 8, "width": 8, "rotation": ' + b"0" * 900 + b"}",
        b'{"id": "tiny:3", "height": 8, "width": 8, "window": [0, 0, 1, 1, ' + b"1," * 999 + b"1]}",
        b'{"id": "tiny:3", "height": 8, "width": 8, "' + b"x" * 9000 + b'": 1}',
        b'{"id": "tiny:3", "height": 8, "width": 8, "\\u001b[31m\\u202e": 1}',
        b'{"id": "\\ud800", "height": 8, "width": 8}',
        b'{"id": "' + b"y" * 9000 + b'", "height": 8, "width": 8}',
        b'{"id": "tiny:3\\u001b[31m\\n", "height": 8, "width": 8}',
        b'{"id": "tiny:3", "format": "\\u009b31m", "height": 8, "width": 8}',
        b'{"id": "\xff\xfe", "height": 8, "width": 8}',
        b"\xef\xbb\xbf{}",
        b"",
        b"null",
        b"{",
        b"\x00" * 900,
    ],
    ids=lambda body: body[:50].decode("ascii", "replace"),
)
def test_hostile_bodies_are_one_short_line(body: bytes, client: TestClient) -> None:
    answer = client.post(
        "/api/jobs", content=body, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert answer.status_code == 400
    line = answer.json()["error"]
    assert len(line) <= 300
    assert line.isprintable()


def test_old_files_make_room(tmp_path: Path) -> None:
    old = tmp_path / "old.png"
    old.write_bytes(bytes(5000))
    work = Desk(tmp_path, Limits(job_bytes=6000))
    work.gate.set()
    try:
        job = work.submit(30)  # 2700 bytes as they are
        wait_until(lambda: job.state == "done")
        assert not old.exists()
        assert job.path.exists()
    finally:
        work.close()


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "secret"))

    monkeypatch.setattr("creps.serving._jobs.save_picture", full)
    work = Desk(tmp_path, LIMITS)
    try:
        job = work.submit(20)
        wait_until(lambda: job.state == "failed")
        assert "No space left" in job.document()["error"]
        assert "secret" not in job.document()["error"]
    finally:
        work.close()


def test_servers_that_share_a_folder_make_the_same_file(tmp_path: Path) -> None:
    """Each knows its own jobs only; the same picture asked of both is whole, and there for both."""
    models, body = {"tiny": tiny_creps()}, BODY | {"height": 300, "width": 400}
    with (
        in_memory(models, jobs=tmp_path, limits=LIMITS) as one,
        in_memory(models, jobs=tmp_path, limits=LIMITS) as other,
    ):
        numbers = [each.post("/api/jobs", json=body).json()["job"] for each in (one, other)]
        assert numbers[0] != numbers[1]
        assert other.get(f"/api/jobs/{numbers[0]}").status_code == 404
        files = []
        for each, number in zip((one, other), numbers, strict=True):
            job = finished(each, number)
            assert (job["state"], job["error"]) == ("done", None)
            files.append(each.get("/" + job["file"]).content)
    assert files[0] == files[1]
    assert Image.open(BytesIO(files[0])).size == (400, 300)


def test_room_is_made_of_what_was_written_longest_ago(tmp_path: Path) -> None:
    """A folder that another server writes into is young, whenever it was made."""
    busy, old = tmp_path / "busy.png.part", tmp_path / "old.png"
    (busy / "c").mkdir(parents=True)
    (busy / "c" / "chunk").write_bytes(bytes(60_000))
    old.write_bytes(bytes(60_000))
    os.utime(old, (2000, 2000))
    os.utime(busy / "c", (1000, 1000))
    os.utime(busy, (1000, 1000))
    limits = Limits(job_pixels=2 * 10**6, jobs=2, job_bytes=100_000)
    with in_memory({"tiny": tiny_creps()}, jobs=tmp_path, limits=limits) as client:
        number = client.post("/api/jobs", json=BODY).json()["job"]
        assert finished(client, number)["state"] == "done"
    assert busy.exists()
    assert not old.exists()
