"""Folders and ZIP files of images of any kind, size and state."""

import io
import json
import multiprocessing
import pickle
import shutil
import threading
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from creps.data import open_images, square
from creps.errors import ConfigError, DataError, GridError, LabelError


def _pixels(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Three pictures of different sizes in two folders, beside files that are none."""
    root = tmp_path / "set"
    _save(root / "cats" / "a.png", _pixels(5, 7, 1))
    _save(root / "cats" / "b.bmp", _pixels(8, 3, 2))
    _save(root / "dogs" / "c.PNG", _pixels(4, 4, 3))
    (root / "notes.txt").write_text("no image")
    _save(root / ".hidden" / "d.png", _pixels(2, 2))
    _save(root / "__MACOSX" / "e.png", _pixels(2, 2))
    return root


def _zipped(root):
    return shutil.make_archive(str(root), "zip", root)


def test_folder_and_zip_hold_the_same_images_in_the_same_order(folder):
    one, other = open_images(folder), open_images(_zipped(folder))
    assert one.names == other.names == ("cats/a.png", "cats/b.bmp", "dogs/c.PNG")
    assert len(one) == len(other) == 3
    for index in range(3):
        np.testing.assert_array_equal(one.image(index), other.image(index))
        assert one.size(index) == other.size(index) == one.image(index).shape[:2]
    np.testing.assert_array_equal(one.image(0), _pixels(5, 7, 1))
    assert one.broken == other.broken == {}
    assert one.passed_over == other.passed_over == {}


def test_one_channel_is_luma(folder):
    gray = open_images(folder, channels=1)
    assert gray.image(0).shape == (5, 7, 1)
    red, green, blue = np.moveaxis(_pixels(5, 7, 1).astype(float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    np.testing.assert_allclose(gray.image(0)[:, :, 0], luma, atol=0.51)


def test_other_channel_counts_are_refused(folder):
    with pytest.raises(ConfigError, match="2 channels"):
        open_images(folder, channels=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
def test_exif_orientation_is_applied_to_pixels_and_size(tmp_path, orientation, kind):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = (240, 16, 16)  # top left is red
    lay = {  # how a camera stores the upright picture, by orientation
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    _save(tmp_path / f"photo.{kind}", np.ascontiguousarray(lay(upright)), exif=exif)
    source = open_images(tmp_path)
    assert source.size(0) == (16, 32)
    assert source.image(0).shape == (16, 32, 3)
    red = source.image(0)[:, :, 0] > 128
    assert red[1:7, 1:15].all()
    assert red.mean() == pytest.approx(0.25, abs=0.06)


def test_sixteen_bit_gray_is_scaled_to_eight(tmp_path):
    deep = np.array([[0, 128, 257], [32896, 65278, 65535]], np.uint16)
    _save(tmp_path / "deep.png", Image.fromarray(deep))
    _save(tmp_path / "deep.tif", Image.fromarray(deep))
    source = open_images(tmp_path, channels=1)
    for index in range(2):
        assert source.image(index)[:, :, 0].tolist() == [[0, 0, 1], [128, 254, 255]]


def test_floating_point_gray_is_taken_as_zero_to_one(tmp_path):
    values = np.array([[-1.0, 0.0, 0.5], [1.0, 2.0, np.nan]], np.float32)
    _save(tmp_path / "f.tif", Image.fromarray(values))
    assert open_images(tmp_path, channels=1).image(0)[:, :, 0].tolist() == [
        [0, 0, 128],
        [255, 255, 0],
    ]


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0, 0] = (10, 20, 30, 255)
    rgba[0, 1] = (0, 0, 0, 51)
    _save(tmp_path / "a.png", Image.fromarray(rgba, "RGBA"))
    _save(tmp_path / "b.png", Image.fromarray(rgba[:, :, [0, 3]].copy(), "LA"))
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([1, 2, 3, 200, 100, 50])
    palette.putpixel((0, 0), 0)
    _save(tmp_path / "c.png", palette, transparency=1)
    color, gray, indexed = (open_images(tmp_path).image(index) for index in range(3))
    assert color[0].tolist() == [[10, 20, 30], [204] * 3, [255] * 3]
    assert gray[0].tolist() == [[10] * 3, [204] * 3, [255] * 3]
    assert indexed[0].tolist() == [[1, 2, 3], [255] * 3, [255] * 3]


@pytest.mark.parametrize(
    ("mode", "kind"), [("1", "png"), ("L", "png"), ("P", "gif"), ("CMYK", "jpg")]
)
def test_other_modes_become_rgb_of_the_same_shape(tmp_path, mode, kind):
    flat = Image.new("RGB", (6, 4), "white").convert(mode)
    _save(tmp_path / f"a.{kind}", flat)
    image = open_images(tmp_path).image(0)
    assert image.shape == (4, 6, 3)
    assert image.min() >= 254


@pytest.mark.parametrize("zipped", [False, True])
def test_broken_files_are_named_and_left_out(folder, zipped):
    (folder / "cats" / "bad.jpg").write_bytes(b"not a picture")
    (folder / "empty.png").write_bytes(b"")
    source = open_images(_zipped(folder) if zipped else folder)
    assert source.broken == {
        "cats/bad.jpg": "no picture of a known format",
        "empty.png": "an empty file",
    }
    assert source.names == ("cats/a.png", "cats/b.bmp", "dogs/c.PNG")


@pytest.mark.parametrize("zipped", [False, True])
def test_truncated_file_is_named_when_it_is_decoded(tmp_path, zipped):
    root = tmp_path / "set"
    _save(root / "whole.png", _pixels(40, 30))
    data = (root / "whole.png").read_bytes()
    (root / "half.png").write_bytes(data[: len(data) // 2])
    source = open_images(_zipped(root) if zipped else root)
    assert source.size(0) == (40, 30)
    with pytest.raises(DataError, match=r"cannot decode image half\.png: ") as caught:
        source.image(0)
    assert "\n" not in str(caught.value)
    assert source.image(1).shape == (40, 30, 3)


def test_damaged_zip_entry_is_named(folder):
    _save(
        folder / "cats" / "b.bmp", _pixels(90, 80)
    )  # too large for the header check to see its end
    path = _zipped(folder)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("cats/b.bmp")
    with open(path, "r+b") as file:  # break the checksum of the entry's stream, past its header
        file.seek(info.header_offset + 30 + len(info.filename) + info.compress_size - 4)
        file.write(b"\xff\xff\xff\xff")
    source = open_images(path)
    with pytest.raises(DataError, match=r"cannot read cats/b\.bmp: Bad CRC"):
        source.image(1)
    assert source.image(0).shape == (5, 7, 3)


def test_no_labels_unless_asked(folder):
    source = open_images(folder)
    assert source.num_classes == 0
    assert source.label(0) is None


@pytest.mark.parametrize("below", ["", "photos/2024"])
def test_sub_folders_are_classes_when_asked(folder, below):
    root = folder
    if below:
        root = folder.parent / "wrapped"
        shutil.copytree(folder, root / below)
    source = open_images(root, labels=True)
    assert source.class_names == ("cats", "dogs")
    assert source.num_classes == 2
    assert [source.label(index) for index in range(3)] == [0, 0, 1]


def test_dataset_json_goes_before_folders(folder):
    pairs = [["cats/a.png", 4], ["cats/b.bmp", 0], ["dogs/c.PNG", 2]]
    (folder / "dataset.json").write_text(json.dumps({"labels": pairs}))
    source = open_images(_zipped(folder), labels=True)
    assert source.class_names == ("0", "2", "4")
    assert [source.label(index) for index in range(3)] == [2, 0, 1]


def test_dataset_json_without_labels_leaves_the_folders(folder):
    (folder / "dataset.json").write_text('{"labels": null}')
    assert open_images(folder, labels=True).class_names == ("cats", "dogs")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "malformed"),
        ("[1]", "malformed"),
        ('{"labels": [["a"]]}', "malformed"),
        ('{"labels": [["cats/a.png", 1]]}', "no label for 2 images, as cats/b.bmp"),
        (
            '{"labels": [["cats/a.png", -1], ["cats/b.bmp", 0], ["dogs/c.PNG", 0]]}',
            r"label of cats/a\.png is -1",
        ),
        (
            '{"labels": [["cats/a.png", [0.5]], ["cats/b.bmp", 0], ["dogs/c.PNG", 0]]}',
            r"is \[0\.5\]: expected a class number",
        ),
    ],
)
def test_malformed_dataset_json_is_one_line(folder, text, message):
    (folder / "dataset.json").write_text(text)
    with pytest.raises(LabelError, match=message) as caught:
        open_images(folder, labels=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "b.png"),
        ("a.png", "cats/b.png"),
        ("cats/a.png", "cats/b.png"),
        ("00000/a.png", "00001/b.png"),
        ("00000/a.png", "00000/b.png"),
    ],
)
def test_loose_images_and_numbered_shards_are_no_classes(tmp_path, names):
    for name in names:
        _save(tmp_path / name, _pixels(2, 3))
    with pytest.raises(LabelError, match="no class labels"):
        open_images(tmp_path, labels=True)


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (("00000", "large"), None),  # a drawn set that was unpacked beside other pictures
        (("cats", "00003"), None),
        (("9999", "10000"), ("9999", "10000")),
        (("1", "00000"), ("00000", "1")),
    ],
)
def test_parts_of_sets_beside_folders_with_names_are_no_classes(tmp_path, folders, classes):
    for name in folders:
        _save(tmp_path / name / "a.png", _pixels(2, 3))
    if classes:
        assert open_images(tmp_path, labels=True).class_names == classes
        return
    with pytest.raises(LabelError, match=r"the folder 0000\d is a part of a set, beside \w+: exp"):
        open_images(tmp_path, labels=True)


def test_nothing_to_open_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"no such file or folder: .*nowhere"):
        open_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no images that can be read in .*: none found"):
        open_images(tmp_path)
    (tmp_path / "bad.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"one broken file, bad\.png"):
        open_images(tmp_path)
    with pytest.raises(DataError, match="neither a folder nor a ZIP file"):
        open_images(tmp_path / "bad.png")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(DataError, match=r"no images that can be read in .*empty\.zip"):
        open_images(tmp_path / "empty.zip")


def test_linked_folders_are_followed_once(folder):
    (folder / "cats" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "dogs" / "cats").symlink_to(folder / "cats", target_is_directory=True)
    assert open_images(folder).names == ("cats/a.png", "cats/b.bmp", "dogs/c.PNG")


def test_fingerprint_follows_the_images_not_the_place(folder):
    moved = folder.parent / "moved"
    shutil.copytree(folder, moved)
    before = open_images(folder).fingerprint
    assert open_images(moved).fingerprint == before
    assert open_images(folder, labels=True).fingerprint != before
    (moved / "cats" / "a.png").rename(moved / "cats" / "z.png")
    assert open_images(moved).fingerprint != before


def test_zip_fingerprint_sees_changed_pixels(folder):
    before = open_images(_zipped(folder)).fingerprint
    _save(folder / "cats" / "b.bmp", _pixels(8, 3, 9))
    assert open_images(_zipped(folder)).fingerprint != before


@pytest.mark.parametrize("zipped", [False, True])
def test_pickled_source_is_the_same(folder, zipped):
    source = open_images(_zipped(folder) if zipped else folder, labels=True)
    source.image(0)
    copy = pickle.loads(pickle.dumps(source))
    assert copy.names == source.names
    assert copy.fingerprint == source.fingerprint
    assert [copy.label(index) for index in range(3)] == [0, 0, 1]
    np.testing.assert_array_equal(copy.image(1), source.image(1))


def test_threads_and_forks_read_one_zip_at_once(tmp_path):
    root = tmp_path / "set"
    for index in range(6):
        _save(root / f"{index}.png", _pixels(30, 20, index))
    source = open_images(_zipped(root))
    source.image(0)
    wrong = multiprocessing.get_context("fork").Value("i", 0)

    def read_all():
        for index in list(range(6)) * 10:
            if (source.image(index) != _pixels(30, 20, index)).any():
                wrong.value += 1

    workers = [multiprocessing.get_context("fork").Process(target=read_all) for _ in range(2)]
    for worker in workers:
        worker.start()
    threads = [threading.Thread(target=read_all) for _ in range(3)]
    for thread in threads:
        thread.start()
    for worker in (*workers, *threads):
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert wrong.value == 0


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    size=st.integers(1, 20),
    channels=st.sampled_from([1, 3]),
)
def test_square_keeps_flat_color_whatever_the_size(height, width, size, channels):
    image = np.full((height, width, channels), 77, np.uint8)
    result = square(image, size)
    assert result.shape == (size, size, channels)
    assert (result == 77).all()


def test_square_of_its_own_size_is_the_exact_center():
    image = _pixels(4, 9)
    np.testing.assert_array_equal(square(image, 4), image[:, 2:6])


def test_square_antialiases():
    stripes = np.zeros((64, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = square(stripes, 8)
    assert np.abs(shrunk[:, 1:-1].astype(int) - 127).max() <= 3


def test_square_refuses_no_pixels():
    with pytest.raises(GridError, match="size 0"):
        square(_pixels(3, 4), 0)


def test_first_frame_of_an_animation_counts(tmp_path):
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:])
    (tmp_path / "a.gif").write_bytes(buffer.getvalue())
    assert open_images(tmp_path).image(0)[0, 0].tolist() == [255, 0, 0]
