"""StyleGAN3 draws the official pictures, on any evenly spaced grid, and its tiles meet."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from creps.checkpoints import from_state_dict
from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import ConfigError, GridError, UsageError
from creps.networks._alias_free import (
    Resampling,
    filtered_leaky_relu,
    low_pass_filter,
    placement_of,
)
from creps.networks.base import build_generator, describe_generator
from creps.networks.stylegan3 import STYLEGAN3_PRESETS, StyleGAN3, StyleGAN3Config
from golden_names import golden, relative_error

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-11}
"""max|error| / max|reference|."""
OFFICIAL = {"channel_base": 1024, "channel_max": 32}
SMALL: dict[str, Any] = {
    "resolution": 32,
    "z_dim": 6,
    "w_dim": 10,
    "num_layers": 4,
    "channel_base": 64,
    "channel_max": 6,
    "margin_size": 6,
}
RADIAL = {"kernel": 1, "radial_filters": True}
KINDS: list[dict[str, Any]] = [{}, RADIAL]


def small(**settings: Any) -> StyleGAN3:
    """A small float64 network with biases, magnitudes and input moves that matter."""
    torch.manual_seed(0)
    network = StyleGAN3(StyleGAN3Config(**SMALL | settings)).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias") or name == "input.affine.weight":
                parameter += 0.1 * torch.randn_like(parameter)
        network.mapping.average.normal_()
        for layer in network._layers():
            layer.magnitude.uniform_(0.5, 1.5)
    return network


def random(*shape: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=draw)


def mixed_styles(network: StyleGAN3, batch: int = 2) -> Tensor:
    return random(batch, network.num_styles, network.config.w_dim)


def grid(height: int = 10, width: int = 21) -> AxisGrid:
    return Canvas(height, width, window=(0.1, -0.2, 0.6, 0.9)).grid()


def turned_points(inverse: Tensor, size: int) -> PointGrid:
    """The pixels of a centered picture through a matrix of (x, y, 1), as official tools do."""
    places = (torch.arange(size, dtype=torch.float64) + 0.5) / size - 0.5
    ys, xs = torch.meshgrid(places, places, indexing="ij")
    moved = torch.stack([xs, ys, torch.ones_like(xs)], dim=2) @ inverse.double().T
    return PointGrid(moved[..., [1, 0]] + 0.5)


# Parity with the official code


@pytest.fixture(scope="module")
def official() -> StyleGAN3:
    network = from_state_dict(golden("sg3_t.weights"), OFFICIAL)
    assert isinstance(network, StyleGAN3)
    return network


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return golden("sg3_t.io")


def test_golden_pictures(official: StyleGAN3, expected: dict[str, Tensor]) -> None:
    tolerance = TOLERANCE[torch.float32]
    native = Canvas(32, 32).grid()
    styles = official.map(expected["z"])
    assert relative_error(styles, expected["ws"]) <= tolerance
    assert relative_error(official.synthesize(styles, native), expected["img"]) <= tolerance
    truncated = official.map(expected["z"], truncation=0.7)
    picture = official.synthesize(truncated, native)
    assert relative_error(picture, expected["img_psi0.7"]) <= tolerance


def test_a_turned_grid_is_the_official_user_transform(
    official: StyleGAN3, expected: dict[str, Tensor]
) -> None:
    points = turned_points(expected["user_transform_inverse"], 32)
    picture = official.synthesize(expected["ws"], points)
    assert relative_error(picture, expected["img_transformed"]) <= TOLERANCE[torch.float32]


def test_golden_activations(official: StyleGAN3, expected: dict[str, Tensor]) -> None:
    names = [name for name in expected if name.startswith("act.L")]
    place = placement_of(Canvas(32, 32).grid(), resolution=32)
    x = official.input(expected["ws"][:, 0], place)
    assert relative_error(x, expected["act.input"]) <= TOLERANCE[torch.float32]
    assert len(names) == len(official.layers)
    for index, layer in enumerate(official._layers()):
        (name,) = (name for name in names if name.startswith(f"act.L{index}_"))
        x = layer(x, layer.affine(expected["ws"][:, index + 1]), (32, 32))
        assert relative_error(x, expected[name]) <= TOLERANCE[torch.float32]


def test_filters_are_the_official_ones() -> None:
    weights = golden("sg3_t.weights")
    fresh = StyleGAN3(from_state_dict(weights, OFFICIAL).config)
    for index, layer in enumerate(fresh._layers()):
        for name in ("up_filter", "down_filter"):
            stored = [t for n, t in weights.items() if f".L{index}_" in n and n.endswith(name)]
            for theirs in stored:
                assert relative_error(getattr(layer, name), theirs) <= 1e-6


@pytest.mark.parametrize(
    ("preset", "base", "parameters"),
    [
        ("stylegan3-t-256", 16384, 23_320_443),
        ("stylegan3-t-256", 32768, 28_472_133),
        ("stylegan3-r-256", 32768, 15_779_565),
        ("stylegan3-r-256", 65536, 18_816_387),
    ],
)
def test_published_networks_have_their_parameters(preset: str, base: int, parameters: int) -> None:
    with torch.device("meta"):
        network = StyleGAN3(replace(STYLEGAN3_PRESETS[preset], channel_base=base))
    assert sum(p.numel() for p in network.parameters()) == parameters


# Filters


def response(kernel: Tensor, frequency: float, rate: float) -> float:
    places = torch.arange(len(kernel)) - (len(kernel) - 1) / 2
    return float((kernel * (2 * math.pi * frequency / rate * places).cos()).sum())


def test_a_filter_passes_what_is_below_its_cutoff() -> None:
    kernel = low_pass_filter(48, cutoff=8.0, width=6.0, rate=64.0)
    assert response(kernel, 0.0, 64) == pytest.approx(1, abs=1e-6)
    assert response(kernel, 5.0, 64) == pytest.approx(1, abs=0.01)
    assert response(kernel, 8.0, 64) == pytest.approx(0.5, abs=0.01)
    assert response(kernel, 11.0, 64) == pytest.approx(0, abs=0.01)


def test_a_radial_filter_treats_directions_alike() -> None:
    kernel = low_pass_filter(24, cutoff=6.0, width=6.0, rate=64.0, radial=True)
    assert kernel.shape == (24, 24)
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-6)
    places = torch.arange(24) - 11.5
    for frequency in (3.0, 6.0, 9.0):
        across = response(kernel.sum(0), frequency, 64)
        diagonal_places = (places[:, None] + places) / math.sqrt(2)
        phase = 2 * math.pi * frequency / 64 * diagonal_places
        assert float((kernel * phase.cos()).sum()) == pytest.approx(across, abs=0.02)
    odd = low_pass_filter(5, cutoff=6.0, width=6.0, rate=64.0, radial=True)
    assert bool(odd.isfinite().all())


@pytest.mark.parametrize(("up", "down"), [(2, 2), (4, 2), (2, 4)])
def test_resampling_keeps_the_center_and_the_mean(up: int, down: int) -> None:
    """A ramp that stays positive is not bent: it keeps its value in the middle."""
    rate = 64.0
    filters = tuple(
        low_pass_filter(6 * n, cutoff=rate / n / 4, width=rate / n / 2, rate=rate)
        for n in (up, down)
    )
    ramp = torch.linspace(1, 3, 80).double().expand(1, 1, 64, 80)
    size = 64 * up // down - 16, 80 * up // down - 16
    bent = filtered_leaky_relu(
        ramp, (filters[0], filters[1]), resampling=Resampling(up=up, down=down), size=size
    )
    assert bent.shape[2:] == size
    inside = bent[0, 0, 4:-4, 4:-4]
    slope = 2 / 79 * down / up
    columns = torch.arange(inside.shape[1]) - (inside.shape[1] - 1) / 2
    columns = columns.double()
    assert torch.allclose(inside, (2 + slope * columns).expand_as(inside), atol=2e-3)


# What any StyleGAN3 keeps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(10, 21), (32, 32), (1, 7), (7, 1), (1, 1)])
def test_any_size_is_drawn(kind: dict[str, Any], size: tuple[int, int]) -> None:
    network = small(**kind)
    picture = network.synthesize(mixed_styles(network), grid(*size))
    assert picture.shape == (2, 3, *size)
    assert bool(picture.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_meet(kind: dict[str, Any]) -> None:
    """With their margin, wherever they begin."""
    network = small(**kind)
    styles, margin = mixed_styles(network, 1), network.margin
    canvas = Canvas(40, 33, window=(0.0, 0.0, 1.25, 1.03125))
    whole = AxisGrid(
        canvas.rows(-margin, 40 + 2 * margin), canvas.columns(-margin, 33 + 2 * margin)
    )
    expected = network.synthesize(styles, whole)[:, :, margin:-margin, margin:-margin].detach()
    for top, left, height, width in ((0, 0, 9, 9), (5, 11, 12, 7), (39, 32, 1, 1)):
        tile = AxisGrid(
            canvas.rows(top - margin, height + 2 * margin),
            canvas.columns(left - margin, width + 2 * margin),
        )
        picture = network.synthesize(styles, tile)[:, :, margin:-margin, margin:-margin]
        cut = expected[:, :, top : top + height, left : left + width]
        error = (picture.detach() - cut).abs().max() / expected.abs().max()
        assert float(error) <= 1e-4


@pytest.mark.parametrize("size", [(32, 32), (10, 21)])
def test_a_mesh_of_points_is_an_axis_grid(size: tuple[int, int]) -> None:
    network, where = small(), grid(*size)
    points = torch.stack(torch.meshgrid(where.ys, where.xs, indexing="ij"), dim=2)
    styles = mixed_styles(network)
    picture = network.synthesize(styles, PointGrid(points))
    assert relative_error(picture, network.synthesize(styles, where)) <= 1e-9


def test_a_quarter_turn_of_the_grid_turns_the_features() -> None:
    network, place = small(), Canvas(32, 32).grid()
    points = torch.stack(torch.meshgrid(place.ys, place.xs, indexing="ij"), dim=2)
    w = mixed_styles(network)[:, 0]
    plain = network.input(w, placement_of(PointGrid(points), resolution=32))
    turned = network.input(w, placement_of(PointGrid(points.transpose(0, 1)), resolution=32))
    assert relative_error(turned, plain.transpose(2, 3)) <= 1e-9


def test_the_first_style_moves_and_turns_the_plane() -> None:
    """A shift along x by the style is a shift of the grid."""
    network = small()
    affine = network.input.affine
    with torch.no_grad():
        affine.weight.zero_()
        affine.bias.copy_(torch.tensor([1.0, 0.0, 0.25, -0.125]))
    w, native = torch.zeros(1, 10).double(), Canvas(32, 32)
    shifted = network.input(w, placement_of(native.grid(), resolution=32))
    with torch.no_grad():
        affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    moved = AxisGrid(native.rows() + 0.125, native.columns() - 0.25)
    expected = network.input(w, placement_of(moved, resolution=32))
    assert relative_error(shifted, expected) <= 1e-9


def test_half_precision_moves_the_plane_as_far() -> None:
    network = small().float()
    w = random(3, network.config.w_dim).float()
    place = placement_of(Canvas(32, 48).grid(), resolution=32)
    exact = network.input._waves(w, place)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network.input._waves(w, place), exact)
        coarse = network.input._waves(w.bfloat16().float(), place)
        assert torch.equal(network.input._waves(w.bfloat16(), place), coarse)


@pytest.mark.parametrize("kind", KINDS)
def test_one_picture_is_as_many(kind: dict[str, Any]) -> None:
    network = small(**kind, label_dim=2)
    z, labels = random(3, 6), torch.tensor([0, 1, 1])
    together = network(z, labels, grid())
    alone = torch.cat([network(z[k : k + 1], labels[k : k + 1], grid()) for k in range(3)])
    assert relative_error(together, alone) <= TOLERANCE[torch.float64]


def test_each_style_matters() -> None:
    network = small()
    styles = mixed_styles(network)
    before = network.synthesize(styles, grid())
    for k in range(network.num_styles):
        changed = styles.clone()
        changed[1, k] += 1
        after = network.synthesize(changed, grid())
        assert torch.allclose(after[0], before[0], rtol=0, atol=1e-12)
        assert not torch.allclose(after[1], before[1], rtol=0, atol=1e-6)


def test_every_parameter_gets_a_gradient() -> None:
    network = small(label_dim=2)
    network(random(2, 6), torch.tensor([0, 1]), grid()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_gradients_have_gradients() -> None:
    network = small()
    layer = network.layers[1]
    x, styles = random(1, 6, 9, 11), random(1, 6, seed=1) + 2

    def bent(x: Tensor, style: Tensor) -> Tensor:
        drawn: Tensor = layer(x, style, (1, 2))
        return drawn

    inputs = (x.requires_grad_(), styles.requires_grad_())
    assert torch.autograd.gradcheck(bent, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(bent, inputs, fast_mode=True)


@pytest.mark.parametrize("training", [True, False])
def test_a_forward_pass_changes_nothing(training: bool) -> None:
    network = small().train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(random(2, 6), None, grid())
    network.synthesize_measured(mixed_styles(network), grid())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_magnitudes_follow_what_was_measured() -> None:
    network = small()
    styles = mixed_styles(network)
    picture, measured = network.synthesize_measured(styles, grid())
    assert torch.equal(picture, network.synthesize(styles, grid()))
    assert measured.shape == (len(network.layers),)
    features = network.input(styles[:, 0], network._frame(network._placed(grid()))[0])
    assert float(measured[0]) == pytest.approx(float(features.detach().square().mean()))
    before = torch.stack([layer.magnitude for layer in network._layers()])
    network.track_magnitudes(measured, images=20_000)
    after = torch.stack([layer.magnitude for layer in network._layers()])
    assert torch.allclose(after, (before + measured) / 2)


def test_clamps_bound_the_activations() -> None:
    styles = mixed_styles(small())
    free, tight = small(clamp=0.0), small(clamp=1e-3)
    assert float(free.synthesize(styles, grid()).detach().abs().max()) > 0.01
    assert float(tight.synthesize(styles, grid()).detach().abs().max()) <= 0.25e-3


# Styles that flow into each other


def halves(points: Tensor) -> Tensor:
    """The first style on the left, the second from x = 0.5 on."""
    right = (points[:, 1] > 0.5).to(points)
    return torch.stack([1 - right, right])


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_style_is_alone_the_picture_is_its_own(kind: dict[str, Any]) -> None:
    network = small(**kind)
    styles = mixed_styles(network)
    for index, window in enumerate([(0.0, -9.0, 1.0, -8.0), (0.0, 8.0, 1.0, 9.0)]):
        far = Canvas(10, 12, window=window).grid()
        blended = network.blend(styles, far, weights=halves)
        alone = network.synthesize(styles[index : index + 1], far)
        assert relative_error(blended, alone) <= 1e-9
    # Far from the border on a wide picture; near it the two mix.
    wide = Canvas(16, 128, window=(0.0, -1.5, 0.5, 2.5)).grid()
    blended = network.blend(styles, wide, weights=halves)[0]
    apart = network.synthesize(styles, wide)
    blended, apart = blended.detach(), apart.detach()
    size = apart.abs().max()
    assert float((blended[:, :, :8] - apart[0, :, :, :8]).abs().max() / size) <= 1e-3
    assert float((blended[:, :, -8:] - apart[1, :, :, -8:]).abs().max() / size) <= 1e-3
    assert float((blended[:, :, 60:68] - apart[0, :, :, 60:68]).abs().max() / size) > 1e-2


def test_styles_with_an_origin_paint_their_own_square() -> None:
    network = small()
    styles = mixed_styles(network)[:1]
    moved = Canvas(32, 32, window=(0.0, 2.0, 1.0, 3.0)).grid()
    blended = network.blend(
        styles, moved, weights=lambda points: torch.ones(1, len(points)), origins=[(0.0, 2.0)]
    )
    assert relative_error(blended, network.synthesize(styles, Canvas(32, 32).grid())) <= 1e-9


# Grids and settings that cannot be


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            AxisGrid(torch.tensor([0.1, 0.2, 0.4]), torch.tensor([0.1, 0.2])),
            "the rows of this grid",
        ),
        (AxisGrid(torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2, 0.9])), "the columns of this"),
        (AxisGrid(torch.tensor([0.1, 0.1]), torch.tensor([0.1, 0.2])), "lie on one line"),
        (AxisGrid(torch.tensor([0.1, math.nan]), torch.tensor([0.1, 0.2])), "not evenly spaced"),
        (PointGrid(torch.rand(4, 5, 2).double()), "the points of this grid are not evenly"),
        (PointGrid(torch.arange(12.0).reshape(2, 3, 2)), "lie on one line"),
    ],
)
def test_uneven_grids_are_refused(where: AxisGrid | PointGrid, message: str) -> None:
    network = small()
    with pytest.raises(GridError, match=message):
        network.synthesize(mixed_styles(network), where)


def test_float32_grids_are_even() -> None:
    network = small()
    where = Canvas(1000, 900).grid()
    rough = AxisGrid(where.ys.float(), where.xs.float())
    place, exact = (placement_of(g, resolution=32) for g in (rough, where))
    assert place.density == pytest.approx(exact.density, rel=1e-6)
    assert network.config.stride == 2


def test_styles_of_another_width_are_refused() -> None:
    with pytest.raises(UsageError, match=r"styles of shape \(2, 3, 10\): expected \(B, 6, 10\)"):
        small().synthesize(random(2, 3, 10), grid())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 24}, "resolution 24: expected a power of two"),
        ({"num_layers": 0}, "num_layers 0"),
        ({"num_critical": 4}, "fewer than the 4 layers"),
        ({"kernel": 2}, "kernel 2: expected 1 or 3"),
        ({"first_cutoff": 16.0}, "first_cutoff 16.0"),
        ({"first_stopband": 1.0}, "first_stopband 1"),
        ({"last_stopband_rel": 0.9}, "last_stopband_rel 0.9"),
        ({"activation_up": 3}, "activation_up 3"),
        ({"clamp": -1.0}, "clamp -1"),
        ({"filter_size": 2**40}, "expected filters of at most 2048 taps"),
        ({"resolution": 2**16, "num_layers": 1, "num_critical": 0}, "filters of at most 2048"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StyleGAN3Config(**SMALL | settings)


def test_the_registry_builds_it_again() -> None:
    network = small(**RADIAL)
    family, settings = describe_generator(network)
    again = build_generator(family, settings)
    assert family == "stylegan3"
    assert again.config == network.config
    assert set(again.state_dict()) == set(network.state_dict())
