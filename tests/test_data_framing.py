"""Pictures of any size to one size: exact averages, centered parts, seams that close."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from creps.data import fit, open_images, square
from creps.data._batches import area_weights
from creps.data._framing import area_average, centered_box
from creps.errors import ConfigError, GridError
from image_files import noise


@given(
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    place=st.tuples(*[st.floats(-0.4, 0.9), st.floats(0.05, 1.3)] * 2),
)
def test_averages_are_those_of_the_dense_weights(height, width, rows, columns, place):
    y0, tall, x0, wide = place
    image = noise(height, width)
    down = area_weights(height, y0, y0 + tall, rows)
    across = area_weights(width, x0, x0 + wide, columns)
    dense = torch.einsum("hy,yxc,wx->hwc", down, torch.tensor(image).double(), across)
    box = (y0 * height, x0 * width, (y0 + tall) * height, (x0 + wide) * width)
    found = area_average(image, box, (rows, columns))
    np.testing.assert_allclose(found, dense.numpy(), atol=2e-3)


@given(start=st.integers(-30, 30), width=st.integers(1, 20))
def test_a_wrapping_picture_is_one_of_an_endless_row_of_itself(start, width):
    image = noise(3, 10)
    wrapped = area_average(image, (0, start, 3, start + 2 * width), (3, width), wrap=True)
    endless = np.concatenate([image] * 16, 1)
    first = start + 80
    part = endless[:, first : first + 2 * width].astype(float)
    np.testing.assert_allclose(wrapped, part.reshape(3, width, 2, 3).mean(2), atol=1e-3)


def test_a_frame_shows_the_centered_part_of_its_shape():
    image = noise(9, 20)
    np.testing.assert_array_equal(fit(image, (9, 12)), image[:, 4:16])
    np.testing.assert_array_equal(fit(image, (9, 20)), image)
    means = image[:8, 6:14].reshape(4, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_array_equal(fit(image[:8, 6:14], (4, 4)), np.rint(means))
    assert centered_box((9, 20), (3, 4)) == (0.0, 4.0, 9.0, 16.0)


def test_floating_point_pictures_stay_so():
    image = noise(8, 8).astype(np.float32) + 0.25
    np.testing.assert_allclose(fit(image, (4, 4)), image.reshape(4, 2, 4, 2, 3).mean((1, 3)))
    assert square(image, 3).dtype == np.float32
    assert np.abs(square(image, 3) - square(noise(8, 8), 3)).max() < 1.3


def test_small_pictures_are_enlarged():
    assert fit(noise(4, 6), (10, 15)).shape == (10, 15, 3)


def test_color_counts_by_its_alpha():
    image = np.zeros((2, 2, 4), np.uint8)
    image[0, 0] = (200, 100, 50, 255)
    image[0, 1] = (0, 0, 0, 0)  # unseen black does not darken its neighbor
    image[1] = (0, 0, 0, 0)
    small = fit(image, (1, 1))
    assert small.tolist() == [[[200, 100, 50, 64]]]
    assert fit(image * 0, (1, 1))[0, 0].tolist() == [255, 255, 255, 0]


def test_a_smaller_reading_is_cut_where_the_file_would_be():
    large = noise(64, 104).astype(np.float32)
    reading = large.reshape(16, 4, 26, 4, 3).mean((1, 3))
    through = fit(reading, (4, 4), native=(64, 104))
    np.testing.assert_allclose(through, fit(large, (4, 4)), atol=1e-2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fit(noise(4, 4), (0, 2)), GridError, "size 0x2"),
        (lambda: fit(np.zeros((4, 4, 2), np.uint8), (2, 2)), ConfigError, "2 channels"),
        (lambda: area_average(noise(4, 4), (1, 0, 1, 2), (2, 2)), GridError, "top < bottom"),
    ],
)
def test_nonsense_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("height", "width"), [(9, 14), (14, 9), (8, 13), (1, 4)])
@pytest.mark.parametrize("kind", ["png", "tiff", "deep"])
def test_the_square_of_a_file_is_that_of_its_picture(tmp_path, orientation, height, width, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = noise(height, width)
    if kind == "deep":
        content = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    else:
        content = Image.fromarray(pixels)
    content.save(tmp_path / f"a.{'tiff' if kind == 'tiff' else 'png'}", exif=exif)
    source = open_images(tmp_path)
    whole, part = source.image(0), source.image(0, square=True)
    np.testing.assert_array_equal(part, square(whole, min(height, width)))
