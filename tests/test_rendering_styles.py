"""Styles from words: every text says one thing, and ends of ways are the seeds' own pictures."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from creps.errors import UsageError
from creps.networks.creps import Creps
from creps.rendering._latents import Latent
from creps.rendering._styles import (
    Recipe,
    SeedPath,
    Walk,
    latents,
    mix_styles,
    parse_layers,
    parse_styles,
    slerp,
    styles_of,
)
from tiny_creps import random_styles, tiny_creps


@pytest.fixture(scope="module")
def network() -> Creps:
    return tiny_creps()


def of_seed(network: Creps, seed: int, truncation: float = 1.0) -> Tensor:
    return network.map(latents([seed], network), truncation=truncation)


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


# Between two latents


@given(st.integers(0, 10**6), st.floats(-1, 2))
def test_a_great_circle_turns_evenly_and_its_length_changes_evenly(seed: int, t: float) -> None:
    a, b = torch.randn(
        2, 1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    ).unbind()
    length = (1 - t) * a.norm() + t * b.norm()
    if length < 0.1:  # beyond the ends it may shrink to nothing
        return
    angle = math.acos(float((a * b).sum() / a.norm() / b.norm()))
    point = slerp(a, b, t)
    assert float(point.norm()) == pytest.approx(float(length), rel=1e-9)
    cosine = float((a * point).sum() / a.norm() / point.norm())
    assert cosine == pytest.approx(math.cos(t * angle), abs=1e-9)
    assert torch.linalg.matrix_rank(torch.cat([a, b, point]), rtol=1e-7) == 2


def test_great_circles_end_in_the_latents() -> None:
    a, b = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0)).unbind()
    torch.testing.assert_close(slerp(a, b, 0.0), a, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(slerp(a, b, 1.0), b, rtol=1e-6, atol=1e-6)
    assert slerp(a, b, 0.5).dtype == torch.float32


def test_a_row_does_not_depend_on_the_others() -> None:
    a, b = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1)).unbind()
    torch.testing.assert_close(slerp(a, b, 0.3)[1:2], slerp(a[1:2], b[1:2], 0.3))


def test_between_parallel_latents_only_the_length_changes() -> None:
    torch.testing.assert_close(slerp(row(1, 2, 2), row(2, 4, 4), 0.5), row(1.5, 3, 3))
    torch.testing.assert_close(slerp(row(1, 2, 2), row(1, 2, 2), 0.7), row(1, 2, 2))


@pytest.mark.parametrize("wobble", [0.0, 1e-12, 1e-5])
def test_opposite_latents_are_joined_by_a_half_circle(wobble: float) -> None:
    a = row(3, 0, 4)
    b = -a + row(0, wobble, 0)
    points = [slerp(a, b, t) for t in (0, 0.25, 0.5, 0.75, 1)]
    for point, cosine in zip(points, (1, math.sqrt(0.5), 0, -math.sqrt(0.5), -1), strict=True):
        assert float(point.norm()) == pytest.approx(5, rel=1e-6)
        assert float((point * a).sum() / 25) == pytest.approx(cosine, abs=1e-5)
    torch.testing.assert_close(points[-1], b, rtol=0, atol=1e-6)


def test_a_latent_of_zeros_is_left_on_a_straight_line() -> None:
    torch.testing.assert_close(slerp(row(0, 0), row(2, 4), 0.5), row(1, 2))


def test_latents_of_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(1, 2\) and \(1, 3\): expected one \(B, Z\)"):
        slerp(row(1, 2), row(1, 2, 3), 0.5)


# Layers


def test_layers_are_numbers_and_ranges() -> None:
    assert parse_layers("0-3,7,2") == [0, 1, 2, 3, 7]
    for wrong in ("", "3-1", "1,", "-1", "a", "1 - 2", "10000"):
        with pytest.raises(UsageError, match="expected numbers and ranges such as 0-3,7"):
            parse_layers(wrong)


def test_mixing_replaces_just_these_layers(network: Creps) -> None:
    base, other = random_styles(network, 2).split(1)
    before = base.clone()
    mixed = mix_styles(base, other, "1-2,6")
    taken = [k for k in range(network.num_styles) if torch.equal(mixed[:, k], other[:, k])]
    kept = [k for k in range(network.num_styles) if torch.equal(mixed[:, k], base[:, k])]
    assert (taken, kept) == ([1, 2, 6], [0, 3, 4, 5])
    assert torch.equal(base, before)


def test_layers_beyond_the_model_are_refused(network: Creps) -> None:
    base, other = random_styles(network, 2).split(1)
    with pytest.raises(UsageError, match="layers '4-7': this model has the layers 0 to 6"):
        mix_styles(base, other, "4-7")
    with pytest.raises(UsageError, match=r"expected one \(B, K, D\)"):
        mix_styles(base, other[:, 1:], "4")


# The text form

seeds = st.integers(0, 2**32 - 1)


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    stops = draw(st.lists(seeds, min_size=1, max_size=4))
    position = draw(st.floats(0, len(stops) - 1))
    return Walk(tuple(stops), position, draw(st.sampled_from(["w", "z"])))


layers = st.lists(st.integers(0, 9), min_size=1, max_size=3).map(
    lambda numbers: ",".join(map(str, numbers))
)
recipes = st.builds(Recipe, walks(), st.lists(st.tuples(walks(), layers), max_size=3).map(tuple))


@given(recipes)
def test_a_recipe_survives_its_text(recipe: Recipe) -> None:
    assert parse_styles(str(recipe)) == recipe


@pytest.mark.parametrize(
    "text", ["7", "7..12@0.4", "7~12@1e-05", "7..12..7@1.4", "7+12:4-8,10", "7~8@0.5+3..4@1:0+9:1"]
)
def test_a_plain_text_survives_its_recipe(text: str) -> None:
    assert str(parse_styles(text)) == text


def test_texts_need_no_quotes() -> None:
    used = set(str(parse_styles("7~8@0.5+3..4@1e-05:0,4-8")))
    assert not used & set(" '\"\\|&;<>()$`*?[]#!{}=%/")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "invalid walk '', expected SEED"),
        ("seven", "invalid walk 'seven'"),
        ("-7", "invalid walk '-7'"),
        ("7..", "invalid walk '7..'"),
        ("7..8~9@1", "invalid walk"),
        ("7..12", "expected a position as in 7..12@0.5"),
        ("7@0.5", "expected no position, it has one seed"),
        ("7..12@1.5", "expected 0 to 1"),
        ("7..12@-1", "invalid walk"),
        ("7+12", "'12' names no layers, expected 12:4-8"),
        ("7+12:", "expected numbers and ranges"),
        ("7 8", "invalid walk"),
        ("4294967296", "expected an integer from 0 to 4294967295"),
    ],
)
def test_other_texts_are_refused_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_styles(text)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_seed_alone_is_the_known_picture(network: Creps) -> None:
    for text in ("7", "7..12@0", "12..7..3@1", "12~7@1", "7+12:0-1+7:0-1"):
        styles = styles_of(text, network, truncation=0.6)
        assert torch.equal(styles, of_seed(network, 7, truncation=0.6)), text


def test_walks_go_along_lines_in_w_or_circles_in_z(network: Creps) -> None:
    a, b = of_seed(network, 7), of_seed(network, 12)
    torch.testing.assert_close(styles_of("7..12@0.4", network), 0.6 * a + 0.4 * b)
    torch.testing.assert_close(styles_of("3..7..12@1.4", network), 0.6 * a + 0.4 * b)
    z = slerp(latents([7], network), latents([12], network), 0.4)
    torch.testing.assert_close(styles_of("7~12@0.4", network), network.map(z))


def test_the_last_mix_has_the_last_word(network: Creps) -> None:
    expected = of_seed(network, 7).clone()
    expected[:, 2:5] = of_seed(network, 12)[:, 2:5]
    expected[:, 4] = of_seed(network, 3)[:, 4]
    assert torch.equal(styles_of("7+12:2-4+3:4", network), expected)


def test_truncation_goes_to_the_average(network: Creps) -> None:
    average = network.mapping.average.expand(1, network.num_styles, -1)
    torch.testing.assert_close(styles_of("7~12@0.4+3:1-2", network, truncation=0.0), average)
    cut = styles_of("7", network, truncation=0.0, truncation_cutoff=2)
    torch.testing.assert_close(cut[:, :2], average[:, :2])
    assert torch.equal(cut[:, 2:], of_seed(network, 7)[:, 2:])


# Ways through several seeds


def test_a_closed_way_leads_back_without_a_jump(network: Creps) -> None:
    way = SeedPath((7, 12, 3), closed=True)
    assert [str(step) for step in way.steps(6)] == [
        "7", "7..12@0.5", "12", "12..3@0.5", "3", "3..7@0.5",
    ]  # fmt: skip
    assert way.at(1.0) == way.at(0.0) == way.at(-3.0)
    near, end = (styles_of(way.at(share), network) for share in (1 - 1e-6, 1.0))
    torch.testing.assert_close(near, end, rtol=0, atol=1e-4)


def test_an_open_way_has_both_ends() -> None:
    assert [str(step) for step in SeedPath((7, 12), space="z").steps(3)] == ["7", "7~12@0.5", "12"]
    assert [str(step) for step in SeedPath((7, 12)).steps(1)] == ["7"]
    assert [str(step) for step in SeedPath((7,)).steps(2)] == ["7", "7"]
    assert [str(step) for step in SeedPath((7,), closed=True).steps(2)] == ["7", "7"]


def test_ways_to_nowhere_are_refused() -> None:
    with pytest.raises(UsageError, match="expected at least one"):
        SeedPath(())
    with pytest.raises(UsageError, match="expected an integer from 0"):
        SeedPath((7, -1))
    with pytest.raises(UsageError, match="expected 0 to 1"):
        SeedPath((7, 12)).at(1.01)
    with pytest.raises(UsageError, match="expected 0 to 1"):
        SeedPath((7, 12), closed=True).at(math.nan)
    with pytest.raises(UsageError, match="0 steps"):
        SeedPath((7, 12)).steps(0)
    with pytest.raises(UsageError, match="expected 0 to 1"):
        Walk((7, 12), math.nan)


# Latents


def test_a_latent_is_the_same_in_other_words() -> None:
    network = tiny_creps()
    styles = Latent(seed=7, truncation=0.5).resolve(network)
    for latent in (
        Latent(z=latents([7], network), truncation=0.5),
        Latent(styles="7", truncation=0.5),
        Latent(styles=parse_styles("7"), truncation=0.5),
        Latent(styles=styles),
    ):
        assert torch.equal(latent.resolve(network), styles)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing given"),
        ({"seed": 1, "styles": "7"}, "seed and styles given"),
        ({"seed": -1}, "expected an integer from 0"),
        ({"styles": "7/12"}, "say how they share the picture"),
        ({"styles": "7", "blend": "gradient"}, "blend gradient of one style"),
        ({"styles": "seven"}, "invalid walk"),
        ({"seed": 1, "truncation": math.nan}, "truncation nan"),
        ({"seed": 1, "truncation_cutoff": -1}, "expected 0 or more styles"),
        ({"styles": torch.zeros(1, 2, 3), "truncation": 0.5}, "already labeled and truncated"),
    ],
)
def test_impossible_latents_are_refused_before_there_is_a_model(options, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Latent(**options)
