"""CREPS draws the official pictures, and every pixel comes from its own row and column alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from creps.checkpoints import from_state_dict
from creps.checkpoints._official.creps import official_name
from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import ConfigError, LabelError, UnsupportedError, UsageError
from creps.networks.base import build_generator, describe_generator
from creps.networks.creps import CREPS_PRESETS, Creps, CrepsConfig
from golden_names import golden, relative_error
from tiny_creps import UNEVEN

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-11}
"""max|error| / max|reference|."""
DEAD = 578_880
"""Parameters of the official networks that never run; ours do not have them."""

COMPOSITIONS = ("layerwise", "sum", "once", "dense")


def small(**settings: Any) -> Creps:
    """A small float64 network with biases that matter."""
    torch.manual_seed(0)
    network = Creps(CrepsConfig(**UNEVEN | settings)).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter += 0.1 * torch.randn_like(parameter)
        network.mapping.average.normal_()
    return network


def random(*shape: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=draw)


def mixed_styles(network: Creps, batch: int = 2) -> Tensor:
    """(B, K, D): another vector for each layer."""
    return random(batch, network.num_styles, network.config.w_dim)


def grid(height: int = 5, width: int = 7) -> AxisGrid:
    return Canvas(height, width, window=(0.1, -0.2, 0.6, 0.9)).grid()


def official_grid(coords: Tensor) -> AxisGrid:
    """Rows and columns of the official coordinates (1, S, 2, 1)."""
    return AxisGrid(coords[0, :, 0, 0], coords[0, :, 1, 0])


# Parity with the official code


@pytest.fixture(scope="module")
def official() -> Creps:
    network = from_state_dict(golden("creps_a.weights"))
    assert isinstance(network, Creps)
    return network


@pytest.fixture(scope="module")
def native() -> dict[str, Tensor]:
    return golden("creps_a.native")


def test_golden_styles(official: Creps, native: dict[str, Tensor]) -> None:
    z, tolerance = native["z"], TOLERANCE[torch.float32]
    assert relative_error(official.map(z), native["ws"]) <= tolerance
    truncated = official.map(z, truncation=0.7)
    assert relative_error(truncated, native["ws_psi0.7"]) <= tolerance
    cut = official.map(z, truncation=0.7, truncation_cutoff=4)
    assert relative_error(cut, native["ws_psi0.7_cut4"]) <= tolerance


def test_golden_pictures(official: Creps, native: dict[str, Tensor]) -> None:
    where, tolerance = official_grid(native["coords_native"]), TOLERANCE[torch.float32]
    styles = official.map(native["z"])
    assert relative_error(official.synthesize(styles, where), native["img"]) <= tolerance
    truncated = official.map(native["z"], truncation=0.7)
    assert relative_error(official.synthesize(truncated, where), native["img_psi0.7"]) <= tolerance
    mixed = official.synthesize(native["ws_mixed"], where)
    assert relative_error(mixed, native["img_ws_mixed"]) <= tolerance


def test_golden_pictures_on_the_corners_rule(official: Creps, native: dict[str, Tensor]) -> None:
    canvas = Canvas(32, 32, sampling=official.sampling)
    picture = official.synthesize(official.map(native["z"]), canvas.grid())
    assert relative_error(picture, native["img"]) <= TOLERANCE[torch.float32]


@pytest.mark.parametrize("name", ["x2", "x1.5", "window"])
def test_golden_pictures_elsewhere(official: Creps, native: dict[str, Tensor], name: str) -> None:
    scaled = golden("creps_a.scaled")
    picture = official.synthesize(native["ws"], official_grid(scaled[f"coords_{name}"]))
    assert relative_error(picture, scaled[f"img_{name}"]) <= TOLERANCE[torch.float32]


def test_golden_pictures_in_float64(native: dict[str, Tensor]) -> None:
    network = from_state_dict(golden("creps_a.weights")).double()
    styles = network.map(native["z"].double())
    assert relative_error(styles, native["ws_f64"]) <= TOLERANCE[torch.float64]
    picture = network.synthesize(styles, official_grid(native["coords_native"]))
    assert relative_error(picture, native["img_f64"]) <= TOLERANCE[torch.float64]


def test_golden_maps_inside(official: Creps, native: dict[str, Tensor]) -> None:
    inside, tolerance = golden("creps_a.inter"), TOLERANCE[torch.float32]
    where = official_grid(native["coords_native"])
    maps = official.feature_maps(native["ws"][:1], where)
    rows = official.lines(native["ws"][:1], where.ys, "rows")
    columns = official.lines(native["ws"][:1], where.xs, "columns")
    for index, level in enumerate((8, 16, 32)):
        assert relative_error(rows[:, index], inside[f"b{level}.x_line"]) <= tolerance
        assert relative_error(columns[:, index], inside[f"b{level}.y_line"]) <= tolerance
        assert relative_error(maps.composed[index], inside[f"F_{level}"]) <= tolerance
        assert relative_error(maps.fused[index], inside[f"E_{level}"]) <= tolerance
    assert relative_error(maps.final, inside["E_last"]) <= tolerance


def test_golden_input_lines(official: Creps, native: dict[str, Tensor]) -> None:
    expected = golden("creps_a.inter")["input.bilines"]  # (1, C, S, 2D), rows then columns
    where, w = official_grid(native["coords_native"]), native["ws"][:1, 0]
    rows = official.input.lines(w, where.ys, "rows").unflatten(2, (32, 8))
    columns = official.input.lines(w, where.xs, "columns").unflatten(2, (32, 8))
    actual = torch.cat([rows, columns], dim=3)
    assert relative_error(actual, expected) <= TOLERANCE[torch.float32]


def test_golden_gradients(native: dict[str, Tensor]) -> None:
    expected, tolerance = golden("creps_a.grads"), TOLERANCE[torch.float32]
    network = from_state_dict(golden("creps_a.weights")).requires_grad_(True)
    styles = network.map(native["z"])
    picture = network.synthesize(styles, official_grid(native["coords_native"]))
    objective = (picture * expected["pl_noise"]).sum()
    theirs = {name for name in expected if name.startswith("grad:")}
    ours = {
        f"grad:{official_name(name, 32)}": parameter
        for name, parameter in network.named_parameters()
    }
    assert len(theirs) == 6
    of_styles, *of_parameters = torch.autograd.grad(
        objective, [styles, *(ours[name] for name in sorted(theirs))]
    )
    assert relative_error(of_styles, expected["pl_grads"]) <= tolerance
    lengths = of_styles.square().sum(2).mean(1).sqrt()
    assert relative_error(lengths, expected["pl_lengths"]) <= tolerance
    for name, gradient in zip(sorted(theirs), of_parameters, strict=True):
        shaped = gradient.reshape(expected[name].shape)  # the official input weight has more axes
        assert relative_error(shaped, expected[name]) <= tolerance


def test_golden_pictures_where_clamps_fire() -> None:
    tensors, tolerance = golden("creps_c_clamp"), TOLERANCE[torch.float32]
    state = {name[3:]: tensor for name, tensor in tensors.items() if name.startswith("sd.")}
    network = from_state_dict(state)
    assert isinstance(network, Creps)
    where = official_grid(state["synthesis.b4.input.coords"])
    assert relative_error(network.map(tensors["z"]), tensors["ws"]) <= tolerance
    picture = network.synthesize(tensors["ws"], where)
    assert relative_error(picture, tensors["img"]) <= tolerance
    maps = network.feature_maps(tensors["ws"], where)
    assert maps.row_lines is not None
    for index, level in enumerate((8, 16)):
        lines = maps.row_lines[:, index]
        assert relative_error(lines, tensors[f"inter.b{level}.x_line"]) <= tolerance
        assert relative_error(maps.fused[index], tensors[f"inter.E_{level}"]) <= tolerance


# What any CREPS keeps


@pytest.mark.parametrize("composition", COMPOSITIONS)
@pytest.mark.parametrize("thickness", [1, 4, 8])
def test_every_ablation_draws(composition: str, thickness: int) -> None:
    network = small(composition=composition, thickness=thickness)
    picture = network.synthesize(mixed_styles(network), grid())
    assert picture.shape == (2, 3, 5, 7)
    assert bool(picture.isfinite().all())
    assert float(picture.detach().std()) > 0.01


@pytest.mark.parametrize("composition", COMPOSITIONS)
@settings(max_examples=20)
@given(
    top=st.integers(0, 6), left=st.integers(0, 8), height=st.integers(1, 3), width=st.integers(1, 4)
)
def test_a_tile_is_a_crop_of_the_whole(
    composition: str, top: int, left: int, height: int, width: int
) -> None:
    network = small(composition=composition)
    canvas, styles = Canvas(9, 12), mixed_styles(network)
    tile = AxisGrid(canvas.rows(top, height), canvas.columns(left, width))
    expected = network.synthesize(styles, canvas.grid())
    expected = expected[:, :, top : top + height, left : left + width]
    assert relative_error(network.synthesize(styles, tile), expected) <= TOLERANCE[torch.float64]


@pytest.mark.parametrize("composition", ["layerwise", "sum", "once"])
def test_lines_and_compose_are_synthesize(composition: str) -> None:
    network = small(composition=composition)
    styles, where = mixed_styles(network), grid()
    rows = network.lines(styles, where.ys, "rows")
    columns = network.lines(styles, where.xs, "columns")
    levels = 1 if composition == "once" else 2
    assert rows.shape == (2, levels, 6, 5, 3)
    assert columns.shape == (2, levels, 6, 7, 3)
    picture = network.compose(rows, columns, styles)
    expected = network.synthesize(styles, where)
    assert relative_error(picture, expected) <= TOLERANCE[torch.float64]


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_a_mesh_of_points_is_an_axis_grid(composition: str) -> None:
    network = small(composition=composition)
    styles, where = mixed_styles(network), grid()
    points = torch.stack(torch.meshgrid(where.ys, where.xs, indexing="ij"), dim=2)
    picture = network.synthesize(styles, PointGrid(points))
    expected = network.synthesize(styles, where)
    assert relative_error(picture, expected) <= TOLERANCE[torch.float64]


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_one_picture_is_as_many(composition: str) -> None:
    network = small(composition=composition, label_dim=2)
    z, labels = random(3, 6), torch.tensor([0, 1, 1])
    together = network(z, labels, grid())
    alone = torch.cat([network(z[k : k + 1], labels[k : k + 1], grid()) for k in range(3)])
    assert relative_error(together, alone) <= TOLERANCE[torch.float64]


def test_order_of_coordinates_is_order_of_pixels() -> None:
    network, where = small(), grid()
    styles, rows, columns = mixed_styles(network), torch.randperm(5), torch.randperm(7)
    shuffled = AxisGrid(where.ys[rows], where.xs[columns])
    expected = network.synthesize(styles, where)[:, :, rows][:, :, :, columns]
    actual = network.synthesize(styles, shuffled)
    assert relative_error(actual, expected) <= TOLERANCE[torch.float64]


def test_styles_of_a_picture_stay_with_it_and_each_one_matters() -> None:
    network, where = small(), grid()
    styles = mixed_styles(network)
    before = network.synthesize(styles, where)
    for k in range(network.num_styles):
        changed = styles.clone()
        changed[1, k] += 1
        after = network.synthesize(changed, where)
        assert torch.allclose(after[0], before[0], rtol=0, atol=1e-12)
        assert not torch.allclose(after[1], before[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_every_parameter_gets_a_gradient(composition: str) -> None:
    network = small(composition=composition, label_dim=2)
    picture = network(random(2, 6), torch.tensor([0, 1]), grid())
    picture.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_path_lengths_have_gradients() -> None:
    network, styles = small(), mixed_styles(small()).requires_grad_()
    noise, weight = random(2, 3, 5, 7, seed=1), network.blocks[1].layers[0].weight

    def length(create_graph: bool) -> Tensor:
        loud = (network.synthesize(styles, grid()) * noise).sum()
        (gradient,) = torch.autograd.grad(loud, styles, create_graph=create_graph)
        return gradient.square().sum(2).mean(1).sqrt().sum()

    (gradient,) = torch.autograd.grad(length(True), weight)
    direction, step = random(*weight.shape, seed=2), 1e-6
    around = []
    for sign in (1, -1):
        weight.data += sign * step * direction
        around.append(length(False))
        weight.data -= sign * step * direction
    slope = (around[0] - around[1]) / (2 * step)
    assert torch.allclose((gradient * direction).sum(), slope, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_a_forward_pass_changes_nothing(training: bool) -> None:
    network = small().train(training)
    z, where = random(2, 6), grid()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    kept = z.clone(), where.ys.clone(), where.xs.clone()
    network(z, None, where)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(map(torch.equal, kept, (z, where.ys, where.xs)))


def test_feature_maps_are_those_of_the_picture() -> None:
    network, where = small(), grid()
    styles = mixed_styles(network)
    maps = network.feature_maps(styles, where)
    assert maps.row_lines is not None
    assert maps.column_lines is not None
    for level, composed in enumerate(maps.composed):
        rows, columns = maps.row_lines[:, level], maps.column_lines[:, level]
        expected = torch.einsum("bnhd,bnwd->bnhw", rows, columns)
        assert relative_error(composed, expected) <= TOLERANCE[torch.float64]
    assert torch.equal(maps.fused[0], maps.composed[0])
    fused = network.decoders[0](maps.fused[0].flatten(2)).unflatten(2, (5, 7)) + maps.composed[1]
    assert relative_error(maps.fused[1], fused) <= TOLERANCE[torch.float64]
    assert maps.final.shape == (2, 6, 5, 7)


def test_dense_networks_show_maps_and_have_no_lines() -> None:
    network = small(composition="dense")
    maps = network.feature_maps(mixed_styles(network), grid())
    assert maps.row_lines is maps.column_lines is None
    assert maps.final.shape == (2, 6, 5, 7)
    with pytest.raises(UnsupportedError, match="no lines: use synthesize"):
        network.lines(mixed_styles(network), grid().ys, "rows")


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_any_resolution_and_any_channels(resolution: int) -> None:
    network = small(resolution=resolution, img_channels=1)
    picture = network.synthesize(mixed_styles(network), grid())
    assert picture.shape == (2, 1, 5, 7)


def test_zooms_far_out_and_in_keep_their_phase() -> None:
    # Phases reach thousands of turns: worked out in float32 they would lose all their digits.
    network = small(bandwidth=10.0)
    styles = mixed_styles(network)
    far = AxisGrid(grid().ys + 1000, grid().xs - 1000)
    expected = network.synthesize(styles, far)
    actual = network.float().synthesize(styles.float(), far)
    assert relative_error(actual, expected) <= 1e-4


def test_classes_matter_and_indices_are_one_hot_rows() -> None:
    network, z = small(label_dim=3), random(2, 6)
    indices = torch.tensor([2, 0])
    styles = network.map(z, indices)
    assert torch.equal(styles, network.map(z, torch.eye(3)[indices]))
    assert not torch.allclose(styles[0], network.map(z, torch.tensor([1, 0]))[0])


def test_latents_decide_on_the_class_unless_one_is_chosen() -> None:
    network, z = small(label_dim=3, class_from_latent=True), random(40, 6)
    kept, drawn = z.clone(), z[:, :3].argmax(1)
    assert torch.equal(network.map(z), network.map(z, drawn))
    chosen = torch.arange(40) % 3
    moved = network.of_class(z, chosen)
    assert torch.equal(moved[:, :3].argmax(1), chosen)
    assert torch.equal(moved[:, :3].sort(1).values, z[:, :3].sort(1).values)
    assert torch.equal(moved[:, 3:], z[:, 3:])
    assert torch.equal(network.map(z, chosen), network.map(moved))
    assert torch.equal(network.map(z, torch.eye(3)[chosen]), network.map(moved))
    assert torch.equal(z, kept)
    with pytest.raises(LabelError, match="class 3 is unknown"):
        network.map(z[:1], torch.tensor([3]))
    told = small(label_dim=3)
    assert torch.equal(told.of_class(z, chosen), z)


@pytest.mark.parametrize("classes", [0, 7])
def test_latents_that_decide_on_classes_have_a_value_for_each(classes: int) -> None:
    with pytest.raises(ConfigError, match=f"label_dim from 1 to z_dim, 6, not {classes}"):
        small(label_dim=classes, class_from_latent=True)


def test_truncation_moves_towards_the_average_up_to_its_cutoff() -> None:
    network, z = small(), random(2, 6)
    styles, average = network.map(z), network.mapping.average
    assert torch.allclose(network.map(z, truncation=0.0), average.expand_as(styles))
    cut = network.map(z, truncation=0.25, truncation_cutoff=3)
    expected = average + 0.25 * (styles - average)
    assert torch.allclose(cut[:, :3], expected[:, :3])
    assert torch.equal(cut[:, 3:], styles[:, 3:])
    assert torch.equal(network.map(z, truncation=0.5, truncation_cutoff=0), styles)


@pytest.mark.parametrize(
    ("resolution", "styles"), [(4, 3), (32, 9), (64, 11), (256, 15), (512, 17), (1024, 19)]
)
def test_two_styles_a_level_and_one_more(resolution: int, styles: int) -> None:
    assert small(resolution=resolution).num_styles == styles


@pytest.mark.parametrize(
    ("preset", "official_count"),
    [("creps-256", 30_530_825), ("creps-512", 30_867_785), ("creps-1024", 31_034_377)],
)
def test_presets_have_the_official_parameters_that_run(preset: str, official_count: int) -> None:
    network = Creps(CREPS_PRESETS[preset])
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == official_count - DEAD


def test_a_network_is_built_again_from_its_description() -> None:
    network = small(composition="sum")
    again = build_generator(*describe_generator(network))
    again.load_state_dict(network.state_dict())
    assert again.config == network.config


# What it refuses


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 48}, "resolution 48: expected a power of two, at least 4"),
        ({"resolution": 2}, "resolution 2: expected a power of two"),
        ({"resolution": 2**17}, "resolution 131072: expected a power of two, at least 4, at most"),
        ({"resolution": 16, "thickness": 0}, "thickness 0: expected at least 1"),
        ({"resolution": 16, "decoder_widths": (8, 0)}, "decoder_widths 0: expected at least 1"),
        ({"resolution": 16, "refinement_widths": (-3,)}, "refinement_widths -3: expected at"),
        ({"resolution": 16, "bandwidth": -1.0}, "bandwidth -1.0: expected a positive number"),
        ({"resolution": 16, "label_dim": -1}, "label_dim -1"),
        ({"resolution": 16, "channel_max": 7}, "7 input channels: expected an even number"),
        ({"resolution": 16, "thicknes": 4}, "did you mean thickness?"),
        ({"resolution": 16, "composition": "twice"}, "'twice'"),
        ({}, "resolution"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_generator("creps", settings)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown generator family 'crebs': did you mean creps\?"
    ):
        build_generator("crebs", {})


def test_latents_of_another_width_are_refused() -> None:
    with pytest.raises(UsageError, match=re.escape("latents of shape (2, 5): expected (B, 6)")):
        small().map(random(2, 5))


@pytest.mark.parametrize("shape", [(2, 6, 10), (2, 7, 9), (7, 10)])
def test_styles_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    network, styles = small(), random(*shape)
    message = re.escape(f"styles of shape {shape}: expected (B, 7, 10), as map gives them")
    with pytest.raises(UsageError, match=message):
        network.synthesize(styles, grid())
    with pytest.raises(UsageError, match=message):
        network.lines(styles, grid().ys, "rows")
    with pytest.raises(UsageError, match=message):
        network.feature_maps(styles, grid())


@pytest.mark.parametrize(
    ("label_dim", "label", "message"),
    [
        (0, torch.tensor([0, 0]), "unconditional: leave them out"),
        (3, None, "3 classes: give a label for each of the 2"),
        (3, torch.tensor([0, 3]), "class 3 is unknown"),
        (3, torch.tensor([0, 1, 2]), "expected (2,) class indices"),
    ],
)
def test_wrong_labels_are_refused(label_dim: int, label: Tensor | None, message: str) -> None:
    with pytest.raises(LabelError, match=re.escape(message)):
        small(label_dim=label_dim).map(random(2, 6), label)
