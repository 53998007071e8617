"""The projected discriminator: what is fixed stays, norms are held, passes change nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from creps.networks.discriminator import (
    ProjectedDiscriminator,
    RandomMixing,
    SpectralConv2d,
)

CHANNELS, SIZE = (4, 6, 8, 10), (48, 80)


def network(seed: int = 3) -> ProjectedDiscriminator:
    torch.manual_seed(0)
    return ProjectedDiscriminator(SIZE, width=5, seed=seed, channels=CHANNELS).double()


def maps(count: int = 2) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    return [
        torch.randn(
            (count, width, -(-SIZE[0] // 2**level), -(-SIZE[1] // 2**level)),
            dtype=torch.float64,
            generator=random,
        )
        for level, width in enumerate(CHANNELS, 2)
    ]


def test_each_map_is_scored_at_no_more_than_four_places_a_side() -> None:
    scores = network()(maps())
    assert [tuple(each.shape) for each in scores] == [
        *((2, 1, 2, 3), (2, 1, 2, 3), (2, 1, 2, 3), (2, 1, 2, 3)),
    ]


def test_a_score_depends_on_its_own_picture_alone() -> None:
    ours, whole = network(), maps(3)
    alone = ours([each[1:2] for each in whole])
    for one, other in zip(ours(whole), alone, strict=True):
        torch.testing.assert_close(one[1:2], other)


def test_mixing_is_fixed_by_its_seed_and_does_not_learn() -> None:
    one, same, other = RandomMixing(CHANNELS, seed=3), RandomMixing(CHANNELS, seed=3), network(4)
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), same.buffers(), strict=True))
    assert not torch.equal(one.get_buffer("up_0"), other.mixing.get_buffer("up_0").float())
    assert not list(one.parameters())


def test_fine_maps_know_coarse_ones_and_not_the_other_way_round() -> None:
    mixing, given = RandomMixing(CHANNELS, seed=3).double(), maps()
    before = mixing(given)
    given[2] = given[2] + 1
    changed = [not torch.equal(a, b) for a, b in zip(before, mixing(given), strict=True)]
    assert changed == [True, True, True, False]


def test_mixing_keeps_the_size_of_features() -> None:
    wide = RandomMixing((64, 64, 64), seed=0)
    random = torch.Generator().manual_seed(0)
    given = [torch.randn(2, 64, side, side, generator=random) for side in (16, 8, 4)]
    coarsest = wide(given)[-1].std()
    assert 0.8 < float(coarsest) < 1.2


def test_heads_that_are_told_the_place_begin_without_it_and_then_use_it() -> None:
    torch.manual_seed(0)
    told = ProjectedDiscriminator(SIZE, width=5, seed=3, channels=CHANNELS, placed=True).double()
    given = maps()
    here, there = torch.tensor([[1.0, 0.5, 0.5], [8.0, 0.1, 0.9]]).double()
    at_first = [told(given, place.expand(2, 3)) for place in (here, there)]
    for untold, one, other in zip(told(given), *at_first, strict=True):
        torch.testing.assert_close(one, untold)
        torch.testing.assert_close(other, untold)
    assert told.shifts is not None
    with torch.no_grad():
        for name, parameter in told.shifts.named_parameters():
            if name.endswith("weight"):
                parameter.normal_()
    for one, other in zip(
        *(told(given, place.expand(2, 3)) for place in (here, there)), strict=True
    ):
        assert (one - other).abs().max() > 1e-3


def test_weights_act_with_norm_one() -> None:
    torch.manual_seed(0)
    layer = SpectralConv2d(6, 9).double()
    for _ in range(100):
        layer.tighten()
    with torch.no_grad():
        norm = (layer.direction @ layer.weight.flatten(1)).norm()
    largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
    torch.testing.assert_close(norm, largest, rtol=1e-4, atol=0)
    doubled = layer(torch.ones(1, 6, 4, 5, dtype=torch.float64))
    with torch.no_grad():
        layer.weight.mul_(2)
    torch.testing.assert_close(layer(torch.ones(1, 6, 4, 5, dtype=torch.float64)), doubled)


def test_passes_change_nothing_and_updates_follow_the_norms() -> None:
    ours = network().train()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    ours(maps())
    assert all(torch.equal(before[name], tensor) for name, tensor in ours.state_dict().items())
    with torch.no_grad():
        for parameter in ours.heads.parameters():
            parameter.add_(0.5)
    ours.tighten()
    moved = {n for n, tensor in ours.state_dict().items() if not torch.equal(before[n], tensor)}
    assert {name for name in moved if name.endswith("direction")}
    assert not {name for name in moved if name.startswith("mixing")}
