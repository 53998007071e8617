"""Styles mixed pixel by pixel: where one is alone, the picture is its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from creps.coordinates import Canvas
from creps.networks._layers import ModulatedLinear, blended_map
from creps.networks.creps import Creps
from tiny_creps import random_styles, tiny_creps


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def some_weights(count: int, *shape: int) -> Tensor:
    return random(count, *shape, seed=9).softmax(0)


@pytest.fixture(scope="module", params=[True, False], ids=["layer", "emitting"])
def layer(request: pytest.FixtureRequest) -> ModulatedLinear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layer = ModulatedLinear(4, 3, 5, demodulate=request.param, clamp=0.8).double()
        torch.nn.init.normal_(layer.bias)
    return layer.requires_grad_(False)


def test_a_layer_sees_each_pixel_with_its_own_mixed_style(layer: ModulatedLinear) -> None:
    x, w, weights = random(1, 4, 7), random(3, 5, seed=1), some_weights(3, 7)
    y = layer.blended(x, w, weights)
    for p in range(7):
        own = (weights[:, p, None] * w).sum(0, keepdim=True)
        torch.testing.assert_close(y[:, :, p : p + 1], layer(x[:, :, p : p + 1], own))


def test_maps_are_mixed_by_weight() -> None:
    maps = torch.tensor([[[1.0, 2.0]], [[3.0, 6.0]]])
    weights = torch.tensor([[1.0, 0.25], [0.0, 0.75]])
    assert blended_map(maps, weights).tolist() == [[[1.0, 5.0]]]


@pytest.fixture(scope="module", params=["layerwise", "sum", "once"])
def network(request: pytest.FixtureRequest) -> Creps:
    return tiny_creps(composition=request.param, clamp=2.0)


def both_lines(network: Creps, styles: Tensor, canvas: Canvas) -> tuple[Tensor, Tensor]:
    rows = network.lines(styles, canvas.rows(), "rows")
    return rows, network.lines(styles, canvas.columns(), "columns")


def test_one_hot_pixels_are_those_of_their_style(network: Creps) -> None:
    styles, canvas = random_styles(network, 3), Canvas(4, 6)
    owner = torch.arange(24).remainder(3).view(4, 6)
    weights = torch.nn.functional.one_hot(owner, 3).permute(2, 0, 1).double()
    mixed = network.compose_blended(*both_lines(network, styles, canvas), styles, weights=weights)
    own = network.synthesize(styles, canvas.grid())  # (3, C, 4, 6)
    expected = own.gather(0, owner.expand(1, own.shape[1], 4, 6))
    torch.testing.assert_close(mixed, expected, rtol=1e-10, atol=1e-10)


def test_one_style_alone_is_plain_composition(network: Creps) -> None:
    styles, canvas = random_styles(network, 1), Canvas(3, 5)
    lines = both_lines(network, styles, canvas)
    mixed = network.compose_blended(*lines, styles, weights=torch.ones(1, 3, 5))
    torch.testing.assert_close(mixed, network.compose(*lines, styles))


def test_equal_styles_mix_to_themselves(network: Creps) -> None:
    styles, canvas = random_styles(network, 1).repeat(2, 1, 1), Canvas(3, 5)
    lines = both_lines(network, styles, canvas)
    mixed = network.compose_blended(*lines, styles, weights=some_weights(2, 3, 5))
    torch.testing.assert_close(mixed, network.compose(*lines, styles)[:1])
