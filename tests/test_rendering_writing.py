"""One door to files: small pictures at once, large ones by chunks, the same pixels either way."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import creps
from big_scene import (  # noqa: F401
    CHUNKS,
    HEIGHT,
    SETTINGS,
    WIDTH,
    names_in,
    scene,
    through_chunks,
    whole,
    write_scene,
)
from creps.checkpoints import weights_id
from creps.errors import GridError, MissingExtraError, UsageError
from creps.rendering.output import _save as writing
from creps.rendering.output._images import read_settings
from creps.rendering.output._save import Outcome, Tiles, is_streamed, save_picture, unfinished
from creps.rendering.output._shards import Shard
from creps.rendering.output._store import Store
from tiny_creps import tiny_creps

DPI = {**SETTINGS, "dpi": 150.0}


def write(target: Path, **other: object) -> Outcome:
    width = other.pop("width", WIDTH)
    source = Tiles(height=HEIGHT, width=width, channels=3, make=scene(rough=False))
    return save_picture(source, target, **{"settings": DPI, "overwrite": False, **other})


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("small", [0, 10**6])
def test_small_and_large_files_hold_the_same(tmp_path, monkeypatch, suffix, small) -> None:
    monkeypatch.setattr(writing, "SMALL", small)
    target, calls = tmp_path / "new" / f"a{suffix}", []
    write(target, progress=lambda *call: calls.append(call))
    assert calls[-1] == (HEIGHT * WIDTH, HEIGHT * WIDTH)
    assert read_settings(target) == DPI
    assert names_in(target.parent) == [target.name]
    with Image.open(target) as image:
        difference = np.asarray(image).astype(int) - whole(HEIGHT, WIDTH, rough=False)
        assert np.abs(difference).max() <= (0 if suffix == ".png" else 12)
        exif = image.getexif()
        densities = {
            ".png": image.info.get("dpi"),
            ".jpg": image.info.get("dpi"),
            ".webp": (exif.get(282), exif.get(283)),
        }
        assert densities[suffix] == pytest.approx((150, 150), rel=1e-3)
        assert suffix != ".webp" or exif[296] == 2  # inches


def test_tiff_notes_the_resolution_and_the_settings(tmp_path) -> None:
    write(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as image:
        assert image.info["dpi"] == (150, 150)
    assert read_settings(tmp_path / "a.tif") == DPI


@pytest.mark.parametrize("suffix", [".tif", ".dzi", ".zarr"])
def test_settings_are_read_from_every_format(tmp_path, suffix) -> None:
    write(tmp_path / f"a{suffix}")
    assert read_settings(tmp_path / f"a{suffix}") == DPI


def test_settings_are_read_from_unfinished_work(tmp_path) -> None:
    write_scene(tmp_path / "a.tif", shard=Shard(1, 2))
    assert read_settings(unfinished(tmp_path / "a.tif")) == SETTINGS


def test_what_goes_through_chunks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "SMALL", 2**22)
    side = 2**11
    assert not is_streamed(tmp_path / "a.png", height=side, width=side)
    assert is_streamed(tmp_path / "a.png", height=side, width=side + 1)
    assert is_streamed(tmp_path / "a.png", height=side // 2, width=side // 2 + 1, samples=2)
    assert is_streamed(tmp_path / "a.png", height=1, width=1, shard=Shard(1, 1))
    assert is_streamed(tmp_path / "a.tif", height=1, width=1)
    write_scene(tmp_path / "a.png", shard=Shard(1, 2))
    assert is_streamed(tmp_path / "a.png", height=1, width=1)  # what was begun goes on


def test_flat_pictures_need_no_extra(tmp_path, monkeypatch) -> None:
    def missing() -> None:
        raise MissingExtraError("big pictures", "big")

    monkeypatch.setattr(writing, "_exporter", missing)
    monkeypatch.setattr(writing, "SMALL", 0)
    writing.refuse_target(tmp_path / "a.png")
    write(tmp_path / "a.png")
    assert names_in(tmp_path) == ["a.png"]
    with pytest.raises(MissingExtraError, match=r"creps\[big\]"):
        write(tmp_path / "b.tif")
    with pytest.raises(MissingExtraError):
        writing.refuse_target(tmp_path / "b.tif")
    assert is_streamed(tmp_path / "b.png", height=10**6, width=10**6)


def test_small_files_are_not_replaced_unasked(tmp_path) -> None:
    target = tmp_path / "a.png"
    target.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        write(target)
    assert target.read_text() == "mine"
    write(target, overwrite=True)
    assert read_settings(target) == DPI


def test_impossible_small_files_are_refused(tmp_path) -> None:
    with pytest.raises(GridError, match="at most 16383 pixels"):
        write(tmp_path / "a.webp", width=20_000)
    assert names_in(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_names_that_libvips_cannot_open_are_refused_before_any_work(tmp_path) -> None:
    write(tmp_path / "a\udce9.tif")
    for name in ("a\udce9.dzi", "b\udce9.png"):
        with pytest.raises(UsageError, match="no name in UTF-8, which libvips needs"):
            write(tmp_path / name, shard=Shard(1, 2))
    assert names_in(tmp_path) == ["a\udce9.tif"]


# Shards that come late


def test_a_late_shard_finds_the_work_done(tmp_path) -> None:
    target = tmp_path / "a.tif"
    write_scene(target)
    before = target.read_bytes()
    assert write_scene(target, shard=Shard(2, 40)) == Outcome(target, 0, CHUNKS)
    assert target.read_bytes() == before
    assert names_in(tmp_path) == ["a.tif"]
    with pytest.raises(UsageError, match="exists"):
        write_scene(target, shard=Shard(2, 40), settings={**SETTINGS, "seed": 8})


def test_a_late_shard_does_not_overwrite_what_the_others_just_made(tmp_path) -> None:
    target, began = tmp_path / "a.png", time.time()
    write_scene(target)
    os.utime(target, (began + 1, began + 1))
    late = {"shard": Shard(2, 2), "overwrite": True}
    assert write_scene(target, **late, started=began) == Outcome(target, 0, CHUNKS)
    assert write_scene(target, **late, started=began + 2).missing  # an older file is replaced


def test_a_shard_that_comes_while_the_file_is_made_leaves_no_store(tmp_path, monkeypatch) -> None:
    target = tmp_path / "a.tif"

    def late(*arguments, **options):
        monkeypatch.undo()
        write_scene(target)
        return Store(*arguments, **options)

    monkeypatch.setattr("creps.rendering.output._store.Store", late)
    assert write_scene(target, shard=Shard(1, 2)) == Outcome(target, 0, CHUNKS)
    assert names_in(tmp_path) == ["a.tif"]


# What a file tells by itself


def test_a_painter_is_written_in_one_call_with_all_that_made_it(tmp_path) -> None:
    generator = tiny_creps()
    renderer = creps.Renderer(generator, seed=7, truncation=0.5)
    painter = renderer.painter(size=(20, 30), window=(0, 0, 1, 2), warp="rotate:30", supersample=2)
    for name in ("a.png", "a.tif"):
        creps.save_picture(painter, tmp_path / name, settings={"model": "tiny"})
        assert read_settings(tmp_path / name) == {
            "creps": creps.__version__,
            "weights": weights_id(generator),
            "seed": 7,
            "truncation": 0.5,
            "size": [20, 30],
            "window": [0, 0, 1, 2],
            "warp": "rotate:30",
            "supersample": 2,
            "model": "tiny",
        }
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), painter.pixels())


def test_styles_without_words_are_told_apart() -> None:
    generator = tiny_creps()
    styles = creps.Renderer(generator, seed=7).styles
    told = [
        creps.Renderer(generator, styles=each).painter(size=8).about()
        for each in (styles, styles.clone(), styles + 1)
    ]
    assert told[0] == told[1]
    assert told[0]["styles"].startswith("sha256:")
    assert told[0]["styles"] != told[2]["styles"]
    assert "truncation" not in told[0]  # it is in the styles


@pytest.mark.parametrize("name", ["picture.zarr", "picture.dzi", "picture.png", "picture.tif"])
def test_folders_of_somebody_else_are_never_replaced(name: str, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    place = tmp_path / name
    folder = place.with_name("picture_files") if place.suffix == ".dzi" else place
    folder.mkdir()
    (folder / "precious.txt").touch()
    with pytest.raises(UsageError, match="is a folder of something else: choose another name"):
        write(place, overwrite=True)
    assert [path.name for path in folder.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize("name", ["picture.zarr", "picture.dzi"])
def test_folders_of_a_picture_are_replaced(name: str, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    for _ in range(2):
        write(tmp_path / name, overwrite=True)
    assert read_settings(tmp_path / name) is not None


def test_unfinished_work_is_no_folder_of_somebody_else(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    folder = tmp_path / "picture.zarr.part"
    folder.mkdir()
    (folder / "precious.txt").touch()
    with pytest.raises(UsageError, match="is not an unfinished picture: move it away"):
        write(tmp_path / "picture.zarr", overwrite=True)
    assert (folder / "precious.txt").exists()
