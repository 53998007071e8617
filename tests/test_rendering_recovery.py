"""Big pictures through accidents: nothing done is lost, and no pixel differs in the end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
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
    damage,
    names_in,
    scene,
    stopping_after,
    through_chunks,  # noqa: F401
    write_scene,
)
from creps._files import cores
from creps.errors import UsageError
from creps.rendering._tiles import Tile
from creps.rendering.output import _save
from creps.rendering.output._chunks import AHEAD
from creps.rendering.output._save import Outcome, unfinished
from creps.rendering.output._shards import Shard
from creps.rendering.output._store import exclusive
from patience import PATIENCE


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
    assert names_in(tmp_path) == [f"a{suffix}.part"]
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
def test_a_killed_process_loses_what_was_not_compressed_yet(
    tmp_path: Path, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / "a.tif"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from big_scene import scene, write_scene
from creps.rendering.output import _chunks, _save
_save.CHUNK, _save.SMALL, _chunks.SECONDS = {CHUNK}, 0, 0
made = []
def make(tile):
    if len(made) == 12:
        os.kill(os.getpid(), signal.SIGKILL)
    made.append(tile)
    return scene()(tile)
write_scene(Path({str(target)!r}), make)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    lost = min(AHEAD * cores() + 1, 12)
    write_scene(target, stopping_after(CHUNKS - 12 + lost, AssertionError("made a chunk twice")))
    assert contents(target) == unbroken[".tif"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_export_that_was_killed_is_made_again(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    """Its half of a file and its lock are in the way."""
    target = tmp_path / f"a{suffix}"
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(14, KeyboardInterrupt()))
    store = unfinished(target)
    (tmp_path / f".{store.name}.lock").touch()
    (store / "result").mkdir()
    (store / "result" / target.name).write_bytes(b"half a file")
    if suffix == ".dzi":  # killed between the tiles and their description
        (store / "result" / "a_files" / "0").mkdir(parents=True)
        (tmp_path / "a_files" / "99").mkdir(parents=True)
    write_scene(target)
    assert contents(target) == unbroken[suffix]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".dzi"])
def test_libvips_ends_where_it_is_interrupted(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    """It would go on to the end, or swallow the interruption in one of its callbacks."""
    pyvips = pytest.importorskip("pyvips", reason="the extra big has it")
    target, ended = tmp_path / f"a{suffix}", threading.Event()
    saver = {".png": "pngsave", ".jpg": "jpegsave", ".webp": "webpsave", ".dzi": "dzsave"}[suffix]

    def endless(*_: object, **__: object) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if not ended.wait(PATIENCE):
            raise AssertionError("nothing has ended it")
        raise pyvips.Error("killed")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pyvips.Image, saver, endless)
            patch.setattr(pyvips.Image, "set_kill", lambda _, kill: ended.set())
            with pytest.raises(KeyboardInterrupt):
                write_scene(target)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()
    assert names_in(tmp_path) == [unfinished(target).name]
    write_scene(target, stopping_after(0, AssertionError("made a chunk twice")))
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_save, "_finish", lambda *_, **__: False)
        write_scene(target)
    full = "File too large|No space left"
    with largest_file(largest - 1), pytest.raises(OSError, match=full) as caught:
        write_scene(target)
    assert caught.value.filename == str(target)
    assert names_in(tmp_path) == [unfinished(target).name]
    write_scene(target, stopping_after(0, AssertionError("made a chunk twice")))
    assert contents(target) == unbroken[suffix]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_chunk_is_made_again(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / f"a{suffix}"
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(14, KeyboardInterrupt()))
    damage(unfinished(target), 5)
    made: list[Tile] = []
    write_scene(target, lambda tile: made.append(tile) or scene()(tile))
    assert len(made) == 2  # the last one too
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
    identity = json.loads((unfinished(target) / "picture.json").read_text())
    assert identity == {
        "settings": SETTINGS,
        "pixels": [HEIGHT, WIDTH, 3],
        "chunk": CHUNK,
        "depth": 8,
        "compression": "deflate:6",
        "check": "crc32 of place and bytes",
    }
    (log,) = unfinished(target).glob("*.done")
    data = log.with_suffix(".chunks").read_bytes()
    place = np.array([0, 0, len(data)], "<u8")
    check = zlib.crc32(data, zlib.crc32(place.tobytes()))
    assert np.fromfile(log, "<u8").tolist() == [*place.tolist(), check]
    steps = np.frombuffer(zlib.decompress(data), np.uint8).reshape(CHUNK, CHUNK, 3)
    chunk = np.cumsum(steps, axis=1, dtype=np.uint8)
    np.testing.assert_array_equal(chunk, scene()(Tile(0, 0, CHUNK, CHUNK)))


def test_half_an_entry_of_a_killed_process_is_no_chunk(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(3, KeyboardInterrupt()))
    (log,) = unfinished(target).glob("*.done")
    log.write_bytes(log.read_bytes()[:-3])
    made: list[Tile] = []
    write_scene(target, lambda tile: made.append(tile) or scene()(tile))
    assert len(made) == CHUNKS - 2


def test_pixels_are_on_the_disk_before_they_count_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, synced = tmp_path / "a.png", os.fsync
    logged: list[int] = []

    def fsync(descriptor: int) -> None:
        logged.append(sum(log.stat().st_size for log in unfinished(target).glob("*.done")))
        synced(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    write_scene(target)
    assert logged[1 : 1 + CHUNKS] == [32 * k for k in range(CHUNKS)]
