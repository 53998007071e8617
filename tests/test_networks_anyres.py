"""The any-resolution GAN draws the official patches, knows its scale, and wraps on a cylinder."""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from creps.checkpoints import from_state_dict
from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import ConfigError
from creps.networks._alias_free import Placement, placement_of
from creps.networks.anyres import (
    ANYRES_PRESETS,
    AnyRes,
    AnyResConfig,
    normalized_scale,
)
from creps.networks.stylegan3 import StyleGAN3, StyleGAN3Config
from creps.rendering._blends import Gradient, StyleField
from golden_names import GOLDEN, golden, relative_error
from painters import painter_of

TOLERANCE = 2e-5
"""max|error| / max|reference| in float32."""
SMALL: dict[str, Any] = {
    "resolution": 32,
    "z_dim": 6,
    "w_dim": 10,
    "num_layers": 4,
    "channel_base": 64,
    "channel_max": 6,
}


def small(**settings: Any) -> AnyRes:
    """A small float64 network with biases that matter."""
    torch.manual_seed(0)
    network = AnyRes(AnyResConfig(**SMALL | settings)).double().eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def styles_of(network: AnyRes, batch: int = 1) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return network.map(torch.randn(batch, 6, generator=draw, dtype=torch.float64))


def patch(canvas: Canvas, box: list[int]) -> AxisGrid:
    """The pixels y0:y1, x0:x1 of a canvas."""
    y0, y1, x0, x1 = box
    return AxisGrid(canvas.rows(y0, y1 - y0), canvas.columns(x0, x1 - x0))


# Parity with the official code


@pytest.fixture(scope="module")
def official() -> AnyRes:
    with safe_open(GOLDEN / "anyres.weights.safetensors", "pt") as file:
        metadata = file.metadata()
    settings = {
        "channel_base": int(metadata["channel_base"]),
        "channel_max": int(metadata["channel_max"]),
        "training_mode": metadata["training_mode"],
        "scale_mapping_kwargs": ast.literal_eval(metadata["scale_mapping_kwargs"]),
    }
    network = from_state_dict(golden("anyres.weights"), settings)
    assert isinstance(network, AnyRes)
    return network


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return golden("anyres.io")


def test_golden_pictures(official: AnyRes, expected: dict[str, Tensor]) -> None:
    styles = official.map(expected["z"])
    assert relative_error(styles, expected["ws"]) <= TOLERANCE
    picture = official.synthesize(styles, Canvas(32, 32).grid())
    assert relative_error(picture, expected["img_global(transform=None)"]) <= TOLERANCE
    box = expected["patch_bbox_y0y1x0x1"].tolist()
    picture = official.synthesize(styles, patch(Canvas(96, 96), box))
    assert relative_error(picture, expected["img_patch"]) <= TOLERANCE


def patch_starts(size: int) -> list[int]:
    """First pixels of the patches of 32 that cover an axis, the last one shifted inwards."""
    return [min(start, size - 32) for start in range(0, size, 32)]


def test_golden_patches_stitched(official: AnyRes, expected: dict[str, Tensor]) -> None:
    whole = Canvas(96, 96)
    stitched = torch.cat(
        [
            torch.cat(
                [
                    official.synthesize(expected["ws"], patch(whole, [y, y + 32, x, x + 32]))
                    for x in patch_starts(96)
                ],
                dim=3,
            )
            for y in patch_starts(96)
        ],
        dim=2,
    )
    assert relative_error(stitched, expected["img_full96_from_patches"]) <= TOLERANCE
    # Without patches it is the same picture but for what their borders do.
    at_once = official.synthesize(expected["ws"], whole.grid())
    assert relative_error(at_once, expected["img_full96_from_patches"]) <= 1e-3


def test_golden_scale(official: AnyRes, expected: dict[str, Tensor]) -> None:
    (scale,) = expected["scale_normalised"].flatten().tolist()
    assert normalized_scale(3.0, official.config) == pytest.approx(scale, rel=1e-6)
    assert official.scale is not None
    mapped = official.scale.mapped(3.0).expand(1, 8, -1)
    assert relative_error(mapped, expected["mapped_scale"]) <= TOLERANCE


@pytest.mark.parametrize(
    ("size", "boxes", "transforms"),
    [(96, "all_bbox", "all_transforms"), (80, "bbox80", "transforms80")],
)
def test_patches_lie_where_the_official_tables_say(
    expected: dict[str, Tensor], size: int, boxes: str, transforms: str
) -> None:
    starts = patch_starts(size)
    ours = [[top, top + 32, left, left + 32] for top in starts for left in starts]
    assert ours == expected[boxes].tolist()
    for box, transform in zip(ours, expected[transforms], strict=True):
        place = placement_of(patch(Canvas(size, size), box), resolution=32)
        assert official_transform(place) == pytest.approx(transform.flatten().tolist(), abs=1e-6)


def official_transform(place: Placement) -> list[float]:
    """The matrix of (x, y, 1) that official tools place a patch of 32 pixels with."""
    (y, x), (dy, dx), (ay, ax) = place.center, place.down, place.across
    return [32 * ax, 32 * dx, x - 0.5, 32 * ay, 32 * dy, y - 0.5, 0, 0, 1]


# The scale


@pytest.mark.parametrize("scale_range", ["positive", "zerocentered"])
def test_scales_are_normalized_as_the_paper_says(scale_range: Any) -> None:
    config = AnyResConfig(resolution=32, scale_min=1, scale_max=5, scale_range=scale_range)
    zero, one = (0.1, 1.1) if scale_range == "positive" else (-1, 1)
    assert normalized_scale(1, config) == pytest.approx(zero)
    assert normalized_scale(5, config) == pytest.approx(one)
    assert normalized_scale(9, config) == pytest.approx(2 * one - zero)  # not clipped


def test_every_scale_is_painted_in_its_own_way() -> None:
    """And by the official code none is: its normalization leaves the sign alone."""
    for mapping, changes in (("paper", True), ("official", False)):
        network = small(scale_mapping=mapping)
        assert network.scale is not None
        ones = [network.scale.mapped(scale) for scale in (1.0, 2.0, 3.0, 8.0, 16.0)]
        for one, other in pairwise(ones):
            assert (relative_error(one, other) > 1e-2) is changes


@pytest.mark.parametrize("mapping", ["paper", "official", "none"])
def test_layers_are_told_the_density_of_pixels(mapping: Any) -> None:
    """The same place on the plane, with another scale in the styles."""
    network = small(scale_mapping=mapping)
    styles = styles_of(network)
    coarse, fine = (placement_of(Canvas(n, n).grid(), resolution=32) for n in (32, 64))
    pairs = zip(
        network._layer_styles(styles, coarse), network._layer_styles(styles, fine), strict=True
    )
    for one, other in pairs:
        assert (relative_error(one, other) > 1e-3) is (mapping == "paper")


def test_a_turned_grid_has_the_same_scale() -> None:
    whole = Canvas(96, 64).grid()
    points = torch.stack(torch.meshgrid(whole.ys, whole.xs, indexing="ij"), dim=2) - 0.5
    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.stack(
        [torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]
    )
    plain, turned = (placement_of(PointGrid(p), resolution=32) for p in (points, points @ turn))
    assert turned.density == pytest.approx(plain.density)
    assert plain.density == pytest.approx((96 * 64) ** 0.5)


def test_every_parameter_gets_a_gradient() -> None:
    network = small().requires_grad_(True)
    network(torch.ones(2, 6).double(), None, Canvas(9, 14).grid()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name


# Patches and tiles


def test_tiles_meet_at_any_scale() -> None:
    network = small()
    styles, canvas, margin = styles_of(network), Canvas(150, 131), network.margin

    def part(top: int, left: int, height: int, width: int) -> Tensor:
        where = AxisGrid(
            canvas.rows(top - margin, height + 2 * margin),
            canvas.columns(left - margin, width + 2 * margin),
        )
        return network.synthesize(styles, where)[:, :, margin:-margin, margin:-margin]

    whole = part(0, 0, 150, 131)
    for box in ((0, 0, 40, 40), (33, 50, 21, 64), (149, 130, 1, 1)):
        top, left, height, width = box
        cut = whole[:, :, top : top + height, left : left + width]
        assert float((part(*box) - cut).abs().max() / whole.abs().max()) <= 1e-4


# The cylinder


@pytest.mark.parametrize("turn", [1.0, 2.0, 6.0])
def test_a_cylinder_wraps_exactly(turn: float) -> None:
    network = small(period=(0.0, turn))
    styles = styles_of(network, 2)
    here = Canvas(24, 31, window=(0.1, 0.3, 0.85, 0.3 + 31 / 32)).grid()
    around = AxisGrid(here.ys, here.xs + turn)
    picture = network.synthesize(styles, here)
    assert relative_error(network.synthesize(styles, around), picture) <= 1e-9
    half = AxisGrid(here.ys, here.xs + turn / 2)
    assert relative_error(network.synthesize(styles, half), picture) > 1e-2
    assert network.period == (0, turn)


def test_the_first_column_of_a_panorama_follows_its_last() -> None:
    network = small(period=(0.0, 2.0))
    width, margin = 128, network.margin
    canvas = Canvas(64, width, window=(0.0, 0.0, 1.0, 2.0))
    where = AxisGrid(
        canvas.rows(-margin, 64 + 2 * margin), canvas.columns(-margin, width + 3 * margin)
    )
    strip = network.synthesize(styles_of(network), where)[:, :, margin:-margin, margin:]
    beyond = strip[..., width : width + margin]
    assert float((beyond - strip[..., :margin]).abs().max() / strip.abs().max()) <= 1e-4


def test_styles_move_a_cylinder_without_turning_it() -> None:
    network = small(period=(0.0, 2.0))
    network.input.affine.weight.normal_()
    frequencies = network.input._moved(torch.tensor([[0.6, 0.8, 0.1, 0.2]]).double())[0]
    waves = frequencies[1] * 2.0
    assert torch.allclose(waves, waves.round(), atol=1e-9)
    assert float(network.input.frequencies.norm(dim=1).max()) <= 2.0 + 0.5


def test_an_endless_landscape_is_one_picture_in_any_tiles() -> None:
    """Styles that flow along x on a cylinder (section 6), drawn by the renderer."""
    network = small(period=(0.0, 2.0))
    field = StyleField(styles_of(network, 3), Gradient(3, start=0.5, stop=4.5))
    canvas = Canvas(40, 200, window=(0.0, 0.0, 1.0, 5.0))
    pictures = []
    for tile in (64, 90):
        picture = torch.empty(1, 3, 40, 200).double()
        for place, image in painter_of(network, field, canvas, tile_edge=tile).images():
            picture[:, :, place.rows, place.columns] = image
        pictures.append(picture)
    assert relative_error(*pictures) <= 1e-4
    alone = network.synthesize(field.styles[:1], AxisGrid(canvas.rows(), canvas.columns(0, 8)))
    assert relative_error(pictures[0][..., :8], alone) <= 0.2
    assert relative_error(pictures[0][..., 76:84], pictures[0][..., 156:164]) > 0.1  # two turns on


# From the first phase of training to the second


@pytest.mark.parametrize("family", ["stylegan3", "anyres"])
def test_the_second_phase_goes_on_from_the_first(family: str) -> None:
    torch.manual_seed(1)
    config = AnyResConfig(**SMALL)
    first: StyleGAN3
    if family == "stylegan3":
        first = StyleGAN3(StyleGAN3Config(**SMALL))
    else:
        first = AnyRes(replace(config, scale_mapping="none"))
    second = AnyRes(config)
    second.load_state_dict(second.state_dict() | first.state_dict())
    z, where = torch.ones(1, 6), Canvas(32, 32).grid()
    assert second.scale is not None
    for affine in second.scale.affines:
        assert not affine.bias.any()
        with torch.no_grad():
            affine.weight.zero_()
    assert relative_error(second(z, None, where), first(z, None, where)) <= 1e-6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale_min": 8.0}, "scale_min 8.0, scale_max 8.0"),
        ({"scale_offset": float("nan")}, "scale_offset nan"),
        ({"period": (0.0, 0.5)}, "0 or at least 1 plane unit"),
        ({"resolution": 30}, "resolution 30"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AnyResConfig(**SMALL | settings)


def test_presets_build() -> None:
    for name, config in ANYRES_PRESETS.items():
        with torch.device("meta"):
            network = AnyRes(config)
        assert network.scale is not None, name
        assert network.margin == 3 * config.stride
