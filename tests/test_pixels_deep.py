"""Pictures of more than 8 bits, with alpha, of odd modes: no value is lost on the way."""

import io

import numpy as np
import PIL
import pytest
from PIL import Image

from creps.data import open_images
from creps.errors import ConfigError
from creps.pixels import decode, read_header
from image_files import noise, png, png_16, tiff_16

DEEP = np.random.default_rng(0).integers(0, 65536, (5, 7, 4))


def _decode(content, channels=3, **options):
    return decode(io.BytesIO(content), channels, **options)


@pytest.mark.parametrize(
    "content",
    [png_16(DEEP[:, :, :3]), tiff_16(DEEP[:, :, :3], "<"), tiff_16(DEEP[:, :, :3], ">")],
    ids=["png", "tiff little", "tiff big"],
)
def test_sixteen_bit_color_keeps_its_bits_or_is_rounded(content):
    exact = DEEP[:, :, :3] / 257
    precise = _decode(content, precise=True)
    assert precise.dtype == np.float32
    np.testing.assert_allclose(precise, exact, atol=2e-5)
    rounded = _decode(content)
    assert rounded.dtype == np.uint8
    np.testing.assert_array_equal(rounded, np.rint(exact))
    assert read_header(io.BytesIO(content)).bits == 16


def test_sixteen_bit_gray_is_precise_in_every_number_of_channels():
    content = png_16(DEEP[:, :, :1])
    for channels in (1, 3):
        pixels = _decode(content, channels, precise=True)
        assert pixels.shape == (5, 7, channels)
        np.testing.assert_allclose(pixels, np.repeat(DEEP[:, :, :1] / 257, channels, 2), atol=2e-5)
    assert (_decode(content, 4)[:, :, 3] == 255).all()


def test_deep_alpha_is_laid_on_white_or_kept():
    content = png_16(DEEP)
    kept = _decode(content, 4, precise=True)
    np.testing.assert_allclose(kept, DEEP / 257, atol=2e-5)
    alpha = DEEP[:, :, 3:] / 65535
    laid = DEEP[:, :, :3] / 257 * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(_decode(content, precise=True), laid, atol=1e-3)


def test_deep_color_becomes_luma():
    luma = DEEP[:, :, :3] / 257 @ np.array((0.299, 0.587, 0.114))
    gray = _decode(png_16(DEEP[:, :, :3]), 1, precise=True)
    np.testing.assert_allclose(gray[:, :, 0], luma, atol=1e-3)


def test_alpha_is_kept_and_what_cannot_be_seen_is_white():
    pixels = noise(4, 6, 4) | 1
    pixels[0, 0] = (9, 9, 9, 0)
    kept = _decode(png(pixels), 4)
    assert kept[0, 0].tolist() == [255, 255, 255, 0]
    np.testing.assert_array_equal(kept[1:], pixels[1:])
    assert (_decode(png(noise(4, 6)), 4)[:, :, 3] == 255).all()


YCBCR = pytest.param(
    "YCbCr",
    marks=pytest.mark.skipif(
        PIL.__version__ < "13", reason="Pillow 12 cannot read such TIFFs of its own"
    ),
)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", YCBCR, "RGBA"])
def test_every_mode_comes_out_in_every_number_of_channels(mode):
    image = Image.fromarray(noise(5, 7)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "tiff" if mode in ("CMYK", "YCbCr") else "png")
    for channels in (1, 3, 4):
        pixels = _decode(buffer.getvalue(), channels)
        assert pixels.shape == (5, 7, channels)
        assert pixels.dtype == np.uint8
        assert np.ptp(pixels[:, :, 0]) > 0


def test_two_channels_are_refused():
    with pytest.raises(ConfigError, match=r"2 channels: expected 1 .gray., 3 .RGB. or 4"):
        _decode(png(noise(2, 2)), 2)


def test_precise_floats_of_an_eight_bit_file_are_its_values():
    np.testing.assert_array_equal(_decode(png(noise(4, 6)), precise=True), noise(4, 6))


def test_a_large_jpeg_is_read_small_where_that_is_enough(tmp_path):
    ramp = np.add.outer(np.arange(256), np.arange(384)) * 255 / 640
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / "ramp.jpg", quality=95)
    source = open_images(tmp_path, channels=1)
    assert source.image(0, shortest=60).shape == (64, 96, 1)
    assert source.image(0, shortest=65).shape == (128, 192, 1)
    assert source.image(0).shape == (256, 384, 1)
    means = ramp.reshape(64, 4, 96, 4).mean((1, 3))
    assert np.abs(source.image(0, shortest=60)[:, :, 0] - means).mean() < 1
