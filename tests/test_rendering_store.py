"""Unfinished pictures on disk: what is written stays, what is not is known."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from big_scene import average, scene, whole
from creps.errors import DataError, GridError, UsageError
from creps.rendering._tiles import Tile
from creps.rendering.output._atomic import check_disk, discard, exclusive, write_durably
from creps.rendering.output._formats import build_pyramid, halve, level_sizes
from creps.rendering.output._shards import Shard
from creps.rendering.output._store import TileStore

PICTURE: dict[str, Any] = {
    "height": 37,
    "width": 50,
    "channels": 3,
    "settings": {"seed": 7, "window": [0, 0.5, 1, 1]},
    "chunk": 16,
}


def opened(folder: Path, **other: Any) -> TileStore:
    return TileStore.open(folder / "a.part.zarr", **{**PICTURE, **other})


def filled(folder: Path, **other: Any) -> TileStore:
    store = opened(folder, **other)
    for tile in store.pixels.missing():
        store.pixels.write(tile, scene(store.pixels.channels)(tile))
    return store


def test_a_new_store_misses_every_chunk_in_order(tmp_path: Path) -> None:
    pixels = opened(tmp_path).pixels
    assert list(pixels.missing()) == list(pixels.tiles)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_back_as_they_were_written(tmp_path: Path, channels: int) -> None:
    pixels = filled(tmp_path, channels=channels).pixels
    assert not list(pixels.missing())
    expected = whole(37, 50, channels)
    np.testing.assert_array_equal(pixels.read(Tile(0, 0, 37, 50)), expected)
    np.testing.assert_array_equal(pixels.read(Tile(5, 15, 20, 34)), expected[5:25, 15:49])


def test_a_reopened_store_misses_what_was_not_written(tmp_path: Path) -> None:
    pixels = opened(tmp_path).pixels
    for tile in list(pixels.missing())[:5]:
        pixels.write(tile, scene()(tile))
    assert list(opened(tmp_path).pixels.missing()) == list(pixels.tiles[5:])


def test_black_pixels_are_pixels(tmp_path: Path) -> None:
    opened(tmp_path)
    pixels = opened(tmp_path).pixels  # the store as a later process finds it
    for tile in pixels.missing():
        pixels.write(tile, np.zeros((tile.height, tile.width, 3), np.uint8))
    assert not list(pixels.missing())
    assert not pixels.read(Tile(0, 0, 37, 50)).any()


def test_shards_miss_their_shares_only(tmp_path: Path) -> None:
    pixels = opened(tmp_path).pixels
    shares = [list(pixels.missing(Shard(k, 5))) for k in range(1, 6)]
    assert [tile for share in shares for tile in share] == list(pixels.tiles)


def test_missing_chunks_are_not_read_as_black(tmp_path: Path) -> None:
    pixels = opened(tmp_path).pixels
    with pytest.raises(DataError, match="pixels are missing"):
        pixels.read(Tile(0, 0, 1, 1))


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    store = filled(tmp_path)
    chunk = store.path / "0" / "c" / "0" / "1" / "2"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(DataError, match="0/1/2: damaged, remove it"):
        store.pixels.read(Tile(0, 0, 37, 50))


def test_only_whole_chunks_of_8_bit_pixels_are_taken(tmp_path: Path) -> None:
    pixels = opened(tmp_path).pixels
    with pytest.raises(UsageError, match=r"expected \(16, 16, 3\) uint8"):
        pixels.write(pixels.tiles[0], np.zeros((16, 15, 3), np.uint8))
    with pytest.raises(UsageError, match=r"expected \(16, 16, 3\) uint8"):
        pixels.write(pixels.tiles[0], np.zeros((16, 16, 3)))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected a whole chunk"):
        pixels.write(Tile(0, 0, 8, 16), np.zeros((8, 16, 3), np.uint8))
    assert len(list(pixels.missing())) == len(pixels.tiles)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"settings": {"seed": 8, "window": [0, 0.5, 1, 1]}}, "begun with seed 7, not 8"),
        ({"settings": {"window": [0, 0.5, 1, 1]}}, "begun with seed 7, not None"),
        ({"chunk": 32}, "begun with chunk 16, not 32"),
        ({"height": 38}, r"begun with pixels \[37, 50, 3\], not \[38, 50, 3\]"),
    ],
)
def test_other_settings_do_not_continue_a_picture(
    tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    store = filled(tmp_path)
    with pytest.raises(UsageError, match=words):
        opened(tmp_path, **other)
    assert not list(store.pixels.missing())
    assert list(opened(tmp_path, **other, overwrite=True).pixels.missing())


def test_overwriting_keeps_work_with_equal_settings(tmp_path: Path) -> None:
    filled(tmp_path)
    assert not list(opened(tmp_path, overwrite=True).pixels.missing())


@pytest.mark.parametrize("kind", ["folder", "file", "zarr.json"])
def test_what_is_not_ours_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.part.zarr"
    if kind == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / kind).write_text("[]")
    with pytest.raises(UsageError, match="is no unfinished picture"):
        opened(tmp_path)
    assert path.exists()
    opened(tmp_path, overwrite=True)


def test_impossible_sizes_are_refused(tmp_path: Path) -> None:
    for wrong in ({"height": 0}, {"width": -1}, {"chunk": 0}):
        with pytest.raises(GridError):
            opened(tmp_path, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_only_one_process_holds_a_lock(tmp_path: Path) -> None:
    place = tmp_path / "a"
    with exclusive(place, wait=0) as first:
        with exclusive(place, wait=0) as second:
            assert (first, second) == (True, False)
        with exclusive(place, wait=0) as third:
            assert not third
    with exclusive(place, wait=0) as fourth:
        assert fourth
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_durably(path, b"new")
    assert caught.value.filename == str(path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_the_disk_is_checked_before_the_work(tmp_path: Path) -> None:
    check_disk(tmp_path, 1000)
    with pytest.raises(OSError, match="cannot fit in") as caught:
        check_disk(tmp_path, 10**18)
    assert caught.value.errno == errno.ENOSPC


def test_discarding_removes_files_folders_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file", "nothing"):
        discard(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 3])),
    )
)
def test_half_the_size_is_the_mean_of_what_exists(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(halve(picture), average(picture))


@given(height=st.integers(1, 300), width=st.integers(1, 300), smallest=st.integers(1, 40))
def test_levels_halve_until_they_are_small(height: int, width: int, smallest: int) -> None:
    sizes = level_sizes(height, width, smallest=smallest)
    assert sizes[0] == (height, width)
    assert max(sizes[-1]) <= smallest
    assert all(max(size) > smallest for size in sizes[:-1])


@pytest.mark.parametrize(("height", "width"), [(37, 50), (33, 16), (5, 7), (1, 70)])
def test_a_pyramid_of_chunks_is_that_of_the_whole(tmp_path: Path, height: int, width: int) -> None:
    levels = build_pyramid(filled(tmp_path, height=height, width=width), smallest=1)
    expected = whole(height, width)
    for level in levels:
        found = level.read(Tile(0, 0, level.height, level.width))
        np.testing.assert_array_equal(found, expected)
        expected = average(expected)
    assert (levels[-1].height, levels[-1].width) == (1, 1)


def test_a_pyramid_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, made = filled(tmp_path), 0

    def breaking(pixels: np.ndarray) -> np.ndarray:
        nonlocal made
        if made == 3:
            raise KeyboardInterrupt
        made += 1
        return halve(pixels)

    monkeypatch.setattr("creps.rendering.output._formats.halve", breaking)
    with pytest.raises(KeyboardInterrupt):
        build_pyramid(store, smallest=4)
    monkeypatch.undo()
    assert sum(1 for _ in store.level(1, 19, 25).missing()) == 1
    levels = build_pyramid(opened(tmp_path), smallest=4)
    np.testing.assert_array_equal(levels[1].read(Tile(0, 0, 19, 25)), average(whole(37, 50)))
