"""Windows of training pictures: exact area averages, and an order that resumes exactly."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from creps.coordinates import Canvas
from creps.data._batches import area_weights, shuffled_indices, take_window
from creps.errors import DataError

windows = st.tuples(
    st.floats(-0.5, 0.9, allow_nan=False), st.floats(0.05, 1.5, allow_nan=False)
).map(lambda w: (w[0], w[0] + w[1]))


@given(source=st.integers(1, 24), window=windows, count=st.integers(1, 16))
def test_weights_are_averages(source, window, count):
    weights = area_weights(source, *window, count)
    assert weights.shape == (count, source)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(count, dtype=torch.float64))


@given(source=st.integers(2, 24), window=windows, count=st.integers(1, 16))
def test_a_flat_picture_stays_flat_and_a_ramp_keeps_its_mean_position(source, window, count):
    start, stop = max(window[0], 0.0), min(window[1], 1.0)
    if stop - start < 1e-3:
        return
    ramp = (torch.arange(source, dtype=torch.float64) + 0.5) / source
    patch = area_weights(source, start, stop, count) @ ramp
    centers = Canvas(count, 1, (start, 0, stop, 1)).rows()
    assert (patch - centers).abs().max() <= 0.5 / source + 1e-12


def test_hand_worked_fractional_coverage():
    # window [0.25, 0.75] of 2 source pixels: half of each for one output pixel;
    # two output pixels of [1/8, 5/8] over 4 sources cover half, one, half of a source pixel.
    assert area_weights(2, 0.25, 0.75, 1).tolist() == [[0.5, 0.5]]
    assert area_weights(4, 0.125, 0.625, 2).tolist() == [[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0]]


def test_beyond_the_border_its_pixel_is_repeated():
    assert area_weights(2, -1.0, 0.0, 2).tolist() == [[1, 0], [1, 0]]
    assert area_weights(2, 1.0, 2.0, 1).tolist() == [[0, 1]]


def test_whole_window_of_native_size_is_the_picture():
    pictures = torch.rand(2, 3, 6, 4)
    torch.testing.assert_close(take_window(pictures, Canvas(6, 4)), pictures)


def test_whole_source_pixels_of_shift_move_the_picture_exactly():
    pictures = torch.rand(1, 1, 12, 12, dtype=torch.float64)
    window = (0.5 / 3, -0.25 / 3, 1 + 0.5 / 3, 1 - 0.25 / 3)
    patch = take_window(pictures, Canvas(3, 3, window))
    inner = pictures[:, :, 2:10, 3:11].unflatten(3, (2, 4)).unflatten(2, (2, 4)).mean((3, 5))
    torch.testing.assert_close(patch[:, :, :2, 1:], inner)


@given(count=st.integers(1, 9), batch=st.integers(1, 5), first=st.integers(0, 12))
def test_order_goes_on_at_any_step_as_if_never_stopped(count, batch, first):
    whole = list(
        itertools.islice(shuffled_indices(count, batch=batch, seed=3, first_step=0), first + 4)
    )
    resumed = shuffled_indices(count, batch=batch, seed=3, first_step=first)
    assert list(itertools.islice(resumed, 4)) == whole[first:]


def test_every_epoch_shows_every_picture_once():
    batches = itertools.islice(shuffled_indices(6, batch=4, seed=0, first_step=0), 6)
    shown = [index for batch in batches for index in batch]
    epochs = [shown[k : k + 6] for k in range(0, 24, 6)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_an_empty_set_is_refused():
    with pytest.raises(DataError, match="no pictures"):
        next(shuffled_indices(0, batch=2, seed=0, first_step=0))
