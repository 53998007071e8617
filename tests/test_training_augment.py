"""Augmentations are the transforms they say, as often as they say, and differentiable twice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from creps.config import from_dict, to_dict
from creps.errors import ConfigError, UsageError
from creps.training._losses import gradient_penalty
from creps.training.augment import _geometry as geometry
from creps.training.augment._augment import (
    AugmentSettings,
    adapt_strength,
    augment,
    blurred,
    cut_out,
    diffaugment,
    jitter_color,
    shift_pixels,
)
from creps.training.augment._color import COLOR_DRAWS, color_matrix, draw_color, recolor
from creps.training.augment._settings import MULTIPLIERS, Draws

OFF = dict.fromkeys(MULTIPLIERS, 0.0)
ADA = AugmentSettings(kind="ada")
DIFFAUGMENT = AugmentSettings(kind="diffaugment")
SIZES = [(6, 6), (6, 10), (7, 7), (9, 6)]


def only(*names: str) -> AugmentSettings:
    return AugmentSettings(kind="ada", **OFF | dict.fromkeys(names, 1.0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=seeded(seed), dtype=torch.float64) * 2 - 1


def many(names: tuple[str, ...], seed: int = 0) -> Draws:
    return Draws.take(names, 20_000, generator=seeded(seed))


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def allowed(results: Tensor, candidates: list[Tensor]) -> list[int]:
    """Which candidate each result equals exactly."""
    return [
        next(k for k, candidate in enumerate(candidates) if torch.equal(result, candidate))
        for result in results
    ]


# ---------------------------------------------------------------------------------------------
# What holds for all of them


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("strength", [0, 0.0, torch.tensor(0.0)])
def test_strength_zero_gives_the_pictures_back(channels: int, strength: float | Tensor) -> None:
    images = noise(3, channels, 5, 8).float()
    assert torch.equal(augment(images, strength, ADA, generator=seeded()), images)
    none = AugmentSettings(p=0.5)
    assert torch.equal(augment(images, 0.5, none, generator=seeded()), images)


def test_pictures_that_nothing_happens_to_are_untouched() -> None:
    images = noise(64, 3, 6, 8).float()
    changed = (augment(images, 0.1, ADA, generator=seeded()) != images).flatten(1).any(1)
    # Eleven kinds of transform at 0.1 each, some of them without an effect by chance.
    assert 0.4 < changed.float().mean() < 0.85


@pytest.mark.parametrize("kind", [ADA, DIFFAUGMENT], ids=["ada", "diffaugment"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_does_not_depend_on_its_batch(kind: AugmentSettings, channels: int) -> None:
    images = noise(7, channels, 6, 9)
    whole = augment(images, 0.7, kind, generator=seeded(3))
    head = augment(images[:3], 0.7, kind, generator=seeded(3))
    tail = augment(images[3:], 0.7, kind, generator=seeded(3), first=3)
    assert torch.allclose(torch.cat([head, tail]), whole, rtol=0, atol=1e-12)
    assert not torch.allclose(augment(images, 0.7, kind, generator=seeded(4)), whole)


def test_one_transform_switched_off_leaves_the_others_alone() -> None:
    names = geometry.GEOMETRY_DRAWS
    with_scale, without = (
        geometry.draw_geometry(many(names), 1.0, only(*chosen), size=(8, 8))
        for chosen in (("flip", "rotate90", "scale"), ("flip", "rotate90"))
    )
    signs = [maps[:, :2, :2].sign() for maps in (with_scale, without)]
    assert torch.equal(*signs)
    assert not torch.equal(with_scale, without)


@pytest.mark.parametrize("kind", [ADA, DIFFAUGMENT], ids=["ada", "diffaugment"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_type_shape_and_memory_order_are_any(kind: AugmentSettings, dtype: torch.dtype) -> None:
    images = noise(4, 3, 6, 9).to(dtype)
    result = augment(images, 1.0, kind, generator=seeded())
    assert result.dtype == dtype
    assert result.shape == images.shape
    turned = images.to(memory_format=torch.channels_last)
    again = augment(turned, 1.0, kind, generator=seeded())
    assert torch.allclose(again, result, rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


def test_mixed_precision_leaves_the_arithmetic_alone() -> None:
    images = noise(4, 3, 6, 9).float()
    plain = augment(images, 1.0, ADA, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = augment(images, 1.0, ADA, generator=seeded())
    assert torch.equal(mixed, plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", [ADA, DIFFAUGMENT], ids=["ada", "diffaugment"])
def test_a_gpu_makes_the_same_pictures(kind: AugmentSettings) -> None:
    images = noise(8, 3, 18, 26).float()
    here = augment(images, 0.7, kind, generator=seeded())
    there = augment(images.cuda(), 0.7, kind, generator=seeded()).cpu()
    assert torch.allclose(there, here, rtol=0, atol=5e-3)  # its filters may be rounded to TF32


# ---------------------------------------------------------------------------------------------
# Derivatives


@pytest.mark.slow
@pytest.mark.parametrize("dense", [geometry.DENSE_SIZE, 0], ids=["matrices", "filters"])
@pytest.mark.parametrize("kind", [ADA, DIFFAUGMENT], ids=["ada", "diffaugment"])
def test_derivatives_are_right_twice(
    kind: AugmentSettings, dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geometry, "DENSE_SIZE", dense)
    images = noise(2, 3, 2, 3).requires_grad_()

    def run(x: Tensor) -> Tensor:
        return augment(x, 1.0, kind, generator=seeded(5)).pow(2)

    assert torch.autograd.gradcheck(run, (images,))
    assert torch.autograd.gradgradcheck(run, (images,))


def judge(images: Tensor) -> Tensor:
    """(B, 1) logits of a small network that is not linear."""
    weight = noise(4, images.shape[1], 3, 3, seed=9)
    return F.softplus(F.conv2d(images, weight)).square().mean((1, 2, 3))[:, None]


def test_penalties_reach_the_pictures_as_they_came() -> None:
    """A blit moves pixels without scaling them: the penalty is that of the moved picture."""
    images = noise(6, 3, 6, 6).requires_grad_()
    moved = augment(images, 1.0, only("flip", "rotate90"), generator=seeded(1))
    through = gradient_penalty(judge(moved), images)
    inside = gradient_penalty(judge(moved), moved)
    assert through.item() == pytest.approx(inside.item(), rel=1e-12)
    (second,) = torch.autograd.grad(through, images)
    assert second.abs().sum() > 0


def test_contrast_scales_the_gradient_penalty_by_its_square() -> None:
    images = noise(1, 3, 5, 6).requires_grad_()
    zero, one = column(0.0), column(1.0)
    matrix = color_matrix(brightness=zero, contrast=column(3.0), luma=one, hue=zero, saturation=one)
    louder = recolor(images, matrix)
    through = gradient_penalty(judge(louder), images)
    inside = gradient_penalty(judge(louder), louder)
    assert through.item() == pytest.approx(9 * inside.item(), rel=1e-12)


# ---------------------------------------------------------------------------------------------
# Blits: exact copies


@pytest.mark.parametrize("size", SIZES)
def test_the_mirror_is_the_mirror_of_half_of_the_pictures(size: tuple[int, int]) -> None:
    picture = noise(3, *size)
    results = augment(picture.repeat(60, 1, 1, 1), 1.0, only("flip"), generator=seeded())
    found = allowed(results, [picture, picture.flip(2)])
    assert 15 < sum(found) < 45


@pytest.mark.parametrize("side", [6, 7])
def test_quarter_turns_are_quarter_turns(side: int) -> None:
    picture = noise(3, side, side)
    results = augment(picture.repeat(60, 1, 1, 1), 1.0, only("rotate90"), generator=seeded())
    found = allowed(results, [torch.rot90(picture, turns, (1, 2)) for turns in range(4)])
    assert min(found.count(turns) for turns in range(4)) >= 5


@pytest.mark.parametrize("size", [(6, 10), (9, 6), (7, 9)])
def test_a_turned_picture_of_other_shape_is_cropped_and_continued(size: tuple[int, int]) -> None:
    picture = noise(3, *size)
    maps = geometry.quarter_turns(torch.tensor([1]), size=size)
    (result,) = geometry.transform(picture[None], maps)
    turned = torch.rot90(picture, 1, (1, 2))  # (3, W, H)
    assert any(torch.equal(a, b) for a in middles(result) for b in middles(turned))
    assert set(result.flatten().tolist()) <= set(picture.flatten().tolist())


def middles(picture: Tensor) -> list[Tensor]:
    """The largest squares in the middle, up to half a pixel off where a side's rest is odd."""
    side = min(picture.shape[1:])
    tops, lefts = ({(size - side) // 2, -((side - size) // 2)} for size in picture.shape[1:])
    return [picture[:, y : y + side, x : x + side] for y in tops for x in lefts]


@given(
    size=st.sampled_from(SIZES),
    offset=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
)
def test_whole_shifts_move_pixels_and_reflect_at_the_border(
    size: tuple[int, int], offset: tuple[int, int]
) -> None:
    picture = noise(1, 3, *size)
    down, right = offset
    result = geometry.transform(picture, geometry.shifting(-column(down, right)[None]))
    around = F.pad(picture, (3, 3, 3, 3), mode="reflect")
    height, width = size
    top, left = 3 - down, 3 - right
    assert torch.equal(result, around[:, :, top : top + height, left : left + width])


def test_whole_shifts_reach_an_eighth_of_each_side() -> None:
    maps = geometry.draw_geometry(
        many(geometry.GEOMETRY_DRAWS), 1.0, only("translate"), size=(16, 40)
    )
    assert maps[:, 0, 2].unique().tolist() == list(range(-2, 3))
    assert maps[:, 1, 2].unique().tolist() == list(range(-5, 6))


def test_reflection_goes_on_without_end() -> None:
    index = torch.arange(-9, 10)
    expected = [3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert geometry.reflected(index, 4).tolist() == expected
    assert geometry.reflected(index, 1).tolist() == [0] * 19


# ---------------------------------------------------------------------------------------------
# General geometry: one resampling


def test_the_filter_is_an_orthonormal_wavelet_with_six_vanishing_moments() -> None:
    taps = torch.tensor(geometry.SYM6, dtype=torch.float64)
    for shift in range(6):
        product = (taps[2 * shift :] * taps[: len(taps) - 2 * shift]).sum()
        assert product.item() == pytest.approx(float(shift == 0), abs=1e-11)
    n = torch.arange(len(taps), dtype=torch.float64)
    for moment in range(6):
        assert ((-1) ** n * n**moment * taps).sum().item() == pytest.approx(0, abs=1e-8)


@settings(max_examples=25)
@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)), shift=st.integers(-5, 5))
def test_resampling_whole_shifts_is_copying(size: tuple[int, int], shift: int) -> None:
    picture = noise(1, 2, *size)
    maps = geometry.shifting(column(shift, -2)[None])
    resampled = geometry.resample(picture, maps)
    assert torch.allclose(resampled, geometry.blit(picture, maps), rtol=0, atol=1e-10)


@pytest.mark.parametrize("operator", [geometry.enlarge_rows, geometry.reduce_rows])
def test_matrices_are_the_filters(operator: Callable[[Tensor], Tensor]) -> None:
    picture = noise(2, 3, 14, 20)
    filters = operator(operator(picture).transpose(2, 3)).transpose(2, 3)
    matrices = geometry.along_both_axes(picture, operator)
    assert torch.allclose(matrices, filters, rtol=0, atol=1e-12)


def waves(y: Tensor, x: Tensor) -> Tensor:
    """A smooth picture that is known everywhere, in pixels from its center."""
    return torch.sin(0.20 * y + 0.11 * x + 0.4) * torch.cos(0.17 * x - 0.08 * y)


def places(size: tuple[int, int]) -> Tensor:
    """(H, W, 3) places (y, x, 1) of pixels from the center."""
    y, x = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2 for side in size)
    grid = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([*grid, torch.ones_like(grid[0])], dim=2)


@pytest.mark.parametrize(
    "maps",
    [
        geometry.rotation(column(0.7)),
        geometry.scaling(column(0.8), column(0.8)),
        geometry.scaling(column(0.9), column(1 / 0.9)),
        geometry.shifting(column(0.3, -1.6)[None]),
        geometry.rotation(column(-2.0)) @ geometry.scaling(column(0.8), column(1.0)),
    ],
    ids=["rotation", "scale", "aspect", "fraction", "sheared"],
)
def test_resampling_is_the_picture_seen_elsewhere(maps: Tensor) -> None:
    size = (40, 52)
    here = places(size)
    picture = waves(here[..., 0], here[..., 1])[None, None]
    (result,) = geometry.transform(picture, maps)[0]
    there = here @ maps[0].T
    expected = waves(there[..., 0], there[..., 1])
    inside = (there[..., 0].abs() < 16) & (there[..., 1].abs() < 22)
    inside[:2] = inside[-2:] = False
    assert inside.float().mean() > 0.25
    assert (result - expected)[inside].abs().max() < 0.03


def test_shrinking_takes_away_what_would_alias() -> None:
    """Stripes of two pixels, shrunk to less than a pixel each, become gray."""
    stripes = column(1.0, -1.0).repeat(1, 1, 32, 16)  # (1, 1, 32, 32)
    shrunk = geometry.resample(stripes, geometry.scaling(column(1.7), column(1.7)))
    assert shrunk[..., 8:-8, 8:-8].abs().max() < 0.3
    assert stripes[..., ::2].abs().min() == 1  # picking every second pixel would keep them


def test_resampling_overshoots_a_little_at_edges_and_blits_never() -> None:
    picture = torch.ones(32, 3, 24, 24, dtype=torch.float64)
    picture[:, :, 6:15, 9:20] = -1
    blits = augment(picture, 1.0, only("flip", "rotate90", "translate"), generator=seeded())
    assert blits.abs().max() == 1
    general = only("scale", "rotate", "aspect", "fraction")
    result = augment(picture, 1.0, general, generator=seeded())
    assert result.abs().max() < 1.8
    assert (result.abs() > 1.25).double().mean() < 0.03


def test_the_order_is_blits_scale_rotation_aspect_rotation_shift() -> None:
    """One picture's map, multiplied together from its own numbers, the last transform first."""
    size = (12, 20)

    numbers = dict.fromkeys(geometry.GEOMETRY_DRAWS, 0.0)  # everything happens
    numbers |= {"flip": 0.1, "rotate90": 0.3, "translate y": 0.9, "translate x": 0.1}
    numbers |= {"scale": 0.8, "aspect": 0.9, "rotate before": 0.6, "rotate after": 0.7}
    numbers |= {"fraction y": 0.8, "fraction x": 0.3}
    draws = Draws({name: column(number) for name, number in numbers.items()})
    (backwards,) = geometry.draw_geometry(draws, 1.0, ADA, size=size)
    normal = {name: draws.normal(name).item() for name in ("scale", "aspect")}
    shift = [draws.normal(f"fraction {axis}").item() for axis in "yx"]
    scale, aspect = 2 ** (0.2 * normal["scale"]), 2 ** (0.2 * normal["aspect"])
    forwards = torch.eye(3, dtype=torch.float64)
    for step in (
        geometry.scaling(column(1.0), column(-1.0)),
        geometry.rotation(column(math.pi / 2)),
        geometry.shifting(column(1.0, -2.0)[None]),
        geometry.scaling(column(scale), column(scale)),
        geometry.rotation(column(0.2 * math.pi)),
        geometry.scaling(column(1 / aspect), column(aspect)),
        geometry.rotation(column(0.4 * math.pi)),
        geometry.shifting(column(shift[0] * 12 / 8, shift[1] * 20 / 8)[None]),
    ):
        forwards = step[0] @ forwards
    assert torch.allclose(forwards @ backwards, torch.eye(3, dtype=torch.float64), atol=1e-9)


# ---------------------------------------------------------------------------------------------
# Color


def by_hand(b: float, c: float, luma: float, angle: float, s: float) -> Tensor:
    """(4, 4): the matrices of the paper's appendix B, one after the other."""
    v = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64) / math.sqrt(3)
    gray, unit = torch.outer(v, v), torch.eye(4, dtype=torch.float64)
    total = unit.clone()
    total[:3, 3] += b
    total = torch.diag(column(c, c, c, 1)) @ total
    total = (unit - (1 - luma) * gray) @ total
    cross = torch.zeros(4, 4, dtype=torch.float64)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        cross[j, i], cross[i, j] = v[k], -v[k]
    turn = unit + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross  # Rodrigues
    total = turn @ total
    keep = torch.diag(column(0, 0, 0, 1))
    chroma = torch.diag(column(1, 1, 1, 0)) - gray
    return (gray + chroma * s + keep) @ total


@given(
    numbers=st.tuples(
        st.floats(-1, 1),
        st.floats(0.1, 3),
        st.sampled_from([-1.0, 1.0]),
        st.floats(-math.pi, math.pi),
        st.floats(0, 4),
    )
)
def test_color_is_the_product_of_the_papers_matrices(numbers: tuple[float, ...]) -> None:
    names = ("brightness", "contrast", "luma", "hue", "saturation")
    values = dict(zip(names, map(column, numbers), strict=True))
    (matrix,) = color_matrix(**values)
    b, c, luma, angle, s = numbers
    assert torch.allclose(matrix, by_hand(b, c, luma, angle, s)[:3], rtol=0, atol=1e-12)
    picture = noise(1, 3, 2, 3)
    expected = torch.einsum("ij,bjhw->bihw", matrix[:, :3], picture) + matrix[:, 3, None, None]
    assert torch.allclose(recolor(picture, matrix[None]), expected, rtol=0, atol=1e-12)


def neutral(**values: float) -> Tensor:
    names = {"brightness": 0.0, "contrast": 1.0, "luma": 1.0, "hue": 0.0, "saturation": 1.0}
    return color_matrix(**{name: column(value) for name, value in (names | values).items()})


def test_color_transforms_one_by_one() -> None:
    red = column(1.0, -0.5, 0.25).reshape(1, 3, 1, 1)

    def seen(**values: float) -> list[float]:
        return recolor(red, neutral(**values)).flatten().tolist()

    assert seen() == [1.0, -0.5, 0.25]
    assert seen(brightness=0.5) == pytest.approx([1.5, 0.0, 0.75])
    assert seen(contrast=2.0) == pytest.approx([2.0, -1.0, 0.5])
    assert seen(luma=-1.0) == pytest.approx([0.5, -1.0, -0.25])  # minus twice the mean, 0.25
    assert seen(hue=2 * math.pi / 3) == pytest.approx([0.25, 1.0, -0.5])  # red becomes green
    assert seen(saturation=0.0) == pytest.approx([0.25, 0.25, 0.25])


def test_gray_pictures_are_gray_colors_and_alpha_stays() -> None:
    gray = noise(64, 1, 4, 5)
    matrices = draw_color(Draws.take(COLOR_DRAWS, 64, generator=seeded()), 1.0, ADA)
    as_color = recolor(gray.expand(-1, 3, -1, -1), matrices)
    assert torch.allclose(recolor(gray, matrices), as_color[:, :1], rtol=0, atol=1e-12)
    with_alpha = noise(64, 4, 4, 5)
    result = recolor(with_alpha, matrices)
    assert torch.equal(result[:, 3], with_alpha[:, 3])
    assert torch.equal(result[:, :3], recolor(with_alpha[:, :3], matrices))


# ---------------------------------------------------------------------------------------------
# How often, how much


def within_chance(happened: Tensor, probability: float) -> None:
    share = happened.double().mean().item()
    deviation = math.sqrt(probability * (1 - probability) / len(happened))
    assert abs(share - probability) <= 4.5 * deviation


@pytest.mark.parametrize("strength", [0.2, 0.7, 1.0])
def test_each_transform_happens_as_often_as_it_should(strength: float) -> None:
    still = torch.eye(3, dtype=torch.float64)
    # A mirror, a luma flip or quarter turns are by chance without effect.
    effect = {"flip": 0.5, "rotate90": 0.75, "luma_flip": 0.5}
    for name in MULTIPLIERS[:7]:
        maps = geometry.draw_geometry(
            many(geometry.GEOMETRY_DRAWS), strength, only(name), size=(400, 600)
        )
        happened = (maps != still).flatten(1).any(1)
        if name == "translate":  # one in 101 * 151 shifts is none
            within_chance(happened, strength * (1 - 1 / 15_000))
        else:
            within_chance(happened, strength * effect.get(name, 1.0))
    for name in MULTIPLIERS[7:]:
        matrices = draw_color(many(COLOR_DRAWS), strength, only(name))
        happened = (matrices != neutral()).flatten(1).any(1)
        within_chance(happened, strength * effect.get(name, 1.0))


def test_multipliers_scale_the_probability() -> None:
    settings = AugmentSettings(kind="ada", **OFF | {"hue": 0.25})
    matrices = draw_color(many(COLOR_DRAWS), 0.8, settings)
    within_chance((matrices != neutral()).flatten(1).any(1), 0.2)


def test_amounts_are_spread_as_in_the_paper() -> None:
    def maps(name: str) -> Tensor:
        return geometry.draw_geometry(many(geometry.GEOMETRY_DRAWS), 1.0, only(name), size=(40, 80))

    def matrices(name: str) -> Tensor:
        return draw_color(many(COLOR_DRAWS), 1.0, only(name))

    chroma = matrices("saturation")[:, 0, 0] - matrices("saturation")[:, 0, 1]
    spreads = {
        "scale": (maps("scale")[:, 0, 0].log2(), 0.2),
        "aspect": (maps("aspect")[:, 1, 1].log2(), 0.2),
        "fraction y": (maps("fraction")[:, 0, 2], 0.125 * 40),
        "fraction x": (maps("fraction")[:, 1, 2], 0.125 * 80),
        "brightness": (matrices("brightness")[:, 0, 3], 0.2),
        "contrast": (matrices("contrast")[:, 0, 0].log2(), 0.5),
        "saturation": (chroma.log2(), 1.0),
    }
    for name, (values, deviation) in spreads.items():
        assert values.mean().item() == pytest.approx(0, abs=0.04 * deviation), name
        assert values.std().item() == pytest.approx(deviation, rel=0.03), name


def test_draws_are_finite_even_for_the_smallest_and_largest_numbers() -> None:
    draws = Draws({"n": column(0.0, 1 - 2.0**-53)})
    assert draws.normal("n").isfinite().all()
    assert draws.integer("n", 4).tolist() == [0, 3]


# ---------------------------------------------------------------------------------------------
# The strength


def test_the_strength_follows_overfitting() -> None:
    start = torch.tensor(0.5)
    up = adapt_strength(start, torch.tensor(0.9), ADA, images=5_000)
    down = adapt_strength(start, torch.tensor(0.1), ADA, images=5_000)
    level = adapt_strength(start, torch.tensor(ADA.target), ADA, images=5_000)
    assert [round(value.item(), 6) for value in (up, down, level)] == [0.51, 0.49, 0.5]
    assert start.item() == 0.5


@given(strength=st.floats(0, 1), sign=st.floats(-1, 1), images=st.integers(1, 10**7))
def test_the_strength_stays_a_probability(strength: float, sign: float, images: int) -> None:
    moved = adapt_strength(torch.tensor(strength), torch.tensor(sign), ADA, images=images)
    assert 0 <= moved.item() <= 1


def test_the_strength_from_none_to_all_takes_the_speed() -> None:
    settings = AugmentSettings(kind="ada", speed_kimg=2)
    strength = torch.tensor(0.0)
    for _ in range(1_999):
        strength = adapt_strength(strength, torch.tensor(1.0), settings, images=1)
    assert strength.item() == pytest.approx(1 - 1 / 2_000, rel=1e-3)


def test_logits_that_are_no_numbers_do_not_move_the_strength() -> None:
    broken = torch.tensor(math.nan)
    assert adapt_strength(torch.tensor(0.3), broken, ADA, images=10**6) == torch.tensor(0.3)


@pytest.mark.parametrize("kind", [AugmentSettings(kind="ada", adapt=False, p=0.3), DIFFAUGMENT])
def test_a_fixed_strength_stays(kind: AugmentSettings) -> None:
    assert adapt_strength(torch.tensor(0.3), torch.tensor(1.0), kind, images=10**6) == 0.3


# ---------------------------------------------------------------------------------------------
# DiffAugment


def test_diffaugment_shifts_bring_in_zeros() -> None:
    picture = noise(1, 3, 5, 8)
    result = shift_pixels(picture, torch.tensor([[2, -3]]))
    expected = F.pad(picture, (0, 3, 2, 0))[:, :, :5, 3:]
    assert torch.equal(result, expected)


def test_diffaugment_cuts_half_of_each_side_where_it_is_inside() -> None:
    picture = torch.ones(2, 3, 8, 12)
    inside, corner = cut_out(picture, torch.tensor([[4, 6], [0, 11]]))
    expected = torch.ones(3, 8, 12)
    expected[:, 2:6, 3:9] = 0
    assert torch.equal(inside, expected)
    expected = torch.ones(3, 8, 12)
    expected[:, :2, 8:] = 0
    assert torch.equal(corner, expected)


def test_diffaugment_color_by_hand() -> None:
    picture = noise(1, 4, 5, 6)
    changes = {"brightness": column(0.2), "saturation": column(1.6), "contrast": column(0.7)}
    result = jitter_color(picture, **changes)
    color = picture[:, :3] + 0.2
    color = torch.lerp(color.mean(1, keepdim=True).expand_as(color), color, 1.6)
    color = color.mean() + 0.7 * (color - color.mean())
    assert torch.allclose(result[:, :3], color, rtol=0, atol=1e-12)
    assert torch.equal(result[:, 3], picture[:, 3])


def test_diffaugment_reaches_an_eighth_and_ignores_the_strength() -> None:
    marked = torch.zeros(400, 1, 16, 24)
    marked[:, :, 8, 12] = 1
    settings = AugmentSettings(kind="diffaugment", policy="translation")
    results = augment(marked, 0.0, settings, generator=seeded())
    _, _, y, x = results.nonzero(as_tuple=True)
    assert sorted(set((y - 8).tolist())) == list(range(-2, 3))
    assert sorted(set((x - 12).tolist())) == list(range(-3, 4))


def test_diffaugment_does_what_its_policy_names() -> None:
    images = noise(8, 3, 8, 8)
    names = ("brightness", "saturation", "contrast", "translation y", "translation x")
    draws = Draws.take((*names, "cutout y", "cutout x"), 8, generator=seeded())
    cut = diffaugment(images, draws, AugmentSettings(kind="diffaugment", policy="cutout"))
    assert ((cut == images) | (cut == 0)).all()
    color = diffaugment(images, draws, AugmentSettings(kind="diffaugment", policy="color"))
    assert (color != images).all()


# ---------------------------------------------------------------------------------------------
# Settings


def test_settings_travel_as_json() -> None:
    settings = AugmentSettings(kind="ada", hue=0.5, target=0.55)
    values = json.loads(json.dumps(to_dict(settings)))
    assert from_dict(AugmentSettings, values) == settings
    with pytest.raises(ConfigError, match="saturaton"):
        from_dict(AugmentSettings, {"saturaton": 1.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "adda"}, "expected none, ada or diffaugment"),
        ({"p": 1.5}, r"augment\.p 1\.5: expected a probability"),
        ({"p": math.nan}, r"augment\.p nan"),
        ({"kind": "ada", "adapt": False}, "does nothing"),
        ({"target": 1.0}, "between -1 and 1"),
        ({"speed_kimg": 0}, "expected a positive number"),
        ({"interval": 0}, "at least 1"),
        ({"hue": -0.1}, r"augment\.hue -0\.1: expected a multiplier"),
        ({"policy": "colour,cutout"}, "did you mean color"),
        ({"kind": "diffaugment", "policy": " "}, r"augment\.policy is empty"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AugmentSettings(**values)  # type: ignore[arg-type]


def test_channels_that_are_no_picture_are_refused() -> None:
    with pytest.raises(UsageError, match="2 channels cannot be augmented"):
        augment(torch.zeros(1, 2, 4, 4), 0.5, ADA, generator=seeded())


def test_blur_is_a_gaussian_that_keeps_means_inside_and_borders_whole() -> None:
    spot = torch.zeros(1, 1, 21, 31, dtype=torch.float64)
    spot[0, 0, 10, 15] = 1
    seen = blurred(spot, 1.5)
    assert seen.sum() == pytest.approx(1, abs=1e-6)
    rows = torch.arange(21, dtype=torch.float64) - 10
    assert (seen.sum((0, 1, 3)) * rows.square()).sum() == pytest.approx(1.5**2, rel=1e-3)
    torch.testing.assert_close(seen, seen.flip(2, 3))
    flat = torch.full((2, 3, 5, 8), 0.25)
    torch.testing.assert_close(blurred(flat, 3.0), flat)
