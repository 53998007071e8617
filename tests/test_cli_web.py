"""`creps serve` and `creps export-site` as people call them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from creps.checkpoints import save
from creps.cli._serve import _announce, _load_models, export_site, model_name, serve
from creps.errors import CrepsError
from patience import PATIENCE
from tiny_creps import tiny_creps


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model on disk."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    save(tiny_creps(), path)
    return path


@pytest.mark.slow
def test_serve_answers_until_it_is_told_to_end(model: Path, tmp_path: Path) -> None:
    words = ["serve", "--model", f"mine={model}", "--port", "0"]
    words += ["--size", "1000", "--token", "a-long-secret"]
    process = subprocess.Popen(
        [sys.executable, "-m", "creps", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"CREPS_CACHE": str(tmp_path)},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("The viewer is at http://127.0.0.1:")
        assert "a-long-secret" not in line
        base = line.split()[4].split("?")[0]
        with pytest.raises(HTTPError, match="401"):
            urlopen(f"{base}api/models", timeout=PATIENCE)
        with urlopen(f"{base}api/models?token=a-long-secret", timeout=PATIENCE) as answer:
            (about,) = json.load(answer)["models"]
        assert (about["name"], about["size"]) == ("mine", 1000)
        address = f"{base}plane/mine:7/0/0_0.jpg?token=a-long-secret"
        with urlopen(address, timeout=PATIENCE) as answer:
            assert answer.headers["content-type"] == "image/jpeg"
        assert list((tmp_path / "serve" / "answers").rglob("*.answer"))
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("host", "url", "token", "line"),
    [
        ("127.0.0.1", None, None, "http://127.0.0.1:80/"),
        ("::1", None, "a-secret", "http://[::1]:80/?token=..."),
        ("0.0.0.0", None, "a-secret", "http://localhost:80/?token=..."),
        (
            "127.0.0.1",
            "https://example.org/creps",
            None,
            "https://example.org/creps/, behind it http://127.0.0.1:80/",
        ),
        (
            "127.0.0.1",
            "https://example.org/",
            "a-secret",
            "https://example.org/?token=..., behind it http://127.0.0.1:80/?token=...",
        ),
    ],
)
def test_the_line_at_the_start_has_the_public_address_first(
    host: str, url: str | None, token: str | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _announce(host, 80, url=url, token=token)
    assert capsys.readouterr().out == f"The viewer is at {line}   (Ctrl-C ends it)\n"


def test_a_port_in_use_is_told_before_models_are_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use") as caught:
            serve(model=["no-such-model"], port=port, folder=tmp_path)
    assert caught.value.filename == f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"model": ["no-such-model"]}, "no packaged model"),
        ({"model": ["a=x", "a=y"]}, "two models are called 'a'"),
        ({"size": 0}, "size 0"),
        ({"token": "short"}, "at least 8"),
        ({"pixels": 0}, "limit pixels 0"),
    ],
    ids=str,
)
def test_misuse_is_refused(words: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(CrepsError, match=expected):
        serve(port=0, folder=tmp_path, **words)


def test_export_site_writes_a_gallery_and_goes_on(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("zarr")
    out = tmp_path / "site"
    export_site(model=str(model), seeds="0-1", size=64, out=out)
    assert "2 pictures of 64 x 64, 2 new" in capsys.readouterr().out
    assert json.loads((out / "site.json").read_text())["title"] == "tiny"
    export_site(model=str(model), seeds="0-1", size=64, out=out)
    assert "0 new" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("portraits", "portraits"),
        ("runs/earth/model", "earth"),
        ("a/b.safetensors", "b"),
        ("a/Ein Bild", "Ein-Bild"),
        ("model", "model"),
    ],
)
def test_models_are_called_by_their_folder_or_file(word: str, name: str) -> None:
    assert model_name(word) == name


def test_a_path_may_hold_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "lr=0.002" / "model"
    save(tiny_creps(), path)
    assert list(_load_models([str(path)])) == ["lr-0.002"]
    assert list(_load_models([f"mine={path}"])) == ["mine"]


@pytest.mark.parametrize("port", ["-1", "65536", "80000"])
def test_ports_that_there_are_not_are_refused(port: str) -> None:
    words = [sys.executable, "-m", "creps", "serve", "--port", port]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "port" in ran.stderr
    assert "Traceback" not in ran.stderr
