"""Models and training pictures by URL: fetched once, from a bucket of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import creps
from bucket import bucket
from creps import _urls
from creps._urls import fetched, is_url, last_name, shown
from creps.checkpoints import weights_id
from creps.cli import app
from creps.data import open_images
from creps.errors import CheckpointError, CrepsError, DataError, MissingExtraError, UsageError
from tiny_creps import tiny_creps

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with bucket() as url:
        yield url


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREPS_CACHE", str(tmp_path / "cache"))


def put(path: Path, url: str) -> None:
    fsspec.filesystem("s3").put(str(path), url, recursive=path.is_dir())


def pictures(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for k in range(count):
        Image.new("RGB", (20 + k, 16), (k, 2 * k, 3 * k)).save(folder / f"{k}.png")
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a", True),
        ("memory://a", True),
        ("https://host/a", True),
        ("C://pictures", False),
        ("pictures/a", False),
        ("a:b", False),
        (Path("s3://bucket"), False),
        (None, False),
    ],
)
def test_what_is_a_url(text: Any, expected: bool) -> None:
    assert is_url(text) == expected


def test_nothing_secret_is_shown() -> None:
    signed = "https://me:word@host/a/b.zarr?X-Amz-Credential=id&X-Amz-Signature=abc"
    assert shown(signed) == "https://host/a/b.zarr"
    assert shown(f"cannot read '{signed}', sorry") == "cannot read 'https://host/a/b.zarr', sorry"
    assert shown("secret=abc, Token=def; key=x") == "secret=..., Token=... key=..."
    assert last_name("s3://bucket/a/b.zarr/?x=1") == "b.zarr"


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--seeds", "7", "--size", "16", "--out", "s3://bucket/pictures"],
        ["video", "zoom", "--size", "16", "--out", "s3://bucket/film.mp4"],
        ["export", "--model", "portraits", "--out", "gs://bucket/model.onnx"],
    ],
)
def test_commands_that_write_files_refuse_urls(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, UsageError)
    assert "a URL is not taken here" in str(done.exception)
    assert list(tmp_path.iterdir()) == [tmp_path / "cache"] or not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="a URL is not taken here"):
        creps.save_picture(np.zeros((2, 2, 3), np.uint8), Path("s3://bucket/a.png"))


def test_a_model_by_url_is_the_model(place: str, tmp_path: Path) -> None:
    model = tiny_creps().float()
    creps.save(model, tmp_path / "mine")
    creps.save(model, tmp_path / "one.safetensors")
    put(tmp_path / "mine", f"{place}/models/mine")
    put(tmp_path / "one.safetensors", f"{place}/models/one.safetensors")
    for url in (f"{place}/models/mine", f"{place}/models/one.safetensors"):
        assert weights_id(creps.load(url)) == weights_id(model)
    assert creps.open_zarr(f"{place}/models/mine", seed=7, size=16)["0"].shape == (3, 16, 16)


def test_what_is_there_is_not_fetched_again(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{place}/sets/again"
    put(pictures(tmp_path / "again"), url)
    first = fetched(url)
    assert sorted(path.name for path in first.iterdir()) == ["0.png", "1.png", "2.png"]
    (first / "1.png").unlink()  # as after a stop
    names: list[str] = []
    fetch = _urls._fetch

    def counted(files: Any, name: str, target: Path, size: Any) -> None:
        names.extend([name] * (not target.exists()))
        fetch(files, name, target, size)

    monkeypatch.setattr(_urls, "_fetch", counted)
    assert fetched(url) == first
    assert names == ["pictures/sets/again/1.png"]
    fsspec.filesystem("s3").pipe_file(f"{url}/1.png", (first / "2.png").read_bytes())
    fsspec.filesystem("s3").invalidate_cache()
    assert fetched(url) != first  # other files, another copy


def test_training_pictures_by_url(place: str, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "faces")
    put(folder, f"{place}/sets/faces")
    source = open_images(f"{place}/sets/faces")
    assert len(source) == 3
    assert source.fingerprint == open_images(folder).fingerprint


def test_numbered_shards_by_url(place: str, tmp_path: Path) -> None:
    import tarfile

    for k in range(2):
        with tarfile.open(tmp_path / f"data-{k:03}.tar", "w") as archive:
            archive.add(pictures(tmp_path / f"part{k}", 2) / "1.png", f"{k}.png")
        put(tmp_path / f"data-{k:03}.tar", f"{place}/shards/data-{k:03}.tar")
    assert len(open_images(f"{place}/shards/data-{{000..001}}.tar")) == 2
    with pytest.raises(DataError, match=r"data-\{000..002\}.tar"):
        open_images(f"{place}/shards/data-{{000..002}}.tar")


@pytest.mark.slow
def test_a_run_trains_from_a_bucket(place: str, tmp_path: Path) -> None:
    from creps.training import preset, train

    put(pictures(tmp_path / "small", 8), f"{place}/sets/small")
    config = preset("smoke", "images=8", "batch=4")
    run = train(f"{place}/sets/small", tmp_path / "run", config, log=lambda line: None)
    assert run.complete
    assert run.data["name"] == "small"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://pictures/nothing", "s3://pictures/nothing: "),
        ("s3://no-such-bucket/model", "s3://no-such-bucket/model: "),
        ("gopher://host/model", "gopher://host/model: Protocol not known"),
        ("http://127.0.0.1:9/model.safetensors", "http://127.0.0.1:9/model.safetensors: "),
    ],
)
def test_what_is_not_there_is_one_line(place: str, url: str, told: str) -> None:
    for opened, kind in ((creps.load, CheckpointError), (open_images, DataError)):
        with pytest.raises(kind, match=told) as refusal:
            opened(url)
        assert "\n" not in str(refusal.value)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_args: Any, **_kwargs: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=r"s3:// needs .*creps\[arrays\]"):
        fetched("s3://bucket/model")
    with pytest.raises(CrepsError, match="no package for gs:// is installed"):
        fetched("gs://bucket/model")


def test_names_that_leave_the_folder_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Files:
        def info(self, root: str) -> dict[str, Any]:
            return {"type": "directory", "name": root}

        def find(self, root: str, detail: bool) -> dict[str, Any]:
            return {f"{root}/../../evil": {"type": "file", "name": "evil", "size": 1}}

    monkeypatch.setattr("fsspec.core.url_to_fs", lambda url: (Files(), "bucket/model"))
    with pytest.raises(DataError, match="holds a file of the name"):
        fetched("s3://bucket/model")
