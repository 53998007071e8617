"""Picture files: the pixels, the settings inside, and nothing half written."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from creps import _files as files
from creps.errors import DataError, GridError, UsageError
from creps.rendering._sheets import Panel, captioned_sheet, contact_sheet
from creps.rendering.output._compression import parse_compression
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


def by_lcms(path: Path) -> np.ndarray:
    """A picture as a program with color management shows it on an sRGB screen."""
    with Image.open(path) as image:
        stored = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        screen = ImageCms.createProfile("sRGB")
        return np.asarray(ImageCms.profileToProfile(image, stored, screen, outputMode="RGB"))


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_managed_colors_are_the_plain_ones(tmp_path, picture, suffix, channels) -> None:
    save_picture(picture[:, :, :channels], tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        plain = np.asarray(image.convert("RGB")).astype(int)
        assert image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] == 1
    assert np.abs(by_lcms(tmp_path / f"a{suffix}") - plain).max() <= 1


def test_a_png_says_that_its_colors_are_srgb(tmp_path, picture) -> None:
    save_picture(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["srgb"] == 0  # perceptual


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_credits_are_in_any_script(tmp_path, picture, suffix) -> None:
    save_picture(picture, tmp_path / f"a{suffix}", settings=SETTINGS)
    with Image.open(tmp_path / f"a{suffix}") as image:
        stored = image.getexif()[ExifTags.Base.Copyright]
    assert stored.encode("latin-1").decode() == SETTINGS["credits"]  # Pillow reads Latin-1


@pytest.mark.parametrize(("suffix", "mode"), [(".png", "RGBA"), (".webp", "RGBA"), (".jpg", "RGB")])
def test_transparency_is_kept_or_lies_on_white(tmp_path, picture, suffix, mode) -> None:
    opacity = np.zeros((20, 30, 1), np.uint8)
    opacity[:, :15] = 255
    save_picture(np.concatenate([picture, opacity], 2), tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.mode == mode
        found = np.asarray(image).astype(int)
    assert np.abs(found[:, :14, :3] - picture[:, :14]).max() <= 16
    if mode == "RGBA":
        assert np.array_equal(found[:, :, 3:], opacity)
    else:
        assert found[:, 17:].min() >= 250


def test_a_choice_of_compression_is_read_or_refused() -> None:
    assert str(parse_compression("ZSTD:9", "a.TIF")) == "zstd:9"
    assert str(parse_compression("none", "a.zarr")) == "none"
    assert parse_compression(None, "a.jpg") is None
    for text, name, words in (
        ("zstd", "a.png", r"'zstd' of a \.png: known: deflate, none"),
        ("deflat", "a.tif", "did you mean deflate"),
        ("deflate:13", "a.tif", "levels from 1, fast, to 12, small, such as deflate:6"),
        ("zstd:x", "a.tif", "did you mean zstd"),
        ("lzw:3", "a.tif", "lzw has no levels"),
        ("", "a.tif", "known: deflate, lzw, none, zstd"),
        ("deflate", "a.jpg", "compressed with loss, at quality 95"),
        ("deflate", "a.dzi", "compressed with loss, at quality 95"),
    ):
        with pytest.raises(UsageError, match=words) as told:
            parse_compression(text, name)
        assert "\n" not in str(told.value)


def test_compression_changes_sizes_and_no_pixel(tmp_path, picture) -> None:
    sizes = []
    for words in ("none", "deflate:1", "deflate:9"):
        save_picture(picture, tmp_path / "a.png", compression=words)
        sizes.append((tmp_path / "a.png").stat().st_size)
        with Image.open(tmp_path / "a.png") as image:
            assert np.array_equal(np.asarray(image), picture)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > picture.size


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
