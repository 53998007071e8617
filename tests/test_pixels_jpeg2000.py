"""JPEG 2000: what its headers say, and what is refused in one line."""

import io
import sys

import numpy as np
import pytest

from creps.errors import DataError
from creps.pixels import decode, read_header
from foreign_files import ADOBE, COLOR, DEEP, G22, jpeg_2000, with_profile
from icc_profiles import rgb_profile

pytest.importorskip("imagecodecs")


def test_the_header_is_read_without_pixels():
    content = jpeg_2000(DEEP[:, :, :3], codecformat="jp2")
    header = read_header(io.BytesIO(content[: len(content) // 2]))
    assert (header.size, header.bits, header.format) == (DEEP.shape[:2], 16, "JPEG2000")


def test_a_profile_counts_once():
    profile = rgb_profile("Hand-made", ADOBE, G22)
    for values in (COLOR, DEEP[:, :, :3]):
        content = jpeg_2000(values, codecformat="jp2")
        plain, told = decode(io.BytesIO(content)), io.BytesIO(with_profile(content, profile))
        assert read_header(told).profile == "Hand-made"
        assert np.abs(decode(told) - plain.astype(float)).max() > 20
        assert np.array_equal(decode(told, keep_colors=True), plain)


def test_white_stays_white_and_opaque_stays_opaque():
    values = np.full((6, 9, 4), 65535, np.uint16)
    assert (decode(io.BytesIO(jpeg_2000(values, codecformat="jp2")), 4) == 255).all()


def test_without_its_reader_the_extra_is_named(monkeypatch):
    content = jpeg_2000(DEEP[:, :, :3], codecformat="jp2")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(DataError, match=r"JPEG 2000 of 16 bits: pip install 'creps\[formats\]'"):
        decode(io.BytesIO(content))


def test_inks_and_luma_of_sixteen_bits_are_refused():
    content = jpeg_2000(DEEP, codecformat="jp2")
    place = content.index(b"colr") + 7
    for space in (12, 18):
        told = content[:place] + space.to_bytes(4, "big") + content[place + 4 :]
        with pytest.raises(DataError, match="CMYK or YCbCr of other than 8 bits"):
            decode(io.BytesIO(told))


@pytest.mark.parametrize("kept", [5, 20, 60, 90, 110, 150])
def test_a_file_cut_short_is_an_error_and_nothing_else(kept):
    content = jpeg_2000(DEEP[:, :, :3], codecformat="jp2")
    with pytest.raises(Exception, match=r".") as told:
        decode(io.BytesIO(content[:kept]))
    assert not isinstance(told.value, (MemoryError, RecursionError))
