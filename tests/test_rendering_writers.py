"""Picture files: the pixels, the settings inside, and nothing half written."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creps import _files as files
from creps.errors import DataError, GridError, UsageError
from creps.rendering._sheets import Panel, captioned_sheet, contact_sheet
from creps.rendering.output._images import read_settings, refuse_beyond_format
from creps.rendering.output._save import save_picture

SETTINGS = {"seed": 7, "window": [0.0, -0.5, 1.0, 1.5], "credits": "Ünïcode ✓ by «A»"}


@pytest.fixture
def picture() -> np.ndarray:
    rows, columns = np.mgrid[0:20, 0:30]
    return np.stack([rows * 12, columns * 8, rows + columns], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_settings_come_back(tmp_path, picture, suffix) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(picture, path, settings=SETTINGS)
    assert read_settings(path) == SETTINGS
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_png_keeps_every_pixel_and_the_others_nearly(tmp_path, picture) -> None:
    for suffix, tolerance in ((".png", 0), (".jpg", 12), (".webp", 12)):
        path = tmp_path / f"a{suffix}"
        save_picture(picture, path)
        with Image.open(path) as image:
            assert image.size == (30, 20)
            difference = np.abs(np.asarray(image.convert("RGB")).astype(int) - picture)
        assert difference.max() <= tolerance


def test_gray_pictures_stay_gray(tmp_path, picture) -> None:
    save_picture(picture[:, :, :1], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), picture[:, :, 0])


def test_settings_of_gigapixel_files_can_be_read(tmp_path, monkeypatch, picture) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow's own limit on opening
    save_picture(picture, tmp_path / "a.png", settings=SETTINGS)
    assert read_settings(tmp_path / "a.png") == SETTINGS


def test_other_files_have_no_settings(tmp_path, picture) -> None:
    Image.fromarray(picture).save(tmp_path / "foreign.png")
    Image.fromarray(picture).save(tmp_path / "foreign.jpg")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("foreign.png", "foreign.jpg"):
        with pytest.raises(DataError, match="no settings inside"):
            read_settings(tmp_path / name)
    with pytest.raises(DataError, match="not a PNG, JPEG, WebP, TIFF"):
        read_settings(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError):
        read_settings(tmp_path / "none.png")


def test_a_full_disk_leaves_the_old_picture(tmp_path, monkeypatch, picture) -> None:
    path = tmp_path / "a.png"
    save_picture(picture, path, settings={"seed": 1})

    def full(target: Path, content: bytes) -> None:
        target.write_bytes(content[:50])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write_synced", full)
    with pytest.raises(OSError, match="No space left") as error:
        save_picture(picture, path, settings={"seed": 2})
    assert error.value.filename == str(path)
    assert read_settings(path) == {"seed": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_formats_say_what_they_cannot_hold() -> None:
    refuse_beyond_format("a.webp", 16_383, 1)
    refuse_beyond_format("a.png", 100_000, 100_000)
    with pytest.raises(GridError, match="16383 pixels a side"):
        refuse_beyond_format("a.webp", 1, 16_384)
    with pytest.raises(GridError, match="65500 pixels a side"):
        refuse_beyond_format("a.jpg", 65_501, 1)


def test_other_arrays_are_refused(tmp_path, picture) -> None:
    for wrong in (picture[:, :, 0], picture.astype(float), picture[:, :, :2]):
        with pytest.raises(UsageError, match="expected"):
            save_picture(wrong, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_contact_sheet_holds_every_picture_in_order() -> None:
    pictures = [np.full((4, 6, 3), level, dtype=np.uint8) for level in (10, 20, 30, 40, 50)]
    sheet = contact_sheet(pictures)
    assert sheet.shape == (8, 18, 3)
    assert sheet[::4, ::6, 0].tolist() == [[10, 20, 30], [40, 50, 255]]
    assert contact_sheet(pictures, columns=5).shape == (4, 30, 3)


def test_a_sheet_of_unlike_pictures_is_refused() -> None:
    small, large = np.zeros((2, 2, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    for pictures in ([], [small, large]):
        with pytest.raises(UsageError, match="expected one shape"):
            contact_sheet(pictures)


def test_a_captioned_sheet_shows_each_panel_whole_with_words_around_it(picture) -> None:
    gray = np.full((20, 30, 1), 77, dtype=np.uint8)
    panels = [[Panel(picture, "one", "note"), Panel(gray, "two")]]
    sheet = captioned_sheet(panels, heading="Heading")
    silent = captioned_sheet([[Panel(picture, ""), Panel(gray, "")]], heading="")
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (20, 30, 3))
    assert (windows == picture).all((3, 4, 5)).any()
    assert (windows == 77).all((3, 4, 5)).any()
    changed = np.argwhere((sheet != silent).any(2))[:, 0]
    top = np.argwhere((windows == 77).all((3, 4, 5)))[0, 0]
    assert (changed < top).any()
    assert (changed >= top + 20).any()
    assert not ((changed >= top) & (changed < top + 20)).any()
