"""Big pictures: what may be asked, what is refused, and what memory it takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from big_scene import (
    CHUNKS,
    FORMATS,
    HEIGHT,
    WIDTH,
    contents,
    names_in,
    stopping_after,
    through_chunks,  # noqa: F401
    whole,
    write_scene,
)
from creps.errors import GridError, MissingExtraError, UsageError
from creps.rendering.output._save import SUFFIXES, Outcome


@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing_but_the_result_remains(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / "deeper" / f"a{suffix}"
    assert write_scene(target) == Outcome(target, 0, CHUNKS)
    assert names_in(target.parent) == [target.name] + ["a_files"] * (suffix == ".dzi")
    assert not [name for name in contents(target) if Path(name).name.startswith(".")]


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_existing_file_is_refused_unless_overwritten(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"a{suffix}"
    target.write_text("mine")
    with pytest.raises(UsageError, match=f"a{suffix} exists: choose another name"):
        write_scene(target)
    assert names_in(tmp_path) == [target.name]
    assert target.read_text() == "mine"
    assert write_scene(target, overwrite=True).path == target
    assert write_scene(target, overwrite=True).path == target  # over a result of the same format
    assert names_in(tmp_path) == [target.name] + ["a_files"] * (suffix == ".dzi")


def test_existing_tiles_of_another_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a_files").mkdir()
    with pytest.raises(UsageError, match="a_files exists"):
        write_scene(tmp_path / "a.dzi")


def test_progress_counts_pixels_from_what_is_done(tmp_path: Path) -> None:
    target, calls = tmp_path / "a.png", []
    with pytest.raises(KeyboardInterrupt):
        write_scene(target, stopping_after(2, KeyboardInterrupt()))
    write_scene(target, progress=lambda *call: calls.append(call))
    assert calls[0] == (2 * 16 * 16, HEIGHT * WIDTH)
    assert calls[-1] == (HEIGHT * WIDTH, HEIGHT * WIDTH)
    assert len(calls) == 1 + CHUNKS - 2
    assert calls == sorted(calls)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".TIF"])
def test_every_suffix_is_a_format(tmp_path: Path, suffix: str) -> None:
    path = write_scene(tmp_path / f"a{suffix}", size=(3, 5, 3)).path
    assert path is not None
    assert path.exists()


@pytest.mark.parametrize("name", ["a.bmp", "a", "a.tif.gz"])
def test_unknown_formats_are_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"expected \.tif, \.tiff, \.dzi, \.zarr, \.png"):
        write_scene(tmp_path / name)


@pytest.mark.parametrize(
    ("other", "error", "words"),
    [
        ({"size": (0, 3, 3)}, GridError, "at least 1 pixel"),
        ({"size": (3, 3, 2)}, UsageError, r"2 channels: expected 1 \(gray\), 3 \(color\) or 4"),
        ({"size": (3, 65_501, 3)}, GridError, "JPEG holds at most 65500 pixels a side"),
    ],
)
def test_impossible_pictures_are_refused_before_any_work(
    tmp_path: Path, other: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        write_scene(tmp_path / "a.jpg", **other)
    assert names_in(tmp_path) == []


def test_a_producer_of_wrong_pixels_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected \(16, 16, 3\) uint8"):
        write_scene(tmp_path / "a.tif", lambda tile: whole(3, 3))


@pytest.mark.parametrize("package", ["zarr", "pyvips", "tifffile", "imagecodecs"])
def test_missing_packages_are_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("_store", "_formats", "_chunks", "_flat", "_tiff", "_zarr"):
        monkeypatch.delitem(sys.modules, f"creps.rendering.output.{module}", raising=False)
        monkeypatch.delattr(f"creps.rendering.output.{module}", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'creps\[big\]'"):
        write_scene(tmp_path / "a.tif")
    assert names_in(tmp_path) == []
