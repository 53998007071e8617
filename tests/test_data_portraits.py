"""Portraits: one picture at any size and in any window; data sets appear whole or not at all."""

import errno
import io
import json
import resource
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("dicebear")
pytest.importorskip("resvg_py")

from creps.data import _set_files as set_files
from creps.data import (
    open_images,
    portrait,
    portrait_svg,
    portrait_truth,
    write_portraits,
)
from creps.data.portraits import _drawing as portraits
from creps.errors import ConfigError, DataError, GridError, MissingExtraError, UsageError


def test_portrait_is_the_same_for_the_same_index_and_another_for_another():
    first = portrait(3, (24, 40))
    assert first.shape == (24, 40, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, portrait(3, (24, 40)))
    assert (first != portrait(4, (24, 40))).any()
    assert (first != portrait(3, (24, 40), seed=1)).any()


def test_hundred_portraits_are_distinct():
    assert len({portrait(index, 16).tobytes() for index in range(100)}) == 100


@settings(max_examples=8, deadline=None)
@given(index=st.integers(0, 2**40), top=st.integers(0, 20), left=st.integers(0, 30))
def test_window_shows_the_pixels_of_the_whole_picture(index, top, left):
    whole = portrait(index, (48, 64)).astype(int)
    window = (top / 48, left / 64, (top + 24) / 48, (left + 32) / 64)
    part = portrait(index, (24, 32), window=window)
    difference = np.abs(part - whole[top : top + 24, left : left + 32])
    assert difference.mean() < 0.5
    assert np.mean(difference > 30) < 0.01


def test_small_picture_is_the_mean_of_a_large_one():
    small, large = portrait(5, 64).astype(float), portrait(5, 256).astype(float)
    means = large.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - means).mean() < 1.5  # of 255; about 0.8 from antialiasing


def test_unequal_sides_stretch_the_plane_exactly():
    square, tall = portrait(2, 64).astype(float), portrait(2, (128, 64)).astype(float)
    assert np.abs(tall.reshape(64, 2, 64, 3).mean(axis=1) - square).mean() < 1.5


def test_renderer_honors_alpha_masks():
    # Mouths use them. Taken for luminance, this black mask would hide the red square.
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 768 768">'
        '<mask id="m" style="mask-type:alpha"><path d="M0 0h384v768H0z" fill="black"/></mask>'
        '<path d="M0 0h768v768H0z" fill="blue"/>'
        '<g mask="url(#m)"><path d="M0 0h768v768H0z" fill="red"/></g></svg>'
    )
    image = portraits._rasterize(svg, 4, 8, (0.0, 0.0, 1.0, 1.0))
    assert (image[:, :4] == (255, 0, 0)).all()
    assert (image[:, 4:] == (0, 0, 255)).all()


def test_svg_carries_credit_and_license():
    svg = portrait_svg(0)
    assert "Johan Melin" in svg
    assert "https://creativecommons.org/licenses/by/4.0/" in svg


@pytest.mark.parametrize(
    ("arguments", "window", "message"),
    [
        ((0, 0), (0, 0, 1, 1), "size 0x0"),
        ((0, (8, 100000)), (0, 0, 1, 1), "size 8x100000: .* windows"),
        ((-1, 8), (0, 0, 1, 1), "portrait -1"),
        ((0, 8), (0, 0, 0, 1), "unit square"),
        ((0, 8), (0, 0, 1, 1.5), "unit square"),
        ((0, 8), (0, float("nan"), 1, 1), "unit square"),
    ],
)
def test_nonsense_is_refused(arguments, window, message):
    with pytest.raises(GridError, match=message):
        portrait(*arguments, window=window)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingExtraError, match=r"drawing portraits .* 'creps\[data\]'"):
        portrait(0, 8)


def test_file_holds_the_portraits_in_order_with_credit_and_settings(tmp_path):
    out = tmp_path / "new" / "set.zip"
    seen = []
    assert write_portraits(out, count=5, size=12, seed=3, workers=1, progress=seen.append)
    assert seen == [1, 2, 3, 4, 5]
    with zipfile.ZipFile(out) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        assert names[4] == "00000/img00000004.png"
        for index, name in enumerate(names):
            with Image.open(io.BytesIO(archive.read(name))) as image:
                np.testing.assert_array_equal(np.array(image), portrait(index, 12, seed=3))
        credit = archive.read("ATTRIBUTION.txt").decode()
        found = json.loads(archive.read("portraits.json"))
    assert "remix of ToonHead by Johan Melin" in credit
    assert "https://creativecommons.org/licenses/by/4.0/" in credit
    assert (found["count"], found["size"], found["seed"]) == (5, 12, 3)
    assert set(found["versions"]) == {"dicebear-core", "dicebear-styles", "resvg-py"}


def test_labels_are_folders_named_by_what_is_drawn(tmp_path):
    out, plain = tmp_path / "labeled.zip", tmp_path / "plain.zip"
    write_portraits(out, count=12, size=8, labels=("beard", "eyes"))
    write_portraits(plain, count=12, size=8)
    source = open_images(out, labels=True)
    known = [portrait_truth(index).drawings for index in range(12)]
    kinds = [f"{drawings['beard']}+{drawings['eyes']}" for drawings in known]
    assert list(source.class_names) == sorted(set(kinds))
    with zipfile.ZipFile(out) as archive, zipfile.ZipFile(plain) as other:
        for index, kind in enumerate(kinds):
            drawn = archive.read(f"{kind}/img{index:08d}.png")
            assert drawn == other.read(f"00000/img{index:08d}.png")
    assert not write_portraits(out, count=12, size=8, labels=("beard", "eyes"))
    with pytest.raises(DataError, match="labels beard, eyes instead of hair"):
        write_portraits(out, count=12, size=8, labels=("hair",))
    with pytest.raises(DataError, match="labels beard, eyes instead of none"):
        write_portraits(out, count=12, size=8)
    with pytest.raises(DataError, match="labels none instead of eyes"):
        write_portraits(plain, count=12, size=8, labels=("eyes",))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"labels": ["hat"]}, "label 'hat'"),
        ({"labels": ["hairs"]}, "did you mean hair"),
        ({"labels": [""]}, "label ''"),
        ({"labels": ["eyes", "eyes"]}, "labels eyes, eyes: expected each once"),
        ({"labels": ["eyes"], "style": "micah"}, "labels of the style micah"),
    ],
)
def test_labels_that_are_not_known_are_refused(tmp_path, options, told):
    with pytest.raises(ConfigError, match=told):
        write_portraits(tmp_path / "set.zip", count=1, size=8, **options)
    assert not (tmp_path / "set.zip").exists()


@pytest.mark.slow
def test_bytes_do_not_depend_on_processes_or_time(tmp_path, monkeypatch):
    monkeypatch.setattr(set_files, "_CHUNK_LIMIT", 4)
    alone, together = tmp_path / "alone.zip", tmp_path / "together.zip"
    write_portraits(alone, count=18, size=8, workers=1)
    write_portraits(together, count=18, size=8, workers=2)
    assert alone.read_bytes() == together.read_bytes()


def test_same_settings_are_kept_and_others_refused(tmp_path):
    out = tmp_path / "set.zip"
    assert write_portraits(out, count=2, size=8)
    before = out.stat().st_mtime_ns
    assert not write_portraits(out, count=2, size=8)
    assert out.stat().st_mtime_ns == before
    with pytest.raises(DataError, match=r"\(size 8 instead of 9\).*overwrite") as caught:
        write_portraits(out, count=2, size=9)
    assert "\n" not in str(caught.value)
    assert write_portraits(out, count=2, size=9, overwrite=True)
    assert not write_portraits(out, count=2, size=9)


@pytest.mark.parametrize("content", [b"notes", b""])
def test_foreign_file_is_not_replaced(tmp_path, content):
    out = tmp_path / "notes.zip"
    out.write_bytes(content)
    with pytest.raises(DataError, match="not a portrait file"):
        write_portraits(out, count=1, size=8)
    assert out.read_bytes() == content


def test_interruption_leaves_the_old_file_and_nothing_else(tmp_path):
    out = tmp_path / "set.zip"
    write_portraits(out, count=1, size=8)
    before = out.read_bytes()

    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_portraits(out, count=9, size=8, overwrite=True, progress=interrupt)
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_bytes() == before


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, hard))  # bytes: room for one or two pictures
    try:
        with pytest.raises(DataError, match=r"cannot write .*set\.zip: ") as caught:
            write_portraits(tmp_path / "set.zip", count=60, size=16, workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_error_of_the_system_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(set_files, "_store", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_portraits(tmp_path / "set.zip", count=1, size=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "0 portraits"),
        ({"size": 0}, "size 0"),
        ({"seed": -1}, "seed -1"),
        ({"workers": 0}, "0 workers"),
        ({"name": "set"}, r"set: expected a name that ends with \.zip"),
    ],
)
def test_impossible_sets_are_refused_before_anything_is_written(tmp_path, changes, message):
    arguments = {"name": "set.zip", "count": 1, "size": 8, **changes}
    with pytest.raises(UsageError, match=message):
        write_portraits(tmp_path / arguments.pop("name"), **arguments)
    assert list(tmp_path.iterdir()) == []
