"""Weights of styles on the plane: never negative, always 1 in sum, and where they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from creps.errors import DataError, UsageError
from creps.rendering._blends import (
    Gradient,
    Mask,
    Radial,
    Stripes,
    Weights,
    crossfade,
    gray_mask,
    load_mask,
)

counts = st.integers(1, 4)
softness = st.floats(0, 1)
kinds = st.one_of(
    st.builds(Gradient, counts, st.floats(0, 360), softness, st.floats(-1, 0), st.floats(0.1, 2)),
    st.builds(Radial, counts, st.floats(0, 0.3), st.floats(0.4, 1), softness=softness),
    st.builds(Stripes, counts, st.floats(0.01, 1), st.floats(0, 360), softness),
    st.integers(0, 99).map(
        lambda seed: Mask(torch.from_numpy(np.random.RandomState(seed).rand(3, 2, 5)))
    ),
)


def along_x(*xs: float) -> Tensor:
    return torch.tensor([[0.3, x] for x in xs], dtype=torch.float64)


@given(kinds, st.integers(0, 99))
def test_weights_share_the_whole_plane(kind: Weights, seed: int) -> None:
    points = torch.from_numpy(np.random.RandomState(seed).normal(0.5, 1, (50, 2)))
    weights = kind(points)
    assert weights.shape[1] == 50
    assert float(weights.min()) >= 0
    torch.testing.assert_close(weights.sum(0), torch.ones(50, dtype=torch.float64))


@given(kinds, st.integers(0, 99))
def test_a_point_has_its_weights_in_any_company(kind: Weights, seed: int) -> None:
    points = torch.from_numpy(np.random.RandomState(seed).rand(9, 2))
    assert torch.equal(kind(points)[:, 4:6], kind(points[4:6]))


def test_one_style_weighs_one() -> None:
    for kind in (Gradient(1), Radial(1), Stripes(1)):
        assert kind(along_x(-3, 0.2, 9)).tolist() == [[1, 1, 1]]


def test_a_gradient_runs_through_its_styles() -> None:
    weights = Gradient(3, start=1, stop=2)(along_x(0, 1, 1.25, 1.5, 2, 9))
    assert weights.T.tolist() == [
        [1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1],
    ]  # fmt: skip


def test_a_gradient_can_run_down() -> None:
    points = torch.tensor([[0.25, 9.0], [0.5, -9.0]], dtype=torch.float64)
    expected = Gradient(2)(along_x(0.25, 0.5))
    torch.testing.assert_close(Gradient(2, angle=90)(points), expected)


def test_softness_leaves_the_styles_alone_outside_the_change() -> None:
    place = torch.tensor([0.39, 0.5, 0.61])
    torch.testing.assert_close(crossfade(place, 2, softness=0.2)[1], torch.tensor([0, 0.5, 1.0]))
    assert crossfade(place, 2, softness=0)[1].tolist() == [0, 1, 1]


def test_rings_count_from_inside() -> None:
    weights = Radial(2, inner=0.1, outer=0.3, y=0.3)(along_x(0.5, 0.59, 0.7, 0.2))
    torch.testing.assert_close(weights[1], torch.tensor([0, 0, 0.5, 1], dtype=torch.float64))


def test_stripes_go_round() -> None:
    weights = Stripes(2, width=0.25, softness=0.4)(along_x(0.1, 0.25, 0.4, 0.6, -0.1))
    torch.testing.assert_close(weights[1], torch.tensor([0, 0.5, 1, 0, 1], dtype=torch.float64))


# Masks


def test_a_mask_is_exact_at_its_pixels_and_linear_between() -> None:
    mask = gray_mask(torch.tensor([[0.0, 1.0, 0.5, 0.0]]), 2)
    weights = mask(along_x(-1, 0.125, 0.25, 0.375, 0.5, 0.625))
    expected = torch.tensor([0, 0, 0.5, 1, 0.75, 0.5], dtype=torch.float64)
    torch.testing.assert_close(weights[1], expected)


def test_a_mask_spans_its_window() -> None:
    mask = gray_mask(torch.tensor([[0.0], [1.0]]), 2, window=(1.0, 0.0, 3.0, 1.0))
    points = torch.tensor([[1.5, 0.5], [2.0, 7.0], [2.5, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(mask(points)[1], torch.tensor([0, 0.5, 1], dtype=torch.float64))


def test_grays_name_several_styles() -> None:
    mask = gray_mask(torch.tensor([[0.0, 0.5, 0.75, 1.0]]), 3)
    assert mask.maps[:, 0].T.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]


def test_maps_are_divided_by_their_sum() -> None:
    assert Mask(torch.tensor([[[3.0]], [[1.0]]])).maps.flatten().tolist() == [0.75, 0.25]


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "1"])
def test_pictures_are_masks(tmp_path: Path, mode: str) -> None:
    white = {"L": 255, "RGB": (255, 255, 255), "I;16": 65535, "1": 1}[mode]
    image = Image.new(mode, (3, 2))
    image.putpixel((2, 1), white)
    image.save(tmp_path / "mask.png")
    mask = load_mask(tmp_path / "mask.png", 2)
    assert mask.maps[1].tolist() == [[0, 0, 0], [0, 0, 1]]


def test_arrays_are_masks(tmp_path: Path) -> None:
    maps = np.array([[[1, 0]], [[1, 1]]], dtype=np.float32)
    np.save(tmp_path / "maps.npy", maps)
    assert load_mask(tmp_path / "maps.npy", 2).maps.tolist() == [[[0.5, 0]], [[0.5, 1]]]
    np.save(tmp_path / "gray.npy", maps[0])
    assert load_mask(tmp_path / "gray.npy", 2).maps[1].tolist() == [[1, 0]]
    with pytest.raises(UsageError, match="maps for 2 styles: expected 3"):
        load_mask(tmp_path / "maps.npy", 3)


def test_files_that_are_no_masks_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png: no such mask"):
        load_mask(tmp_path / "none.png", 2)
    for name in ("text.png", "text.npy"):
        (tmp_path / name).write_text("nothing")
        with pytest.raises(DataError, match=f"{name}: neither a picture|{name} is not an array"):
            load_mask(tmp_path / name, 2)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 0.0])
def test_impossible_masks_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match="finite weights, 0 or more, not all 0"):
        Mask(torch.full((2, 1, 1), value))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="weights of 0 styles"):
        Stripes(0)
    with pytest.raises(UsageError, match="softness 2"):
        Gradient(2, softness=2)
    with pytest.raises(UsageError, match="expected start < stop"):
        Gradient(2, start=1, stop=1)
    with pytest.raises(UsageError, match="0 <= inner < outer"):
        Radial(2, inner=0.5, outer=0.5)
    with pytest.raises(UsageError, match="expected more than 0"):
        Stripes(2, width=0)
    with pytest.raises(UsageError, match=r"expected \(styles, height, width\)"):
        Mask(torch.ones(2, 2))
    with pytest.raises(UsageError, match=r"expected \(height, width\), 0 to 1"):
        gray_mask(torch.full((2, 2), 1.5), 2)
