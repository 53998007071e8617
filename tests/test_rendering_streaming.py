"""Big pictures: every format holds the pixels, and no accident loses or changes any."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from big_scene import Picture, scene, whole
from creps.errors import GridError, MissingExtraError, UsageError
from creps.rendering.durable import exclusive
from creps.rendering.shards import Shard
from creps.rendering.streaming import SUFFIXES, Outcome, unfinished, write_big
from creps.rendering.tile_array import TileArray
from creps.rendering.tile_store import TileStore
from creps.rendering.tiles import Tile

HEIGHT, WIDTH, CHUNK = 70, 45, 16
CHUNKS = 5 * 3
SETTINGS = {"seed": 7, "credits": "drawn by a test"}
FORMATS = sorted({*SUFFIXES} - {".tiff", ".jpeg"})


def write(target: Path, make: Callable[[Tile], Picture] | None = None, **other: Any) -> Outcome:
    asked = {
        "height": HEIGHT,
        "width": WIDTH,
        "channels": 3,
        "settings": SETTINGS,
        "chunk": CHUNK,
        **other,
    }
    return write_big(target, make or scene(), **asked)


def stopping_after(count: int, error: BaseException) -> Callable[[Tile], Picture]:
    """A producer that makes `count` tiles and fails."""
    left = iter(range(count))

    def make(tile: Tile) -> Picture:
        if next(left, None) is None:
            raise error
        return scene()(tile)

    return make


def contents(path: Path) -> dict[str, bytes]:
    """All files of a result, by name."""
    files = [path] if path.is_file() else []
    folders = [path, path.with_name(f"{path.stem}_files")]
    files += [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The result of every format, written without any accident."""
    results = {}
    for suffix in FORMATS:
        target = tmp_path_factory.mktemp("unbroken") / f"a{suffix}"
        write(target)
        results[suffix] = contents(target)
    return results


@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing_but_the_result_remains(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / "deeper" / f"a{suffix}"
    assert write(target) == Outcome(target, 0, CHUNKS)
    assert names(target.parent) == [target.name] + ["a_files"] * (suffix == ".dzi")
    assert not [name for name in contents(target) if Path(name).name.startswith(".")]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_resumed_picture_is_the_unbroken_one(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / f"a{suffix}"
    with pytest.raises(KeyboardInterrupt):
        write(target, stopping_after(6, KeyboardInterrupt()))
    assert names(tmp_path) == [f"a{suffix}.part.zarr"]
    write(target, stopping_after(CHUNKS - 6, AssertionError("made a chunk twice")))
    assert contents(target) == unbroken[suffix]


@pytest.mark.parametrize("suffix", [".zarr", ".dzi", ".tif"])
def test_shards_make_the_whole(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / f"a{suffix}"
    assert write(target, shard=Shard(2, 3)) == Outcome(None, 10, CHUNKS)
    assert write(target, shard=Shard(3, 3)) == Outcome(None, 5, CHUNKS)
    assert not target.exists()
    assert write(target, shard=Shard(1, 3)) == Outcome(target, 0, CHUNKS)
    assert contents(target) == unbroken[suffix]


def test_shards_at_the_same_time_make_the_whole(
    tmp_path: Path, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target, outcomes = tmp_path / "a.tif", []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        outcomes.append(write(target, shard=Shard(number, 4)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert [outcome.path for outcome in outcomes].count(target) >= 1
    assert contents(target) == unbroken[".tif"]
    assert names(tmp_path) == ["a.tif"]


def test_a_killed_process_loses_nothing(
    tmp_path: Path, unbroken: dict[str, dict[str, bytes]]
) -> None:
    target = tmp_path / "a.tif"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from big_scene import scene
from creps.rendering.streaming import write_big
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
    write(target, stopping_after(CHUNKS - 7, AssertionError("made a chunk twice")))
    assert contents(target) == unbroken[".tif"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_export_that_was_killed_is_made_again(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    """Its half of a file, its lock and its trash are in the way."""
    target = tmp_path / f"a{suffix}"
    with pytest.raises(KeyboardInterrupt):
        write(target, stopping_after(14, KeyboardInterrupt()))
    store = unfinished(target)
    (store / "0" / "c" / "0" / "0" / ".0.killed.partial").touch()
    for left in (f".{target.name}.part", f".{store.name}.lock"):
        (tmp_path / left).write_bytes(b"half a file")
    (tmp_path / f".{store.name}.trash").mkdir()
    if suffix == ".dzi":  # killed between the tiles and their description
        (tmp_path / ".a_files.part" / "0").mkdir(parents=True)
        (tmp_path / "a_files" / "99").mkdir(parents=True)
    write(target)
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
        write(target)
    assert caught.value.filename.startswith(str(unfinished(target)))
    monkeypatch.undo()
    write(target)
    assert contents(target) == unbroken[suffix]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".dzi"])
def test_a_disk_full_of_the_result_is_one_clear_error_and_no_loss(
    tmp_path: Path, suffix: str, unbroken: dict[str, dict[str, bytes]]
) -> None:
    """The system itself refuses to write: chunks have less than 1,000 bytes, results have more."""
    target = tmp_path / f"a{suffix}"
    with largest_file(2_000), pytest.raises(OSError, match="File too large") as caught:
        write(target)
    assert caught.value.filename in (str(target), str(tmp_path / "a_files"))
    assert names(tmp_path) == [unfinished(target).name]
    write(target, stopping_after(0, AssertionError("made a chunk twice")))
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


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_existing_file_is_refused_unless_overwritten(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"a{suffix}"
    target.write_text("mine")
    with pytest.raises(UsageError, match=f"a{suffix} exists: choose another name"):
        write(target)
    assert names(tmp_path) == [target.name]
    assert target.read_text() == "mine"
    assert write(target, overwrite=True).path == target
    assert write(target, overwrite=True).path == target  # over a result of the same format
    assert names(tmp_path) == [target.name] + ["a_files"] * (suffix == ".dzi")


def test_existing_tiles_of_another_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a_files").mkdir()
    with pytest.raises(UsageError, match="a_files exists"):
        write(tmp_path / "a.dzi")


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.png"

    def make(tile: Tile) -> Picture:
        target.write_text("mine")
        return scene()(tile)

    with pytest.raises(UsageError, match="exists"):
        write(target, make)
    assert target.read_text() == "mine"
    assert unfinished(target).exists()


def test_other_settings_do_not_continue_a_picture(tmp_path: Path) -> None:
    target = tmp_path / "a.tif"
    with pytest.raises(KeyboardInterrupt):
        write(target, stopping_after(6, KeyboardInterrupt()))
    with pytest.raises(UsageError, match="begun with seed 7, not 8"):
        write(target, settings={**SETTINGS, "seed": 8})
    write(target, stopping_after(CHUNKS - 6, AssertionError("made a chunk twice")))


def test_only_one_process_makes_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.tif"
    with exclusive(unfinished(target), wait=0):
        assert write(target) == Outcome(None, 0, CHUNKS)
    assert not target.exists()
    assert write(target) == Outcome(target, 0, CHUNKS)


def test_progress_counts_pixels_from_what_is_done(tmp_path: Path) -> None:
    target, calls = tmp_path / "a.png", []
    with pytest.raises(KeyboardInterrupt):
        write(target, stopping_after(2, KeyboardInterrupt()))
    write(target, progress=lambda *call: calls.append(call))
    assert calls[0] == (2 * 16 * 16, HEIGHT * WIDTH)
    assert calls[-1] == (HEIGHT * WIDTH, HEIGHT * WIDTH)
    assert len(calls) == 1 + CHUNKS - 2
    assert calls == sorted(calls)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".TIF"])
def test_every_suffix_is_a_format(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", height=3, width=5).path
    assert path is not None
    assert path.exists()


@pytest.mark.parametrize("name", ["a.bmp", "a", "a.tif.gz"])
def test_unknown_formats_are_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"expected \.tif, \.tiff, \.dzi, \.zarr, \.png"):
        write(tmp_path / name)


@pytest.mark.parametrize(
    ("other", "error", "words"),
    [
        ({"height": 0}, GridError, "at least 1 pixel"),
        ({"chunk": 0}, GridError, "at least 1 pixel"),
        ({"channels": 4}, UsageError, r"expected 3 \(colour\) or 1 \(gray\)"),
        ({"width": 65_501}, GridError, "JPEG holds at most 65500 pixels a side"),
    ],
)
def test_impossible_pictures_are_refused_before_any_work(
    tmp_path: Path, other: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        write(tmp_path / "a.jpg", **other)
    assert names(tmp_path) == []


def test_a_producer_of_wrong_pixels_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected \(16, 16, 3\) uint8"):
        write(tmp_path / "a.tif", lambda tile: whole(3, 3))


@pytest.mark.parametrize("package", ["zarr", "tifffile", "pyvips"])
def test_missing_packages_are_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("durable", "tile_array", "tile_store", "pyramids", "exports", "flat_exports"):
        monkeypatch.delitem(sys.modules, f"creps.rendering.{module}", raising=False)
        monkeypatch.delattr(f"creps.rendering.{module}", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'creps\[big\]'"):
        write(tmp_path / "a.png")
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_does_not_grow_with_the_height(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No read asks for more than four chunks, or a stripe of the flat formats."""
    largest, read = 0, TileArray.read

    def recorded(self: TileArray, tile: Tile) -> Picture:
        nonlocal largest
        largest = max(largest, tile.height * tile.width)
        return read(self, tile)

    monkeypatch.setattr(TileArray, "read", recorded)
    monkeypatch.setattr("creps.rendering.exports.TIFF_TILE", 32)
    monkeypatch.setattr("creps.rendering.exports.DEEP_ZOOM_TILE", 30)
    write(tmp_path / f"a{suffix}", height=400, width=45)
    assert largest <= max(4 * CHUNK**2, CHUNK * 45)


def test_stripes_of_wide_pictures_get_thinner(monkeypatch: pytest.MonkeyPatch) -> None:
    from creps.rendering import flat_exports

    class Wide:
        height, width, channels = 1000, 60_000, 3
        tiles = type("Plan", (), {"edge": 512})
        asked: list[Tile] = []  # noqa: RUF012

        def read(self, tile: Tile) -> Picture:
            self.asked.append(tile)
            return np.empty((0, 0, 3), np.uint8)

    pixels = Wide()
    list(flat_exports.bands(pixels))  # type: ignore[arg-type]
    assert sum(tile.height for tile in pixels.asked) == 1000
    assert max(tile.height * 60_000 * 3 for tile in pixels.asked) <= flat_exports.BAND_BYTES


def test_the_store_is_one_that_others_can_open(tmp_path: Path) -> None:
    """What the next version of this module must still continue."""
    target = tmp_path / "a.tif"
    with pytest.raises(KeyboardInterrupt):
        write(target, stopping_after(1, KeyboardInterrupt()))
    store = TileStore(unfinished(target))
    assert store.settings == SETTINGS
    assert (store.pixels.height, store.pixels.width, store.pixels.channels) == (HEIGHT, WIDTH, 3)
