"""Files as people have them are read as the formats' own libraries read them."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foreign_files
from creps.errors import DataError
from creps.pixels import decode, read_header, read_picture
from foreign_files import COLOR, KINDS, saved, tiff
from icc_profiles import vips_profile

GROUPS = sorted({each.group for each in KINDS})


@pytest.mark.parametrize("each", KINDS, ids=[f"{k.group}: {k.name}" for k in KINDS])
def test_a_file_is_read_as_its_own_library_reads_it(each):
    if each.missing:
        pytest.skip(f"without {', '.join(each.missing)}")
    content, right = each.make()
    header = read_header(io.BytesIO(content))
    assert header.size == right.shape[:2]
    precise = decode(io.BytesIO(content), precise=True)
    assert precise.dtype == np.float32
    assert np.abs(precise - right).max() <= 1
    rounded = decode(io.BytesIO(content))
    assert rounded.dtype == np.uint8
    assert np.abs(rounded - right).max() <= 1
    gray = decode(io.BytesIO(content), 1, precise=True)[:, :, 0]
    assert np.abs(gray - right @ (0.299, 0.587, 0.114)).max() <= 1.1


def test_there_are_sixty_kinds_of_files_and_the_page_lists_them():
    assert len(KINDS) >= 60
    page = (Path(__file__).parent.parent / "docs" / "data.md").read_text(encoding="utf-8")
    for group in dict.fromkeys(each.group for each in KINDS):
        row = re.search(rf"^\| {re.escape(group)} \| (\d+) \| .* \| (\d\.\d\d) \|$", page, re.M)
        assert row, f"{group} is not in docs/data.md: python tests/foreign_files.py"
        assert int(row[1]) == sum(each.group == group for each in KINDS)
        assert float(row[2]) <= 1


@pytest.mark.parametrize("form", ["png", "jpeg", "avif", "webp"])
def test_the_colors_of_a_phone_become_those_a_browser_shows(form, tmp_path):
    image = Image.new("RGB", (16, 8), (200, 100, 50))
    image.save(tmp_path / f"a.{form}", icc_profile=vips_profile("p3"), quality=100)
    assert np.abs(read_picture(tmp_path / f"a.{form}") - (215.0, 93, 32)).max() <= 2
    kept = read_picture(tmp_path / f"a.{form}", keep_colors=True)
    assert np.abs(kept - (200.0, 100, 50)).max() <= 2
    header = read_header(io.BytesIO((tmp_path / f"a.{form}").read_bytes()))
    assert (header.profile, bool(header.converted)) == ("sP3C", True)


def test_cyan_ink_is_what_its_profile_says():
    content = saved(
        Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "tiff", icc_profile=vips_profile("cmyk")
    )
    assert decode(io.BytesIO(content))[0, 0].tolist() == [0, 153, 227]
    assert decode(io.BytesIO(content), keep_colors=True)[0, 0].tolist() == [0, 255, 255]


def test_alpha_goes_through_a_conversion_untouched():
    pixels = np.concatenate([COLOR, COLOR[:, :, :1] | 1], 2)
    content = saved(Image.fromarray(pixels), "png", icc_profile=foreign_files._P3)
    read = decode(io.BytesIO(content), 4)
    np.testing.assert_array_equal(read[:, :, 3], pixels[:, :, 3])
    assert np.abs(read[:, :, :3].astype(int) - COLOR).max() > 5


def test_samples_of_twelve_bits_span_their_range():
    pytest.importorskip("imagecodecs")
    values = np.random.default_rng(0).integers(0, 4096, (5, 8)).astype(np.uint16)
    left, right = values[:, ::2], values[:, 1::2]
    packed = np.stack([left >> 4, left % 16 * 16 + (right >> 8), right % 256], 2).astype(np.uint8)
    strips = iter([packed.tobytes()])  # as not every imagecodecs packs them
    content = tiff(
        strips, shape=(5, 8), dtype=np.uint16, photometric="minisblack", bitspersample=12
    )
    read = decode(io.BytesIO(content), 1, precise=True)
    np.testing.assert_allclose(read[:, :, 0], values / 4095 * 255, atol=1e-3)


def test_orientation_of_a_deep_tiff_is_applied():
    values = np.arange(15, dtype=np.float32).reshape(3, 5) / 15
    deep = np.repeat(values[:, :, None], 3, 2)
    content = tiff(deep, photometric="rgb", extratags=[(274, "H", 1, 6, False)])
    read = decode(io.BytesIO(content), precise=True)
    assert read_header(io.BytesIO(content)).size == read.shape[:2] == (5, 3)
    np.testing.assert_allclose(read[:, :, 0], np.rot90(values, -1) * 255, atol=1e-3)


def test_a_deep_tiff_that_promises_more_than_it_holds_is_refused_at_once():
    content = bytearray(tiff(np.ones((3, 6, 9), np.uint16), photometric="rgb", compression="zlib",
                             planarconfig="separate"))  # fmt: skip
    place = content.index((257).to_bytes(2, "little") + (4).to_bytes(2, "little"))
    content[place + 8 : place + 12] = (1_779_526).to_bytes(4, "little")
    with pytest.raises(DataError, match=r"holds 3 of .* pieces of pixels"):
        decode(io.BytesIO(bytes(content)))
    content[place + 8 : place + 12] = (500_000_000).to_bytes(4, "little")
    with pytest.raises(DataError, match=r"pixels would take .* GB of memory"):
        decode(io.BytesIO(bytes(content)))


def test_inks_of_sixteen_bits_in_plain_planes_are_refused():
    planes = np.zeros((4, 6, 9), np.uint16)
    content = tiff(planes, photometric="separated", planarconfig="separate")
    for read in (decode, read_header):
        with pytest.raises(DataError, match="CMYK of 16 bits in uncompressed planes"):
            read(io.BytesIO(content))
    packed = tiff(planes, photometric="separated", planarconfig="separate", compression="zlib")
    assert (decode(io.BytesIO(packed)) == 255).all()
