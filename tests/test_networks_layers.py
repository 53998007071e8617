"""The shared layers compute what their papers say, one number at a time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from creps.errors import LabelError
from creps.networks._layers import (
    EqualizedLinear,
    MappingNetwork,
    ModulatedLinear,
    one_hot_labels,
    second_moment_normalized,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def test_normalized_rows_have_unit_power() -> None:
    x = torch.tensor([[3.0, -4.0], [0.0, 0.002]])
    expected = (
        torch.tensor([[3.0, -4.0], [0.0, 0.002]]) / torch.tensor([[12.5], [2e-6 + 1e-8]]).sqrt()
    )
    assert torch.allclose(second_moment_normalized(x), expected)


def test_an_equalized_layer_by_hand() -> None:
    layer = EqualizedLinear(4, 1, activation=True, lr_multiplier=0.5, bias_init=2.0)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, 0, 0, -8]]))
    x = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 4.0]])
    # weight * 0.5 / sqrt(4); the bias in effect is bias_init: 0.5 + 2 and -8 + 2.
    expected = torch.tensor([[2.5], [-6 * 0.2]]) * math.sqrt(2)
    assert torch.allclose(layer(x), expected)


def test_a_slow_layer_starts_like_a_plain_one() -> None:
    x = torch.randn(500, 64)
    for lr_multiplier in (1.0, 0.01):
        y = EqualizedLinear(64, 64, activation=True, lr_multiplier=lr_multiplier)(x).detach()
        assert 0.8 < float(y.square().mean()) < 1.2


@pytest.mark.parametrize("activation", [False, True])
def test_per_position_is_the_same_layer_along_another_axis(activation: bool) -> None:
    layer = EqualizedLinear(5, 3, activation=activation, bias_init=0.3).double()
    x = torch.randn(2, 5, 7, dtype=torch.float64)
    assert torch.allclose(layer.per_position(x), layer(x.mT).mT, rtol=1e-12)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_layer_is_its_formula_for_each_sample(demodulate: bool) -> None:
    layer = ModulatedLinear(5, 3, 4, demodulate=demodulate).double()
    torch.nn.init.normal_(layer.bias)
    x, w = torch.randn(2, 5, 7, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    y = layer(x, w)
    for sample in range(2):
        style = w[sample] @ layer.affine.weight.T / math.sqrt(4) + 1
        weight = layer.weight * style
        if demodulate:
            weight = weight / (weight.square().sum(1, keepdim=True) + 1e-8).sqrt()
            expected = leaky(weight @ x[sample] + layer.bias[:, None]) * math.sqrt(2)
        else:
            expected = weight @ x[sample] / math.sqrt(5) + layer.bias[:, None]
        assert torch.allclose(y[sample], expected, rtol=1e-12)


@pytest.mark.parametrize("demodulate", [True, False])
def test_the_clamp_cuts_both_ways_and_zero_leaves_it_out(demodulate: bool) -> None:
    layer = ModulatedLinear(2, 8, 3, demodulate=demodulate, clamp=0.5)
    free = ModulatedLinear(2, 8, 3, demodulate=demodulate, clamp=0)
    free.load_state_dict(layer.state_dict())
    x, w = torch.randn(4, 2, 9) * 20, torch.randn(4, 3)
    y = free(x, w)
    assert float(y.detach().min()) < -0.5 < 0.5 < float(y.detach().max())
    assert torch.equal(layer(x, w), y.clamp(-0.5, 0.5))


def test_demodulation_forgets_the_size_of_a_style() -> None:
    layer = ModulatedLinear(6, 3, 4).double()
    torch.nn.init.zeros_(layer.affine.bias)
    x, w = torch.randn(1, 6, 5, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)
    assert torch.allclose(layer(x, w), layer(x, 1000 * w), rtol=1e-6)


def test_mapping_sees_the_direction_of_a_latent_alone() -> None:
    mapping = MappingNetwork(z_dim=6, label_dim=0, w_dim=5, layers=2).double()
    z = torch.randn(3, 6, dtype=torch.float64)
    assert mapping(z, None).shape == (3, 5)
    assert torch.allclose(mapping(z, None), mapping(7 * z, None), rtol=1e-6)


def test_mapping_takes_latents_of_any_precision() -> None:
    mapping = MappingNetwork(z_dim=6, label_dim=0, w_dim=5, layers=2)
    z = torch.randn(3, 6, dtype=torch.float64)
    assert torch.equal(mapping(z, None), mapping(z.float(), None))


def test_mapping_appends_the_normalized_embedding() -> None:
    mapping = MappingNetwork(z_dim=6, label_dim=3, w_dim=5, layers=1).double()
    assert mapping.embed is not None
    z, label = torch.randn(2, 6).double(), torch.eye(3)[[2, 0]].double()
    parts = second_moment_normalized(z), second_moment_normalized(mapping.embed(label))
    assert torch.allclose(mapping(z, label), mapping.layers[0](torch.cat(parts, dim=1)))


def test_the_average_moves_by_its_decay() -> None:
    mapping = MappingNetwork(z_dim=2, label_dim=0, w_dim=2, layers=1)
    mapping.track_average(torch.tensor([[1.0, 0.0], [3.0, 4.0]]), decay=0.75)
    assert torch.allclose(mapping.average, torch.tensor([0.5, 0.5]))


def test_labels_become_one_hot_rows_of_the_weights_precision() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    rows = one_hot_labels(torch.tensor([2, 0], dtype=torch.int32), batch=2, classes=3, like=like)
    assert rows is not None
    assert rows.dtype == torch.float64
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    mixed = torch.tensor([[0.5, 0.5, 0.0]])
    assert torch.equal(one_hot_labels(mixed, batch=1, classes=3, like=like), mixed.double())
    assert one_hot_labels(None, batch=2, classes=0, like=like) is None


@pytest.mark.parametrize(
    ("label", "classes", "message"),
    [
        (torch.tensor([0, 1]), 0, "this model is unconditional: leave them out"),
        (None, 3, "this model has 3 classes: give a label for each of the 2"),
        (torch.tensor([0, 3]), 3, "class 3 is unknown: expected 0 to 2"),
        (torch.tensor([-1, 0]), 3, "class -1 is unknown: expected 0 to 2"),
        (torch.tensor([0]), 3, r"labels of shape \(1,\): expected \(2,\) class indices"),
        (torch.tensor([0.0, 1.0]), 3, r"or \(2, 3\) one-hot rows"),
        (torch.zeros(2, 4), 3, r"labels of shape \(2, 4\)"),
    ],
)
def test_wrong_labels_are_refused(label: Tensor | None, classes: int, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        one_hot_labels(label, batch=2, classes=classes, like=torch.zeros(1))
