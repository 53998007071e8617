"""Pictures written in place: into a bucket of a real server, chunk by chunk, by several."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import creps
from bucket import KEY, SECRET, bucket
from creps.cli import app
from creps.errors import CrepsError, DataError, UsageError
from creps.rendering import Renderer, Tile, parse_shard, save_picture
from creps.rendering.output import _save
from tiny_creps import tiny_creps

zarr = pytest.importorskip("zarr")
fsspec = pytest.importorskip("fsspec")

SIZE, CHUNK = (37, 52), 16
RENDERER = Renderer(tiny_creps(), seed=7)


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with bucket() as url:
        yield url


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_save, "CHUNK", CHUNK)


def painter(**options: Any) -> Any:
    return RENDERER.painter(size=SIZE, **options)


def keys(url: str) -> set[str]:
    files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    files.invalidate_cache()
    return {name.removeprefix(root).strip("/") for name in files.find(root)}


class StoppedError(BaseException):
    """Stops a writer where a test wants it."""


def stopping_after(chunks: int) -> Any:
    """A source that fails after some chunks, as a killed process does."""
    source = painter()
    pixels, drawn = source.pixels, []

    def draw(part: Tile) -> Any:
        if len(drawn) == chunks:
            raise StoppedError
        drawn.append(part)
        return pixels(part)

    source.pixels = draw
    return source


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_a_folder_by_url_is_made(scheme: str, tmp_path: Path) -> None:
    folder = tmp_path / "new folder" / "newer"
    url = f"{scheme}://{folder}/a.zarr"
    with pytest.raises(StoppedError):
        save_picture(stopping_after(5), url)
    assert save_picture(stopping_after(7), url).path == url  # 12 in all
    whole = np.moveaxis(RENDERER.picture(size=SIZE), 2, 0)
    assert np.array_equal(zarr.open_group(folder / "a.zarr", mode="r")["0"][:], whole)
    assert save_picture(painter(), url, overwrite=False).found
    with pytest.raises(UsageError, match="exists"):
        save_picture(RENDERER.painter(size=(20, 30)), url, overwrite=False)
    save_picture(RENDERER.painter(size=(20, 30)), url)
    assert zarr.open_group(folder / "a.zarr", mode="r")["0"].shape == (3, 20, 30)
    assert [each.name for each in folder.iterdir()] == ["a.zarr"]


def test_a_bucket_gets_what_a_folder_gets(place: str, tmp_path: Any) -> None:
    pytest.importorskip("pyvips")
    url = f"{place}/same.zarr"
    assert save_picture(painter(), url).path == url
    save_picture(painter(), tmp_path / "same.zarr")
    ours = keys(url)
    files = {
        path.relative_to(tmp_path / "same.zarr").as_posix()
        for path in (tmp_path / "same.zarr").rglob("*")
        if path.is_file()
    }
    assert ours == files
    source, root = fsspec.core.url_to_fs(url)
    for name in files:
        assert source.cat_file(f"{root}/{name}") == (tmp_path / "same.zarr" / name).read_bytes()


def test_deep_colors_keep_16_bits(place: str) -> None:
    url = f"{place}/deep.zarr"
    save_picture(painter(depth=16), url)
    level = zarr.open_group(url, mode="r")["0"]
    assert level.dtype == np.uint16
    np.testing.assert_array_equal(level[:].transpose(1, 2, 0), painter(depth=16).pixels())


def test_it_goes_on_after_a_stop(place: str) -> None:
    url = f"{place}/stopped.zarr"
    with pytest.raises(StoppedError):
        save_picture(stopping_after(5), url)
    assert "picture.json" in keys(url)
    assert "zarr.json" not in keys(url)
    with pytest.raises(FileNotFoundError):
        zarr.open_group(url, mode="r")
    told: list[tuple[int, int]] = []
    rest = stopping_after(7)  # of 12 chunks 7 are left
    assert save_picture(rest, url, progress=lambda *done: told.append(done)).missing == 0
    assert told[0] == (4 * 256 + 16 * 4, 37 * 52)  # a row of chunks, and one more
    assert told[-1] == (37 * 52, 37 * 52)
    group = zarr.open_group(url, mode="r")
    np.testing.assert_array_equal(group["0"][:].transpose(1, 2, 0), painter().pixels())
    assert "picture.json" not in keys(url)


def test_a_damaged_chunk_is_removed_and_made_again(place: str) -> None:
    url = f"{place}/damaged.zarr"
    with pytest.raises(StoppedError):
        save_picture(stopping_after(8), url)
    with fsspec.open(f"{url}/0/c/0/0/1", "rb") as file:
        content = bytearray(file.read())
    content[len(content) // 2] ^= 8
    with fsspec.open(f"{url}/0/c/0/0/1", "wb") as file:
        file.write(bytes(content))
    with pytest.raises(DataError, match="1 damaged chunk of level 0 removed"):
        save_picture(painter(), url)
    assert save_picture(painter(), url).missing == 0
    group = zarr.open_group(url, mode="r")
    np.testing.assert_array_equal(group["0"][:].transpose(1, 2, 0), painter().pixels())


def test_shards_share_it(place: str) -> None:
    url = f"{place}/shards.zarr"
    outcomes = [save_picture(painter(), url, shard=parse_shard(f"{k}/3")) for k in (2, 1, 3)]
    assert [outcome.missing for outcome in outcomes] == [8, 4, 0]
    assert [outcome.path for outcome in outcomes] == [None, None, url]
    again = save_picture(painter(), url, shard=parse_shard("1/3"))
    assert again.path == url
    group = zarr.open_group(url, mode="r")
    np.testing.assert_array_equal(group["0"][:].transpose(1, 2, 0), painter().pixels())


def test_black_chunks_are_there_too(place: str) -> None:
    url = f"{place}/black.zarr"
    save_picture(np.zeros((20, 30, 3), np.uint8), url)
    assert {"0/c/0/0/0", "0/c/0/1/1", "1/c/0/0/0"} <= keys(url)


def test_other_work_is_in_the_way_unless_overwritten(place: str) -> None:
    url = f"{place}/other.zarr"
    with pytest.raises(StoppedError):
        save_picture(stopping_after(3), url)
    other = painter(zoom=2)
    with pytest.raises(CrepsError, match=r"s3://pictures/other.zarr was begun with window"):
        save_picture(other, url, overwrite=False)
    with pytest.raises(CrepsError, match="was begun with"):
        save_picture(other, url, shard=parse_shard("1/2"))
    save_picture(other, url)
    with pytest.raises(CrepsError, match="exists: choose another name, or --overwrite it"):
        save_picture(painter(), url, overwrite=False)
    small = creps.Renderer(RENDERER.generator, seed=7).painter(size=10)
    save_picture(small, url)
    assert keys(url) == {"zarr.json", "0/zarr.json", "0/c/0/0/0"}


def test_what_others_left_there_stays(place: str) -> None:
    files = fsspec.filesystem("s3")
    files.pipe_file(f"{place}/mine.zarr/notes.txt", b"mine")
    with pytest.raises(CrepsError, match="holds other things"):
        save_picture(painter(), f"{place}/mine.zarr")
    zarr.create_array(f"{place}/array.zarr", shape=(3,), dtype="uint8")
    with pytest.raises(CrepsError, match="is not a picture of creps"):
        save_picture(painter(), f"{place}/array.zarr")
    assert keys(f"{place}/mine.zarr") == {"notes.txt"}
    assert "zarr.json" in keys(f"{place}/array.zarr")


def test_a_stop_while_the_old_one_is_removed(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from creps.rendering.output._shared import SharedZarr

    url = f"{place}/removed.zarr"
    save_picture(painter(), url)

    def stop(self: Any, key: str, content: bytes) -> None:
        if key == "picture.json" and b"removed" not in content:
            raise StoppedError
        write(self, key, content)

    write = SharedZarr._write
    with monkeypatch.context() as patch:
        patch.setattr(SharedZarr, "_write", stop)
        with pytest.raises(StoppedError):
            save_picture(painter(zoom=2), url)
    assert keys(url) == {"picture.json"}
    save_picture(painter(zoom=2), url)
    assert "zarr.json" in keys(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://no-such-bucket/a.zarr", "s3://no-such-bucket/a.zarr: .*bucket does not exist"),
        ("s3://pictures/a.tif", "only a .zarr can be written to a URL"),
        ("s3://pictures/", "only a .zarr"),
        ("gopher://host/a.zarr", "gopher://host/a.zarr: Protocol not known"),
    ],
)
def test_what_refuses_is_one_line(place: str, url: str, told: str) -> None:
    with pytest.raises(CrepsError, match=told) as refusal:
        save_picture(painter(), url)
    assert "\n" not in str(refusal.value)


def test_wrong_credentials_are_one_line(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    import s3fs
    from botocore.exceptions import NoCredentialsError

    def refused(*_args: Any, **_kwargs: Any) -> None:
        raise NoCredentialsError

    def forbidden(*_args: Any, **_kwargs: Any) -> None:
        raise PermissionError("Access Denied: https://key:word@host/a?X-Amz-Signature=abc")

    for how, told in ((refused, "Unable to locate credentials"), (forbidden, "Access Denied")):
        with monkeypatch.context() as patch:
            patch.setattr(s3fs.S3FileSystem, "_pipe_file", how)
            with pytest.raises(CrepsError, match=told) as refusal:
                save_picture(painter(), f"{place}/refused.zarr")
        assert not {"word", "abc"} & set(str(refusal.value).replace("=", "@").split("@"))
        assert "\n" not in str(refusal.value)


def test_nothing_secret_is_written(place: str, tmp_path: Any) -> None:
    creps.save(tiny_creps().float(), tmp_path / "model")
    files = fsspec.filesystem("s3")
    files.put(str(tmp_path / "model"), f"{place}/model", recursive=True)
    out = f"{place}/quiet.zarr"
    arguments = ["render", "--model", f"{place}/model", "--size", "20x30", "--out", out]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"{out}: 20x30 pixels in 4 chunks" in done.output
    root = json.loads(files.cat_file(f"{out}/zarr.json"))
    assert root["attributes"]["creps"]["settings"]["model"] == f"{place}/model"
    for name in keys(out):
        content = files.cat_file(f"{out}/{name}")
        assert SECRET.encode() not in content
        assert KEY.encode() not in content
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert "is complete, of the same settings" in again.output
    other = CliRunner().invoke(app, [*arguments, "--seed", "8"])
    assert other.exit_code != 0
    assert "exists: choose another name, or --overwrite it" in str(other.exception)
