"""Big pictures through accidents: nothing done is lost, and no pixel differs in the end."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from big_scene import (
    CHUNK,
    CHUNKS,
    FORMATS,
    HEIGHT,
    SETTINGS,
    WIDTH,
    Picture,
    contents,
    names_in,
    scene,
    stopping_after,
    write_scene,
)
from creps.errors import DataError, UsageError
from creps.rendering._tiles import Tile
from creps.rendering.output._atomic import exclusive
from creps.rendering.output._save import Outcome, unfinished
from creps.rendering.output._shards import Shard
from creps.rendering.output._store import TileStore


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The result of every format, written without any accident."""
    results = {}
    for suffix in FORMATS:
        target = tmp_path_factory.mktemp("unbroken") / f"a{suffix}"
        write_scene(target)
        results[suffix] = contents(target)
    return results


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_resumed_picture_is_the_unbroken_one(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / f"a{suffix}"
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(6, KeyboardInterrupt()))
    assert names_in(tmp_path) == [f"a{suffix}.part.zarr"]
    write_scene(target, stopping_after(CHUNKS - 6, AssertionError("made a chunk twice")))
    assert contents(target) == unbroken[suffix]


@pytest.mark.parametrize("suffix", [".zarr", ".dzi", ".tif"])
def test_shards_make_the_whole(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / f"a{suffix}"
    assert write_scene(target, shard=Shard(2, 3)) == Outcome(None, 10, CHUNKS)
    assert write_scene(target, shard=Shard(3, 3)) == Outcome(None, 5, CHUNKS)
    assert not target.exists()
    assert write_scene(target, shard=Shard(1, 3)) == Outcome(target, 0, CHUNKS)
    assert contents(target) == unbroken[suffix]


def test_shards_at_the_same_time_make_the_whole(
    tmp_path: Path, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target, outcomes = tmp_path / "a.tif", []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        outcomes.append(write_scene(target, shard=Shard(number, 4)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert [outcome.path for outcome in outcomes].count(target) >= 1
    assert contents(target) == unbroken[".tif"]
    assert names_in(tmp_path) == ["a.tif"]


@pytest.mark.slow
def test_a_killed_process_loses_nothing(
    tmp_path: Path, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / "a.tif"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from big_scene import scene
from creps.rendering.output._save import write_big
made = []
def make(tile):
    if len(made) == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    made.append(tile)
    return scene()(tile)
write_big(Path({str(target)!r}), make, height={HEIGHT}, width={WIDTH}, channels=3,
          settings={SETTINGS!r}, chunk={CHUNK})
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    write_scene(target, stopping_after(CHUNKS - 7, AssertionError("made a chunk twice")))
    assert contents(target) == unbroken[".tif"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_export_that_was_killed_is_made_again(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    """Its half of a file, its lock and its trash are in the way."""
    target = tmp_path / f"a{suffix}"
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(14, KeyboardInterrupt()))
    store = unfinished(target)
    (store / "0" / "c" / "0" / "0" / ".0.killed.partial").touch()
    for left in (f".{target.name}.part", f".{store.name}.lock"):
        (tmp_path / left).write_bytes(b"half a file")
    (tmp_path / f".{store.name}.trash").mkdir()
    if suffix == ".dzi":  # killed between the tiles and their description
        (tmp_path / ".a_files.part" / "0").mkdir(parents=True)
        (tmp_path / "a_files" / "99").mkdir(parents=True)
    write_scene(target)
    assert contents(target) == unbroken[suffix]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_disk_full_of_chunks_is_one_clear_error_and_no_loss(
    tmp_path: Path,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    unbroken: dict[str, dict[str, bytes]],
) -> None:
    target, synced = tmp_path / f"a{suffix}", os.fsync
    left = iter(range(9))

    def full(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_scene(target)
    assert caught.value.filename.startswith(str(unfinished(target)))
    monkeypatch.undo()
    write_scene(target)
    assert contents(target) == unbroken[suffix]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".dzi"])
def test_a_disk_full_of_the_result_is_one_clear_error_and_no_loss(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    """The system itself refuses to write, at the very last byte of the largest file."""
    target, largest = tmp_path / f"a{suffix}", max(map(len, unbroken[suffix].values()))
    assert largest > 1000  # bytes of a chunk at most
    with largest_file(largest - 1), pytest.raises(OSError, match="File too large") as caught:
        write_scene(target)
    assert caught.value.filename in (str(target), str(tmp_path / "a_files"))
    assert names_in(tmp_path) == [unfinished(target).name]
    write_scene(target, stopping_after(0, AssertionError("made a chunk twice")))
    assert contents(target) == unbroken[suffix]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_chunk_is_named_and_can_be_made_again(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / f"a{suffix}"
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(14, KeyboardInterrupt()))
    chunk = unfinished(target) / "0" / "c" / "0" / "2" / "1"
    chunk.write_bytes(b"damaged by a disk")
    with pytest.raises(DataError, match="0/2/1: damaged, remove it"):
        write_scene(target)
    assert not target.exists()
    chunk.unlink()
    write_scene(target)
    assert contents(target) == unbroken[suffix]


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.png"

    def make(tile: Tile) -> Picture:
        target.write_text("mine")
        return scene()(tile)

    with pytest.raises(UsageError, match="exists"):
        write_scene(target, make)
    assert target.read_text() == "mine"
    assert unfinished(target).exists()


def test_other_settings_do_not_continue_a_picture(tmp_path: Path) -> None:
    target = tmp_path / "a.tif"
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(6, KeyboardInterrupt()))
    with pytest.raises(UsageError, match="begun with seed 7, not 8"):
        write_scene(target, settings={**SETTINGS, "seed": 8})
    write_scene(target, stopping_after(CHUNKS - 6, AssertionError("made a chunk twice")))


def test_only_one_process_makes_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.tif"
    with exclusive(unfinished(target), wait=0):
        assert write_scene(target) == Outcome(None, 0, CHUNKS)
    assert not target.exists()
    assert write_scene(target) == Outcome(target, 0, CHUNKS)


def test_the_store_is_one_that_others_can_open(tmp_path: Path) -> None:
    """What the next version of this module must still continue."""
    target = tmp_path / "a.tif"
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(1, KeyboardInterrupt()))
    store = TileStore(unfinished(target))
    assert store.settings == SETTINGS
    assert (store.pixels.height, store.pixels.width, store.pixels.channels) == (HEIGHT, WIDTH, 3)
