"""Who may ask a server, by which name, and what becomes of its token."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from urllib.request import urlopen

import pytest
import uvicorn
from starlette.testclient import TestClient

from creps.cli._serve import _own_names, _token, serve
from creps.errors import ConfigError, CrepsError, UsageError
from creps.serving import ServeSettings, build_app
from creps.serving._app import server_config
from creps.serving._hosts import host_name, is_ours
from creps.serving._settings import Limits
from served import in_memory, on_loopback
from tiny_creps import tiny_creps

TOKEN = "a-long/secret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PICTURES = (
    "/plane/tiny:3/0/0_0.jpg",
    "/plane/{pinned}/0/0_0.jpg",
    "/view/tiny:3?height=8&width=8",
    "/iiif/tiny:3/full/8,/0/default.png",
    "/iiif/tiny:3/info.json",
    "/iiif/tiny:3/manifest.json",
    "/dzi/tiny:3.dzi",
    "/dzi/tiny:3_files/3/0_0.jpg",
    "/zarr/tiny:3/zarr.json",
    "/zarr/{pinned}/0/c/0/0/0",
    "/api/pictures/tiny:3",
)
"""Addresses of all that is drawn, or follows from what is drawn."""
OTHERS = ("/", "/static/js/app.js", "/api/models", "/metrics", "/weights/tiny.safetensors", "/no")


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with in_memory({"tiny": tiny_creps()}, size=64) as client:
        yield client


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("private")
    more = {"jobs": folder, "live": True, "limits": Limits(job_pixels=5000)}
    with in_memory({"tiny": tiny_creps()}, size=64, token=TOKEN, **more) as client:
        yield client


def pinned(client: TestClient) -> str:
    answer: str = client.get("/api/pictures/tiny:3", headers=BEARER).json()["pinned"]
    return answer


@pytest.mark.parametrize("address", [*PICTURES, *OTHERS])
def test_nothing_behind_a_token_is_everybodys_to_keep(address: str, private: TestClient) -> None:
    address = address.format(pinned=pinned(private))
    answer = private.get(address, headers=BEARER)
    kept = answer.headers["cache-control"]
    assert "public" not in kept
    assert kept.startswith(("private, ", "no-store"))
    if tag := answer.headers.get("etag"):
        again = private.get(address, headers=BEARER | {"If-None-Match": tag})
        assert (again.status_code, again.headers["cache-control"]) == (304, kept)
    assert private.get(address).headers["cache-control"] == "no-store"  # the refusal


@pytest.mark.parametrize("address", PICTURES)
def test_without_a_token_a_cache_between_may_keep_pictures(
    address: str, client: TestClient
) -> None:
    answer = client.get(address.format(pinned=pinned(client)))
    assert answer.headers["cache-control"].startswith("public, max-age=")


def test_ones_own_browser_may_keep_a_pinned_picture_behind_a_token(private: TestClient) -> None:
    answer = private.get(f"/plane/{pinned(private)}/0/0_0.jpg", headers=BEARER)
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000", "10.1.2.3", "mine.example",
     "a.b.example.org.", "public.example:443"],
)  # fmt: skip
@pytest.mark.parametrize("address", ["/api/models", "/plane/tiny:3/0/0_0.jpg", "/"])
def test_a_server_answers_to_its_names(host: str, address: str, named: TestClient) -> None:
    assert named.get(address, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "example.org", "a b", "",
     "localhost:x", 'evil"><script>', "[evil]", "mine.example@evil.example"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "address"),
    [("GET", "/api/models"), ("POST", "/api/jobs"), ("OPTIONS", "/view/tiny:3"), ("GET", "/"),
     ("GET", "/health"), ("DELETE", "/api/jobs/1"), ("GET", "/zarr/tiny:3/zarr.json")],
)  # fmt: skip
def test_a_page_elsewhere_cannot_use_a_name_of_its_own(
    host: str, method: str, address: str, named: TestClient
) -> None:
    """DNS rebinding: the browser takes evil.example, which points here now, for the page's own."""
    body = {"id": "tiny:3", "height": 8, "width": 8}
    more = {"json": body} if method == "POST" else {}
    answer = named.request(method, address, headers={"Host": host}, **more)
    assert answer.status_code == 421
    assert "--allow-host" in answer.json()["error"]


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    more = {"jobs": tmp_path_factory.mktemp("named"), "url": "https://public.example/creps"}
    hosts = ("Mine.Example", "*.example.org")
    settings = ServeSettings(workers=1, size=64, hosts=hosts, **more)
    app = build_app({"tiny": tiny_creps()}, settings=settings)
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def test_any_name_will_do_where_somebody_says_so() -> None:
    assert is_ours("whatever.example", ["*"])
    assert host_name("whatever.example:80") == "whatever.example"
    assert host_name("") is None


@pytest.mark.parametrize("name", ["a b", "http://x", "x:80", "", "*.", "**", "*x"])
def test_names_that_no_server_has(name: str) -> None:
    with pytest.raises(ConfigError, match="expected a name without port"):
        ServeSettings(hosts=(name,))


def test_listening_to_the_network_is_by_this_machines_name_too() -> None:
    assert _own_names("127.0.0.1") == []
    assert socket.gethostname() in _own_names("0.0.0.0")
    assert "box.lan" in _own_names("box.lan")


def test_a_token_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret.txt"
    file.write_text("a-long-secret\n")
    assert _token(None, file) == "a-long-secret"
    assert _token("given-word", None) == "given-word"
    with pytest.raises(UsageError, match="expected one of them"):
        _token("given-word", file)


@pytest.mark.parametrize("content", ["", "\n", "short", "two\nlines-here", "ünïcödé-wörd"])
def test_a_file_without_a_good_token_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "secret.txt"
    file.write_text(content, "utf-8")
    with pytest.raises(CrepsError, match="the token: expected at least 8") as caught:
        serve(port=0, folder=tmp_path, token_file=file)
    assert content.strip() == "" or content.strip() not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_token_file_that_cannot_be_read_is_one_line(what: str, tmp_path: Path) -> None:
    path = tmp_path / "absent" if what == "missing" else tmp_path
    words = [sys.executable, "-m", "creps", "serve", "--port", "0", "--token-file", str(path)]
    environment = os.environ | {"CREPS_CACHE": str(tmp_path)}
    ran = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode in (1, 2)
    assert ran.stderr.count("\n") == 1
    assert str(path) in ran.stderr


def test_the_login_form_puts_the_token_in_no_address() -> None:
    """Addresses are what proxies write to their logs."""
    with in_memory({"tiny": tiny_creps()}, token=TOKEN, url="https://testserver/") as client:
        wrong = client.post("/", data={"token": "wrong-word"}, headers={"Accept": "text/html"})
        assert wrong.status_code == 401
        assert '<p role="alert">That is not the token' in wrong.text
        long = client.post("/", data={"token": "x" * 15_000}, headers={"Accept": "text/html"})
        assert long.status_code == 401
        assert client.post("/", content=b"\xff" * 20_000).status_code == 413
        assert client.get("/api/models").status_code == 401
        entered = client.post("/", data={"token": TOKEN})
        assert (entered.status_code, entered.headers["location"]) == (303, "./")
        assert "HttpOnly" in entered.headers["set-cookie"]
        assert "Secure" not in entered.headers["set-cookie"]
        assert client.get("/api/models").status_code == 200
        secure = client.post("https://testserver/", data={"token": TOKEN})
        assert "Secure" in secure.headers["set-cookie"]


def test_the_token_is_in_no_text_about_the_settings() -> None:
    assert TOKEN not in repr(ServeSettings(token=TOKEN))


def test_tokens_are_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by requests, right or wrong, nor by what goes wrong."""
    settings = ServeSettings(workers=1, size=64, token=TOKEN)
    app = build_app({"tiny": tiny_creps()}, settings=settings)

    def broken(*given: object, **more: object) -> bytes:
        raise RuntimeError(f"a bug that tells the token {TOKEN}")

    monkeypatch.setattr("creps.serving._service.encoded", broken)
    written = StringIO()
    handler = logging.StreamHandler(written)
    loggers = [logging.getLogger(name) for name in ("uvicorn.access", "creps.serving")]
    with on_loopback(app, settings, verbose=True) as port:
        for each in loggers:
            each.addHandler(handler)
        try:
            words = (TOKEN, "a-long%2Fsecret", "a%2Dlong/secret", "a-longer/secret")
            for address in ("/", "/api/models", "/plane/tiny:3/0/0_0.jpg", "/view/tiny:3"):
                for word in words:
                    ask(f"http://127.0.0.1:{port}{address}?x=1&token={word}")
        finally:
            for each in loggers:
                each.removeHandler(handler)
    text = written.getvalue()
    assert "GET /api/models?x=1&token=... HTTP/1.1" in text
    assert "RuntimeError" in text
    for word in ("a-long", "a%2D", "secret"):
        assert word not in text


def ask(address: str) -> None:
    with suppress(OSError), urlopen(address) as answer:
        answer.read()


def test_a_configuration_for_few_words_stays_one(client: TestClient) -> None:
    config = server_config(client.app, settings=ServeSettings())
    assert isinstance(config, uvicorn.Config)
    assert not config.access_log
