"""What changes over a run depends on the step alone, and ends where it should."""

from __future__ import annotations

import pytest

from creps.errors import ConfigError
from creps.training._batches import draw_region
from creps.training._state import (
    adam_rates,
    blur_sigma,
    cosine,
    largest_zoom,
    penalty_scale,
)
from training_pictures import tiny

ANNEALED = ["anneal.images=400", "optimizer.beta2=0.9", "optimizer.learning_rate=0.002"]
"""With a batch of 4 the end is step 100."""


def test_a_cosine_begins_and_ends_flat() -> None:
    assert [cosine(2.0, 1.0, share) for share in (-1, 0, 0.5, 1, 2)] == [2, 2, 1.5, 1, 1]
    assert cosine(2.0, 1.0, 0.01) > 1.999
    assert cosine(2.0, 1.0, 0.25) == pytest.approx(1.5 + 0.5 * 0.5**0.5)


def test_rates_end_at_what_annealing_says() -> None:
    config = tiny(*ANNEALED, "loss.penalty=finite")
    start, middle, end = (adam_rates(config, "discriminator", step) for step in (0, 50, 100))
    assert start == (0.002, (0.0, 0.9))
    assert middle.learning_rate == pytest.approx(0.002 * (1 + 0.25) / 2)
    assert middle.betas[1] == pytest.approx((0.9 + 0.99) / 2)
    assert end == (0.002 * 0.25, (0.0, 0.99))
    assert adam_rates(config, "discriminator", 5000) == end
    assert [penalty_scale(config, step) for step in (0, 50, 100)] == pytest.approx([1, 0.55, 0.1])


def test_without_annealing_nothing_moves() -> None:
    config = tiny()
    assert adam_rates(config, "generator", 0) == adam_rates(config, "generator", 10**6)
    assert penalty_scale(config, 10**6) == 1
    assert largest_zoom(config, 0) == config.data.zoom
    assert blur_sigma(config, 0) == 0


def test_exact_penalties_and_path_lengths_have_rates_of_their_own() -> None:
    rate = tiny().optimizer.learning_rate
    lazy = tiny("loss.discriminator_interval=4", "loss.path_length_weight=2")
    assert adam_rates(lazy, "discriminator", 0).learning_rate == pytest.approx(rate * 4 / 5)
    assert adam_rates(lazy, "generator", 0).betas[1] == pytest.approx(0.99 ** (4 / 5))
    assert adam_rates(lazy, "projected", 0).learning_rate == rate
    assert adam_rates(tiny("loss.penalty=finite"), "discriminator", 0).learning_rate == rate


def test_the_blur_fades_to_nothing() -> None:
    config = tiny("augment.blur=3", "augment.blur_images=40")
    assert [blur_sigma(config, step) for step in (0, 5, 10, 20)] == [3, 1.5, 0, 0]


def test_windows_become_finer_by_doublings() -> None:
    config = tiny("data.detail=8", "data.zoom=8", "data.zoom_images=120", "data.window_share=1")
    assert [largest_zoom(config, step) for step in (0, 10, 20, 30, 99)] == pytest.approx(
        [1, 2, 4, 8, 8]
    )
    sides = [draw_region(config, step).window for step in range(60)]
    for step, (top, left, bottom, right) in enumerate(sides):
        assert bottom - top == pytest.approx(right - left)
        assert bottom - top >= 1 / largest_zoom(config, step) - 1e-9
    assert min(bottom - top for top, _, bottom, _ in sides) < 1 / 4


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("anneal.images=-1", "anneal: images -1"),
        ("anneal.beta2=1", "beta2 1"),
        ("anneal.gamma=0", "gamma 0"),
        ("augment.blur=-1", "augment.blur -1"),
        ("augment.blur_images=0", "blur_images 0"),
        ("data.zoom_images=-5", "zoom_images: at least 0"),
        ("loss.penalty_noise=0", "loss.penalty_noise 0"),
        ("loss.penalty=rough", "rough"),
        ("projected.weight=-1", "projected: weight -1"),
        ("projected.width=0", "width 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        tiny(change)
