"""Unfinished pictures on disk: what is written stays, what is not is known."""

from __future__ import annotations

import errno
import shutil
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from big_scene import average, damage, scene, whole
from creps._files import discard
from creps.errors import GridError, UsageError
from creps.rendering._tiles import Tile
from creps.rendering.output._chunks import NOTE
from creps.rendering.output._compression import parse_compression
from creps.rendering.output._levels import halve, level_sizes
from creps.rendering.output._shards import Shard
from creps.rendering.output._store import Store, exclusive

PICTURE: dict[str, Any] = {
    "height": 37,
    "width": 50,
    "channels": 3,
    "settings": {"seed": 7, "window": [0, 0.5, 1, 1]},
    "chunk": 16,
}


def opened(folder: Path, **other: Any) -> Store:
    return Store(folder / "a.part", **{**PICTURE, **other})


def filled(folder: Path, **other: Any) -> Store:
    store = opened(folder, **other)
    write(store, list(store.missing()))
    return store


def write(store: Store, tiles: list[Tile]) -> None:
    with store.writing() as take:
        for tile in tiles:
            take(tile, partial(scene(store.channels), tile))


def test_a_new_store_misses_every_chunk_in_order(tmp_path: Path) -> None:
    pixels = opened(tmp_path)
    assert list(pixels.missing()) == list(pixels.tiles)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        *((".tif", words) for words in ("deflate", "deflate:1", "zstd", "zstd:22", "lzw", "none")),
        *((".zarr", words) for words in ("zstd", "zstd:1", "lz4:9", "none")),
    ],
)
def test_pixels_come_back_as_they_were_written(
    tmp_path: Path, channels: int, suffix: str, words: str
) -> None:
    kept = {"suffix": suffix, "compression": parse_compression(words, f"a{suffix}")}
    pixels = filled(tmp_path, channels=channels, **kept)
    assert not list(pixels.missing())
    expected = whole(37, 50, channels)
    np.testing.assert_array_equal(pixels.read(Tile(0, 0, 37, 50)), expected)
    np.testing.assert_array_equal(pixels.read(Tile(5, 15, 20, 34)), expected[5:25, 15:49])


def test_a_reopened_store_misses_what_was_not_written(tmp_path: Path) -> None:
    pixels = opened(tmp_path)
    write(pixels, list(pixels.missing())[:5])
    assert list(opened(tmp_path).missing()) == list(pixels.tiles[5:])


def test_black_pixels_are_pixels(tmp_path: Path) -> None:
    opened(tmp_path)
    pixels = opened(tmp_path)  # the store as a later process finds it
    with pixels.writing() as take:
        for tile in pixels.missing():
            take(tile, partial(np.zeros, (tile.height, tile.width, 3), np.uint8))
    assert not list(pixels.missing())
    assert not pixels.read(Tile(0, 0, 37, 50)).any()


def test_shards_miss_their_shares_only(tmp_path: Path) -> None:
    pixels = opened(tmp_path)
    shares = [list(pixels.missing(Shard(k, 5))) for k in range(1, 6)]
    assert [tile for share in shares for tile in share] == list(pixels.tiles)


def test_a_damaged_chunk_is_missing(tmp_path: Path) -> None:
    store = filled(tmp_path)
    damage(store.path, 6)
    assert list(opened(tmp_path).missing()) == [store.tiles[6]]


@pytest.mark.parametrize("place", [2**31, 2**63 + 5, 2**64 - 1])
def test_a_damaged_note_is_a_missing_chunk(tmp_path: Path, place: int) -> None:
    store = filled(tmp_path)
    (log,) = store.path.glob("*.done")
    notes = np.fromfile(log, NOTE)
    notes["offset"][2], notes["length"][3], notes["index"][4] = place, place, place
    notes.tofile(log)
    missing = [store.tiles[int(index)] for index in notes["index"][[2, 3]]]
    missing.append(({*store.tiles} - {store.tiles[int(k)] for k in notes["index"] if k < 12}).pop())
    assert {*opened(tmp_path).missing()} == {*missing}


def test_no_single_bit_of_waiting_work_goes_unseen(tmp_path: Path) -> None:
    """In chunks and notes: a chunk is made again or the pixels are right, none is another's."""
    store = filled(tmp_path)
    right = store.read(Tile(0, 0, store.height, store.width))
    random = np.random.default_rng(3)
    for path in store.path.glob("*.*"):
        if path.suffix not in (".chunks", ".done"):
            continue
        whole = path.read_bytes()
        for bit in random.integers(0, 8 * len(whole), 150).tolist():
            content = bytearray(whole)
            content[bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
            again = opened(tmp_path)
            missing = {*again.missing()}
            assert path.suffix == ".done" or missing
            for tile in {*again.tiles} - missing:
                np.testing.assert_array_equal(again.read(tile), right[tile.rows, tile.columns])
        path.write_bytes(whole)


def test_a_chunk_that_is_damaged_after_it_was_looked_at_is_not_used(tmp_path: Path) -> None:
    filled(tmp_path)
    store = opened(tmp_path)
    assert not list(store.missing())
    damage(store.path, 6)
    with pytest.raises(OSError, match="run the same command again"):
        store.read(store.tiles[6])


def test_only_whole_chunks_of_8_bit_pixels_are_taken(tmp_path: Path) -> None:
    pixels = opened(tmp_path)
    for wrong in (np.zeros((16, 15, 3), np.uint8), np.zeros((16, 16, 3))):
        with (
            pytest.raises(UsageError, match=r"expected \(16, 16, 3\) uint8"),
            pixels.writing() as take,
        ):
            take(pixels.tiles[0], partial(np.asarray, wrong))
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
    assert not list(store.missing())
    assert list(opened(tmp_path, **other, overwrite=True).missing())


def test_overwriting_keeps_work_with_equal_settings(tmp_path: Path) -> None:
    filled(tmp_path)
    assert not list(opened(tmp_path, overwrite=True).missing())


@pytest.mark.parametrize("kind", ["folder", "file", "picture.json"])
def test_what_is_not_ours_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.part"
    if kind == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / kind).write_text("[]")
    with pytest.raises(UsageError, match="is not an unfinished picture"):
        opened(tmp_path)
    assert path.exists()
    if kind == "folder":  # of other files: whatever they are, they stay
        with pytest.raises(UsageError, match="is not an unfinished picture: move it away"):
            opened(tmp_path, overwrite=True)
        assert (path / kind).exists()
    else:
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


def test_what_does_not_fit_on_the_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="do not fit in") as caught:
        opened(tmp_path, height=10**9, width=10**9, chunk=10**4)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_small_disks_are_told_in_numbers_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Mock(free=400_000))
    plain = parse_compression("none", "a.tif")
    with pytest.raises(OSError, match=r"3\.1 MB of pixels do not fit in the 0\.4 MB that are free"):
        opened(tmp_path, height=1024, width=1024, chunk=512, compression=plain)


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


def test_colors_count_as_much_as_they_are_seen() -> None:
    red, gone, faint = (200, 0, 0, 255), (0, 255, 0, 0), (0, 0, 100, 85)
    picture = np.array([[red, gone, gone], [gone, faint, gone]], np.uint8)
    assert halve(picture).tolist() == [[[150, 0, 25, 85], [0, 255, 0, 0]]]


@given(height=st.integers(1, 300), width=st.integers(1, 300), smallest=st.integers(1, 40))
def test_levels_halve_until_they_are_small(height: int, width: int, smallest: int) -> None:
    sizes = level_sizes(height, width, smallest=smallest)
    assert sizes[0] == (height, width)
    assert max(sizes[-1]) <= smallest
    assert all(max(size) > smallest for size in sizes[:-1])
