"""Pictures and arrays of strangers: memory has a limit, faults are one line, all is quiet."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from creps.data import open_images
from creps.errors import DataError, UsageError
from creps.pixels import decode, read_numbers, read_picture
from creps.pixels._opening import MOST_MEMORY, check_room
from creps.pixels._quiet import quiet
from creps.rendering._blends import MOST_WEIGHTS, gray_mask, load_mask
from icc_profiles import G22, P3, rgb_profile
from image_files import noise, png


def flat_png(width: int, height: int, kind: int, depth: int = 8) -> bytes:
    """A valid PNG file of one color: small, whatever its size in pixels."""
    row = bytes(1 + width * {0: 1, 2: 3, 6: 4}[kind] * depth // 8)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )


def header_only(width: int, height: int, kind: int, depth: int = 8) -> bytes:
    """The beginning of a PNG file that says how large it is."""
    part = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    begun = struct.pack(">I", 13) + part + struct.pack(">I", zlib.crc32(part))
    return b"\x89PNG\r\n\x1a\n" + begun + struct.pack(">I", 64) + b"IDAT"


@pytest.mark.parametrize(
    ("width", "height", "kind", "depth", "precise"),
    [
        (13_000, 12_000, 2, 8, False),
        (13_000, 12_000, 6, 8, False),
        (10_000, 10_000, 2, 16, False),
        (8_000, 9_000, 2, 8, True),
        (9_500, 9_000, 0, 8, True),
    ],
)
def test_pictures_have_a_budget_of_bytes_not_of_pixels_alone(
    tmp_path: Path, width: int, height: int, kind: int, depth: int, precise: bool
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(header_only(width, height, kind, depth) + bytes(64))
    with pytest.raises(DataError, match=r"would take \d\.\d GB of memory to read") as failed:
        read_picture(path, precise=precise)
    assert "\n" not in str(failed.value)
    assert width * height < 2 * (Image.MAX_IMAGE_PIXELS or 0)


def test_a_budget_says_what_it_is() -> None:
    check_room(2**13, 2**13, MOST_MEMORY >> 26)
    for size in ((0, 5), (5, 0), (-1, 5)):
        with pytest.raises(DataError, match="no pixels"):
            check_room(*size, 4)
    with pytest.raises(DataError, match=r"would take 1\.1 GB"):
        check_room(2**13, 2**13 + 1, MOST_MEMORY >> 26)


READ = """
import sys
from pathlib import Path
from creps._devices import peak_memory
from creps.data._checking import check
from creps.rendering._blends import load_mask
folder = Path(sys.argv[1])
before = peak_memory()
if sys.argv[2] == "check":
    check(folder, workers=2)
else:
    load_mask(folder / "a.png", 2)
print(peak_memory() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "kind", "what"), [(10_000, 2, "check"), (10_000, 6, "check"), (5_000, 0, "mask")]
)
def test_large_pictures_of_few_bytes_stay_within_memory(
    tmp_path: Path, side: int, kind: int, what: str
) -> None:
    content = flat_png(side, side - 1, kind)
    assert len(content) < 2_500_000
    (tmp_path / "a.png").write_bytes(content)
    (tmp_path / "b.png").write_bytes(content)
    command = [sys.executable, "-c", READ, str(tmp_path), what]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 1.5e9


def test_pictures_made_in_strips_are_those_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from creps.pixels import _decoding

    pixels = noise(23, 17, 4)
    files = []
    for mode in ("RGBA", "RGB", "L", "P", "CMYK", "I;16", "1", "LA"):
        image = Image.fromarray(pixels).convert("L" if mode == "I;16" else mode)
        image = image.convert("I;16") if mode == "I;16" else image
        kind = "tiff" if mode == "CMYK" else "png"
        profile = rgb_profile("P3", P3, G22) if mode in ("RGBA", "RGB", "P") else None
        stream = io.BytesIO()
        image.save(stream, kind, icc_profile=profile)
        files.append(stream.getvalue())
    deep = io.BytesIO()
    tifffile.imwrite(deep, noise(23, 17, 3).astype(np.uint32) << 20, photometric="rgb")
    files.append(deep.getvalue())
    for content in files:
        for settings in ({}, {"precise": True}, {"square": True}, {"channels": 4}):
            monkeypatch.setattr(_decoding, "_STRIP", 1 << 20)
            whole = decode(io.BytesIO(content), **settings)
            monkeypatch.setattr(_decoding, "_STRIP", 40)
            np.testing.assert_array_equal(decode(io.BytesIO(content), **settings), whole)


def progressive(width: int, height: int) -> bytes:
    """The beginning of a progressive JPEG that says it is very large."""
    small = io.BytesIO()
    Image.fromarray(noise(16, 16)).save(small, "jpeg", progressive=True)
    content = bytearray(small.getvalue())
    place = content.index(b"\xff\xc2")
    content[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def test_a_jpeg_of_several_scans_counts_with_what_its_reader_keeps() -> None:
    with pytest.raises(DataError, match="GB of memory"):
        decode(io.BytesIO(progressive(30_000, 30_000)))
    with pytest.raises(DataError, match="more than 1,500,000,000 pixels"):
        decode(io.BytesIO(progressive(65_000, 65_000)))


# Quiet


def broken_tiffs() -> list[bytes]:
    """TIFF files of many compressions with damaged bytes."""
    files = []
    image = Image.fromarray(noise(20, 24))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4"):
        stream = io.BytesIO()
        picture = image.convert("1") if compression == "group4" else image
        picture.save(stream, "tiff", compression=compression)
        for seed in range(12):
            draw, content = random.Random(seed), bytearray(stream.getvalue())
            for _ in range(3):
                content[draw.randrange(len(content))] = draw.randrange(256)
            files.append(bytes(content))
    return files


def test_broken_tiff_files_say_nothing_but_our_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = 0
    for content in broken_tiffs():
        (tmp_path / "a.tif").write_bytes(content)
        with suppress(DataError):
            read_picture(tmp_path / "a.tif")
            continue
        broken += 1
    assert broken > 20
    assert capfd.readouterr() == ("", "")


def test_warnings_are_off_as_long_as_a_thread_reads() -> None:
    inside, leave = threading.Event(), threading.Event()

    def reader() -> None:
        with quiet():
            inside.set()
            leave.wait()

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        thread = threading.Thread(target=reader)
        thread.start()
        inside.wait()
        with quiet():
            warnings.warn("one", UserWarning, stacklevel=1)
        warnings.warn("two", SyntaxWarning, stacklevel=1)
        leave.set()
        thread.join()
        assert warnings.filters == before
        warnings.warn("three", UserWarning, stacklevel=1)
    assert [str(each.message) for each in heard] == ["three"]


# Files that are none


def test_what_is_no_picture_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "z.png")
    for place in (tmp_path / "z.png", "/dev/zero", tmp_path / "a\0b.png", tmp_path / ("x" * 300)):
        with pytest.raises(DataError) as failed:
            read_picture(place)
        assert str(failed.value).isprintable()
    os.mkfifo(tmp_path / "z.npy")
    with pytest.raises(DataError, match=r"z\.npy cannot be read: a pipe or a device"):
        read_numbers(tmp_path / "z.npy")


def test_a_picture_of_the_wrong_kind_inside_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(noise(4, 5)))
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    source = open_images(tmp_path)
    assert list(source.broken) == ["b.png"]


# Arrays


def npy(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return b"\x93NUMPY" + version + length + header + data


HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(HEADER.replace(b"(2, 3)", b"(99999999999999, 3)"), bytes(48)), "numbers: expected 1"),
        (npy(HEADER.replace(b"(2, 3)", b"(-2, 3)"), bytes(48)), "numbers: expected 1"),
        (npy(HEADER.replace(b"(2, 3)", b"(0, 3)")), "numbers: expected 1"),
        (npy(HEADER.replace(b"(2, 3)", b"(" * 300 + b"2" + b")" * 300)), "is not an array"),
        (npy(HEADER.replace(b"(2, 3)", b"-" * 9000 + b"2")), "is not an array"),
        (npy(HEADER.replace(b"(2, 3)", b"[" * 4000)), "is not an array"),
        (npy(HEADER.replace(b"(2, 3)", b"(2, 3if 1else 2)"), bytes(48)), "is not an array"),
        (npy(HEADER.replace(b"<f8", b"|O"), bytes(48)), "holds object"),
        (npy(HEADER.replace(b"'<f8'", b"[('a', '<f8')]"), bytes(48)), "holds"),
        (npy(HEADER.replace(b"<f8", b"<c16"), bytes(96)), "holds complex128"),
        (npy(HEADER.replace(b"<f8", b"<U1000"), bytes(96)), "holds"),
        (npy(HEADER.replace(b"<f8", b"<M8[s]"), bytes(48)), "holds datetime64"),
        (npy(HEADER.replace(b"<f8", b"\\d8"), bytes(48)), "is not an array"),
        (npy(HEADER, bytes(40)), "is cut short: 40 of 48 bytes"),
        (npy(HEADER, bytes(48), b"\x03\x00"), "is not an array"),
        (npy(HEADER * 500, bytes(48), b"\x02\x00"), "is not an array"),
    ],
)
def test_arrays_of_strangers_end_in_one_line(
    tmp_path: Path, content: bytes, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as failed:
        read_numbers(path)
    assert str(failed.value).isprintable()
    with pytest.raises(DataError):
        load_mask(path, 2)
    assert capfd.readouterr() == ("", "")


def test_numbers_are_read_in_any_order_and_kind(tmp_path: Path) -> None:
    for dtype in ("<f8", ">f4", "<i2", "|u1", "|b1"):
        values = np.arange(6).reshape(2, 3).astype(dtype)
        np.save(tmp_path / "a.npy", np.asfortranarray(values))
        np.testing.assert_array_equal(read_numbers(tmp_path / "a.npy"), values.astype(float))


def test_masks_have_a_limit_of_weights(tmp_path: Path) -> None:
    import torch

    values = torch.zeros(1).expand(1000, MOST_WEIGHTS // 1000)
    with pytest.raises(UsageError, match=r"expected at most 16,777,216 pixels; it is interpolated"):
        gray_mask(values, 3)
    np.save(tmp_path / "a.npy", np.ones((2, 2, 2, 2)))
    with pytest.raises(DataError, match="4 dimensions, expected"):
        load_mask(tmp_path / "a.npy", 2)
