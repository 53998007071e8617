"""CIPS paints what the official code paints, each pixel by itself, on any grid, flat or round."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from creps.checkpoints import from_state_dict
from creps.coordinates import AxisGrid, Canvas, PointGrid, Sampling
from creps.errors import ConfigError, UsageError
from creps.networks import cips as cips
from creps.networks.base import build_generator, read_config
from creps.networks.cips import (
    CIPS_PRESETS,
    Cips,
    CipsConfig,
    FourierFeatures,
    PlaneEmbedding,
    StyledLayer,
)
from creps.rendering._blends import Gradient, StyleField, panorama
from golden_names import golden, relative_error
from painters import painter_of

CONFIG: dict[str, Any] = {
    "resolution": 8,
    "z_dim": 5,
    "w_dim": 4,
    "mapping_layers": 2,
    "features": 6,
    "widths": [10, 7],
    "bandwidth": 6.0,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "residual": {"connections": "residual"},
    "base": {"connections": "base"},
    "no embedding": {"connections": "base", "embedding": False},
    "no Fourier": {"connections": "base", "fourier": False},
    "sine": {"connections": "base", "fourier": False, "activation": "sine"},
    "cylinder": {"period": (0.0, 2.5)},
}
EXACT = 1e-12
"""max|error| / max|reference| in float64."""


def tiny(**changes: Any) -> Cips:
    """The same float64 network in every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = build_generator("cips", CONFIG | changes).double()
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter += 0.1 * torch.randn_like(parameter)
    assert isinstance(network, Cips)
    return network


def random_styles(network: Cips, count: int) -> Tensor:
    """(count, K, D), another vector for each layer."""
    draw = torch.Generator().manual_seed(count)
    shape = (count, network.num_styles, network.config.w_dim)
    return torch.randn(shape, dtype=torch.float64, generator=draw)


def parameters(config: CipsConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build_generator("cips", config).parameters())


def official_grid(size: int) -> AxisGrid:
    return Canvas(size, size, sampling="corners").grid()


def official(nodes: Sampling = "centers") -> Cips:
    network = from_state_dict(golden("cips_skip32.weights"), {"embedding_nodes": nodes})
    assert isinstance(network, Cips)
    return network


# What the official code computes


@pytest.mark.parametrize(
    ("picture", "nodes", "size"),
    [
        ("img_eval", "centers", 32),
        ("img_eval_x2", "centers", 64),
        ("img_train_x2(grid_sample)", "centers", 64),
        ("img_train_constemb", "corners", 32),
    ],
)
def test_official_weights_paint_the_official_pictures(
    picture: str, nodes: Sampling, size: int
) -> None:
    expected, network = golden("cips_skip32.io"), official(nodes)
    painted = network.synthesize(network.map(expected["z"]), official_grid(size))
    assert relative_error(painted, expected[picture]) <= 2e-5


def test_official_places_are_encoded_as_officially() -> None:
    expected, network = golden("cips_skip32.io"), official()
    assert network.fourier is not None
    assert network.embedding is not None
    for part, name in ((network.fourier, "lff"), (network.embedding, "emb_grid_sample")):
        encoded = part(official_grid(32)).T.reshape(expected[name].shape)
        assert relative_error(encoded, expected[name]) <= 2e-5


def test_official_truncation() -> None:
    expected, network = golden("cips_skip32.io"), official()
    network.mapping.average.copy_(expected["truncation_latent"])
    styles = network.map(expected["z"], truncation=0.6)
    painted = network.synthesize(styles, official_grid(32))
    assert relative_error(painted, expected["img_trunc0.6_from_w"]) <= 2e-5


def test_official_weights_in_float64() -> None:
    expected, network = golden("cips_skip32.io"), official().double()
    x, y = (expected["coords"][0].double() + 1) / 2
    painted = network.synthesize(network.map(expected["z"].double()), AxisGrid(y[:, 0], x[0]))
    assert relative_error(painted, expected["img_eval_f64"]) <= EXACT


def test_official_noise() -> None:
    expected, network = golden("cips_skip32.io"), official()
    strengths = expected["noise_weights_in_call_order"]
    layers = [module for module in network.modules() if isinstance(module, StyledLayer)]
    for layer, strength in zip(layers, strengths, strict=True):
        layer.noise_strength.fill_(strength)
    noise = torch.stack([expected[f"noise_{k:02}"][:, 0] for k in range(len(layers))], dim=1)
    styles = network.map(expected["z"])
    painted = network.synthesize(styles, official_grid(32), noise=noise)
    assert relative_error(painted, expected["img_with_noise"]) <= 2e-5
    without = network.synthesize(styles, official_grid(32))
    assert relative_error(without, expected["img_eval"]) <= 2e-5


def test_official_parameter_counts() -> None:
    assert parameters(CIPS_PRESETS["cips-256"]) == 44_317_092
    assert parameters(CIPS_PRESETS["cips-256-residual"]) == 43_027_858


@pytest.mark.parametrize(
    ("preset", "millions"),
    [("cips-256-paper", 45.9), ("cips-256-base", 43.8), ("cips-256-ne", 10.2)],
)
def test_parameter_counts_of_the_paper(preset: str, millions: float) -> None:
    """Table 4. "base" counts one layer of 512 less there: 14 (section 4.1) instead of 15 (A)."""
    assert parameters(CIPS_PRESETS[preset]) == pytest.approx(millions * 1e6, rel=0.02)


# What holds for every variant


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_every_pixel_is_by_itself(changes: dict[str, Any]) -> None:
    network = tiny(**changes)
    styles, canvas = random_styles(network, 2), Canvas(9, 13, (-0.2, 0.1, 1.1, 1.6))
    whole = network.synthesize(styles, canvas.grid())
    assert whole.shape == (2, 3, 9, 13)
    part = AxisGrid(canvas.rows(2, 4), canvas.columns(5, 3))
    assert relative_error(network.synthesize(styles, part), whole[:, :, 2:6, 5:8]) <= EXACT
    points = torch.cartesian_prod(canvas.rows(), canvas.columns()).reshape(9, 13, 2)
    assert relative_error(network.synthesize(styles, PointGrid(points)), whole) <= EXACT
    alone = network.synthesize(styles[1:], canvas.grid())
    assert relative_error(alone, whole[1:]) <= EXACT


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_training_reaches_every_weight_but_noise(changes: dict[str, Any]) -> None:
    network = tiny(**changes).requires_grad_(True).train()
    z = torch.randn((3, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    picture = network.synthesize(network.map(z), Canvas(8, 20, (0, 0, 1, 2.5)).grid())
    picture.square().sum().backward()
    idle = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert {name.rpartition(".")[2] for name in idle} == {"noise_strength"}


def test_training_and_evaluation_paint_the_same() -> None:
    network = tiny()
    styles, grid = random_styles(network, 2), Canvas(8, 8).grid()
    with torch.enable_grad():
        trained = network.train().synthesize(styles, grid)
    assert relative_error(network.eval().synthesize(styles, grid), trained) <= EXACT


def test_large_pictures_are_painted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny()
    styles, canvas = random_styles(network, 2), Canvas(7, 5)
    points = torch.cartesian_prod(canvas.rows(), canvas.columns()).reshape(7, 5, 2)
    noise = network.draw_noise(2, generator=torch.Generator().manual_seed(0))
    for layer in network.modules():
        if isinstance(layer, StyledLayer):
            layer.noise_strength.fill_(0.3)
    for grid in (canvas.grid(), PointGrid(points)):
        with torch.enable_grad():
            whole = network.synthesize(styles, grid, noise=noise)
        for at_once in (1, 21, 40):
            monkeypatch.setattr(cips, "PIXELS_AT_ONCE", at_once)
            with torch.no_grad():
                parts = network.synthesize(styles, grid, noise=noise)
            assert relative_error(parts, whole) <= EXACT


def test_tiles_of_the_renderer_meet() -> None:
    network = tiny(period=(0.0, 2.0))
    styles, canvas = random_styles(network, 1), Canvas(11, 17, (0.1, -0.3, 0.8, 1.9))
    whole = network.synthesize(styles, canvas.grid())
    for tile, image in painter_of(network, styles, canvas, tile_edge=4).images():
        assert relative_error(image, whole[:, :, tile.rows, tile.columns]) <= EXACT


def test_each_style_steers_its_layer() -> None:
    network = tiny()
    styles, grid = random_styles(network, 1), Canvas(4, 6).grid()
    assert network.num_styles == 2 * 2 + 2
    before = network.synthesize(styles, grid)
    for k in range(network.num_styles):
        other = styles.clone()
        other[:, k] += 1
        assert relative_error(network.synthesize(other, grid), before) > 1e-3


def test_places_far_from_the_origin_keep_their_digits() -> None:
    """A float32 phase there would be wrong by a tenth of a radian, and so would features."""
    for period in ((0.0, 0.0), (3.0, 2.5)):
        part = FourierFeatures(20, bandwidth=50.0, period=period)
        part.requires_grad_(False)
        grid = Canvas(2, 9, (0.3, 12345.6, 0.4, 12345.7)).grid()
        single = part(grid)
        torch.testing.assert_close(single.double(), part.double()(grid), rtol=0, atol=2e-6)


def test_conditional_models_take_classes() -> None:
    network = tiny(label_dim=3)
    z = torch.randn((2, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, other = (network.map(z, torch.tensor([k, k])) for k in (0, 2))
    assert not torch.equal(one, other)


# Where a pixel is


def test_fourier_features_by_hand() -> None:
    part = FourierFeatures(2, bandwidth=1.0, period=(0.0, 0.0)).double().requires_grad_(False)
    part.frequencies.copy_(torch.tensor([[math.pi / 2, 0.0], [0.0, math.pi / 6]]))
    part.phases.copy_(torch.tensor([0.0, math.pi / 3]))
    grid = AxisGrid(torch.tensor([0.5, 1.0], dtype=torch.float64), torch.ones(1).double())
    # y' is 0 and 1, x' is 1: sin(0), sin(pi / 2); and sin(pi / 6 + pi / 3) in both.
    expected = torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    assert relative_error(part(grid), expected) <= EXACT


def embedding(features: int, **changes: Any) -> PlaneEmbedding:
    """A fresh embedding of so many features."""
    config = read_config("cips", CONFIG | {"features": features} | changes)
    assert isinstance(config, CipsConfig)
    return PlaneEmbedding(config)


@pytest.mark.parametrize("rule", ["centers", "corners"])
def test_native_pixels_take_their_own_embedding(rule: Sampling) -> None:
    part = embedding(3, resolution=7, embedding_nodes=rule).requires_grad_(False)
    looked_up = part(Canvas(7, 7, sampling=rule).grid()).reshape(7, 7, 3)
    torch.testing.assert_close(looked_up, part.vectors, rtol=1e-6, atol=1e-12)


def test_embeddings_are_bilinear_and_stay_beyond_the_border() -> None:
    part = embedding(1, resolution=2).double()
    part.requires_grad_(False).vectors.copy_(torch.tensor([[[0.0], [8.0]], [[2.0], [4.0]]]))

    def at(y: float, x: float) -> float:
        return part(AxisGrid(torch.tensor([y]).double(), torch.tensor([x]).double())).item()

    assert at(0.25, 0.5) == 4.0  # half-way between 0 and 8
    assert at(0.5, 0.5) == 3.5  # of 0, 8, 2, 4
    assert at(-3.0, 0.75) == at(0.25, 0.75) == 8.0
    assert at(0.9, 7.0) == 4.0


def test_a_cylinder_wraps_exactly() -> None:
    network = tiny(period=(0.0, 2.5))
    assert network.period == (0, 2.5)
    styles, canvas = random_styles(network, 1), Canvas(6, 20, (0, 0, 1, 2.5))
    grid = canvas.grid()
    once = network.synthesize(styles, grid)
    for turns in (-1, 3):
        again = network.synthesize(styles, AxisGrid(grid.ys, grid.xs + 2.5 * turns))
        assert relative_error(again, once) <= EXACT


def test_the_ends_of_a_panorama_continue_each_other() -> None:
    network = tiny(period=(0.0, 2.0))
    fine = Canvas(5, 800, (0, 0, 1, 2.0))
    picture = network.synthesize(random_styles(network, 1), fine.grid())
    steps = (picture.roll(-1, 3) - picture).abs().amax((0, 1, 2))  # the last step is the seam
    assert steps[-1] <= 2 * steps[:-1].max()
    flat = tiny()
    picture = flat.synthesize(random_styles(flat, 1), Canvas(5, 800).grid())
    steps = (picture.roll(-1, 3) - picture).abs().amax((0, 1, 2))
    assert steps[-1] > 10 * steps[:-1].max()


def test_a_cylinder_is_the_plane_rolled_up() -> None:
    """Its frequencies are the drawn ones to half a wave a turn, so features vary as fast."""
    part = FourierFeatures(64, bandwidth=9.0, period=(0.0, 4.0))
    drawn = part.frequencies.detach().double() / math.pi
    down, across = (part.waves(axis).cycles for axis in (0, 1))
    assert torch.equal(down, drawn[:, 0])
    assert ((across - drawn[:, 1]).abs() <= 0.5 / 4).all()
    assert torch.equal((across * 4).round(), across * 4)


def test_frequencies_along_a_period_stay_as_drawn() -> None:
    part = FourierFeatures(6, bandwidth=9.0, period=(0.0, 1.0))
    part(Canvas(3, 5).grid()).square().sum().backward()
    assert part.frequencies.grad is not None
    assert (part.frequencies.grad[:, 0] != 0).any()
    assert (part.frequencies.grad[:, 1] == 0).all()


# Noise


def test_noise_belongs_to_places() -> None:
    network = tiny()
    for layer in network.modules():
        if isinstance(layer, StyledLayer):
            layer.noise_strength.fill_(0.5)
    styles, canvas = random_styles(network, 1), Canvas(8, 12)
    noise = network.draw_noise(1, generator=torch.Generator().manual_seed(2))
    whole = network.synthesize(styles, canvas.grid(), noise=noise)
    part = AxisGrid(canvas.rows(3, 2), canvas.columns(1, 4))
    painted = network.synthesize(styles, part, noise=noise)
    assert relative_error(painted, whole[:, :, 3:5, 1:5]) <= EXACT
    assert relative_error(network.synthesize(styles, canvas.grid()), whole) > 1e-2
    again = network.draw_noise(1, generator=torch.Generator().manual_seed(2))
    assert torch.equal(noise, again)


# A style for each pixel


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_where_one_style_is_alone_the_picture_is_its_own(changes: dict[str, Any]) -> None:
    network = tiny(**changes)
    styles, grid = random_styles(network, 2), Canvas(5, 8).grid()
    weights = torch.zeros(2, 5, 8, dtype=torch.float64)
    weights[0, :, :3] = 1
    weights[1, :, 5:] = 1
    weights[:, :, 3:5] = 0.5
    mixed = network.blend(styles, grid, weights=lambda points: weights.flatten(1))
    own = network.synthesize(styles, grid)
    assert relative_error(mixed[0, :, :, :3], own[0, :, :, :3]) <= EXACT
    assert relative_error(mixed[0, :, :, 5:], own[1, :, :, 5:]) <= EXACT
    same = network.blend(styles[[0, 0]], grid, weights=lambda points: weights.flatten(1))
    assert relative_error(same, own[:1]) <= EXACT


def test_a_mixture_is_the_picture_of_the_mixed_style() -> None:
    network = tiny()
    styles, grid = random_styles(network, 2), Canvas(4, 6).grid()
    weights = torch.tensor([0.3, 0.7]).double()[:, None, None].expand(2, 4, 6)
    mixed = network.blend(styles, grid, weights=lambda points: weights.flatten(1))
    style = (weights[:, :1, :1] * styles).sum(0, keepdim=True)
    assert relative_error(mixed, network.synthesize(style, grid)) <= EXACT


def test_style_fields_are_drawn_tile_by_tile() -> None:
    network = tiny()
    styles, canvas = random_styles(network, 2), Canvas(6, 14)
    field = StyleField(styles, Gradient(2))
    whole = network.blend(styles, canvas.grid(), weights=field.weights)
    drawn = torch.empty_like(whole)
    for tile, image in painter_of(network, field, canvas, tile_edge=4).images():
        drawn[:, :, tile.rows, tile.columns] = image
    assert relative_error(drawn, whole) <= EXACT


def test_panoramas_of_several_styles_give_each_its_own_square() -> None:
    network = tiny()
    styles, canvas = random_styles(network, 2), Canvas(6, 12, (0, 0, 1, 2))
    drawer = painter_of(network, panorama(styles, overlap=0.0), canvas, tile_edge=5)
    drawn = torch.empty(1, 3, 6, 12, dtype=torch.float64)
    for tile, image in drawer.images():
        drawn[:, :, tile.rows, tile.columns] = image
    own = network.synthesize(styles, Canvas(6, 6).grid())
    assert relative_error(drawn, torch.cat([own[:1], own[1:]], dim=3)) <= EXACT


# What is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fourier": False, "embedding": False}, "at least one"),
        ({"widths": [], "resolution": 12}, "power of two"),
        ({"widths": [3, 0]}, "widths"),
        ({"period": (0.0, 1.3)}, "whole numbers of nodes"),
        ({"period": (0.0, float("inf"))}, "at least 1 plane unit"),
        ({"period": (0.5, 1.0)}, "at least 1 plane unit"),
        ({"period": (0.0, 2.0), "sampling": "corners"}, "seam"),
        ({"period": (0.0, 2.0), "embedding_nodes": "corners"}, "seam"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"features": 0}, "features"),
        ({"label_dim": -1}, "label_dim"),
        ({"mapping_layers": 65}, "mapping_layers"),
    ],
)
def test_impossible_settings(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_generator("cips", CONFIG | changes)


def test_what_does_not_fit_is_named() -> None:
    network = tiny()
    styles, grid = random_styles(network, 2), Canvas(4, 6).grid()
    with pytest.raises(UsageError, match="styles of shape"):
        network.synthesize(styles[:, 1:], grid)
    with pytest.raises(UsageError, match="noise of shape"):
        network.synthesize(styles, grid, noise=torch.zeros(2, 5, 4, 6))
    with pytest.raises(UsageError, match="weights of shape"):
        network.blend(styles, grid, weights=lambda points: torch.ones(1, len(points)))
