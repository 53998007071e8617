"""The ScaleParty-style baseline draws any evenly spaced grid, and any part of it alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import ConfigError, GridError, UsageError
from creps.networks.scaleparty import (
    SCALEPARTY_PRESETS,
    PositionEncoding,
    ScaleParty,
    ScalePartyConfig,
    lattices,
)
from golden_names import relative_error

EXACT = 1e-11
"""max|error| / max|reference| in float64."""
SMALL: dict[str, Any] = {
    "resolution": 16, "coarse": 4, "z_dim": 6, "w_dim": 5, "mapping_layers": 2,
    "channel_base": 64, "channel_max": 8, "octaves": 4,
}  # fmt: skip
CANVASES = (
    Canvas(21, 34),
    Canvas(33, 18, (-0.3, 0.1, 0.77, 2.3)),
    Canvas(20, 31, sampling="corners"),
    Canvas(30, 20, (0.41, 0.2, 0.43, 0.21)),
)


def small(**settings: Any) -> ScaleParty:
    """A small float64 network in which every bias matters."""
    torch.manual_seed(0)
    network = ScaleParty(ScalePartyConfig(**SMALL | settings)).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter += 0.3 * torch.randn_like(parameter)
    return network


def random_styles(network: ScaleParty, count: int = 1) -> Tensor:
    shape = (count, network.num_styles, network.config.w_dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("coarse", [2, 4, 16])
def test_parts_of_a_grid_are_parts_of_its_picture(canvas: Canvas, coarse: int) -> None:
    network = small(coarse=coarse)
    styles, grid = random_styles(network, 2), canvas.grid()
    whole = network.synthesize(styles, grid)
    assert whole.shape == (2, 3, canvas.height, canvas.width)
    scale = whole.detach().abs().max()
    for top in range(0, canvas.height, 7):
        for left in range(0, canvas.width, 8):
            rows, columns = slice(top, top + 7), slice(left, left + 8)
            part = network.synthesize(styles, AxisGrid(grid.ys[rows], grid.xs[columns]))
            assert (part - whole[:, :, rows, columns]).abs().max() <= EXACT * scale


def test_a_picture_goes_on_beyond_its_borders() -> None:
    """No border is seen by the layers: the same places look the same in a larger picture."""
    network = small()
    styles = random_styles(network)
    inside = network.synthesize(styles, Canvas(16, 16).grid())
    around = network.synthesize(styles, Canvas(32, 48, (-0.5, -1, 1.5, 2)).grid())
    assert relative_error(around[:, :, 8:24, 16:32], inside) <= EXACT


def test_details_depend_on_the_scale() -> None:
    """As they do in convolutional networks (CREPS, Table 3); the loss is there to hold them."""
    network = small()
    styles = random_styles(network)
    coarse = network.synthesize(styles, Canvas(16, 16).grid())
    fine = network.synthesize(styles, Canvas(32, 32).grid())
    reduced = torch.nn.functional.avg_pool2d(fine, 2)
    assert relative_error(reduced, coarse) > 1e-3


def test_every_style_is_used() -> None:
    network = small()
    base, grid = random_styles(network), Canvas(9, 12).grid()
    before = network.synthesize(base, grid)
    assert network.num_styles == 7
    for index in range(network.num_styles):
        styles = base.clone()
        styles[:, index] += 1
        assert (network.synthesize(styles, grid) != before).any(), index


def test_gradients_reach_every_weight_twice() -> None:
    network = small()
    styles = network.map(torch.randn(2, 6, dtype=torch.float64))
    picture = network.synthesize(styles, Canvas(10, 14).grid())
    (slope,) = torch.autograd.grad(picture.square().sum(), styles, create_graph=True)
    slope.square().sum().backward()  # as the path length penalty does
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_an_encoding_keeps_what_its_grid_can_hold() -> None:
    """Half a cycle a unit at spacing 1/4: the limit is 2 cycles, fading begins at 1."""
    ys = torch.arange(3, dtype=torch.float64) / 4
    channels = PositionEncoding(4)(ys, ys[:2] / 4, (1.0, -20.0))
    assert channels.shape == (18, 3, 2)
    assert torch.allclose(channels[0, :, 0], torch.sin(torch.pi * ys))
    assert torch.allclose(channels[1, :, 1], torch.sin(2 * torch.pi * ys), atol=1e-15)
    assert (channels[2:4] == 0).all()  # 2 and 4 cycles a unit
    assert (channels[4 + 2 : 4 + 4] == 0).all()  # and their cosines
    assert torch.allclose(channels[8 + 7, 0], torch.cos(8 * torch.pi * ys[:2] / 4))
    assert channels[16].unique().tolist() == [0.25]
    assert channels[17].unique().tolist() == [-2.0]  # scales beyond reach stay at its end


def test_lattices_count_pixels_from_the_origin() -> None:
    rows, columns = lattices(Canvas(4, 8, (-0.5, 0.25, 0.5, 2.25)).grid(), 16)
    assert (rows.first, rows.count, rows.spacing) == (-2, 4, 0.25)
    assert (columns.first, columns.count, columns.spacing) == (1, 8, 0.25)
    assert rows.phase == pytest.approx(0, abs=1e-12)
    assert rows.cells(-1, 1, 1).tolist() == pytest.approx([-0.25, 0.25])


def test_single_samples_take_the_other_spacing() -> None:
    grid = Canvas(1, 8, (0, 0, 0.5, 1)).grid()
    rows, columns = lattices(grid, 16)
    assert rows.spacing == columns.spacing == 0.125
    rows, columns = lattices(Canvas(1, 1).grid(), 16)
    assert rows.spacing == columns.spacing == 1 / 16


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (PointGrid(torch.rand(3, 4, 2)), "not free points"),
        (AxisGrid(torch.tensor([0.1, 0.2, 0.4]), torch.rand(1)), "rows of this grid are not even"),
        (AxisGrid(torch.rand(1), torch.tensor([0.3, 0.2])), "columns of this grid are not even"),
        (AxisGrid(torch.tensor([0.3, 0.3]), torch.rand(1)), "rows of this grid are not even"),
    ],
)
def test_other_grids_are_refused(grid: Any, message: str) -> None:
    network = small()
    with pytest.raises(GridError, match=message) as caught:
        network.synthesize(random_styles(network), grid)
    assert str(caught.value).isprintable()


def test_styles_of_another_network_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected \(B, 7, 5\)"):
        small().synthesize(torch.ones(1, 6, 5), Canvas(4, 4).grid())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 24}, "resolution 24: expected a power of two"),
        ({"coarse": 3}, "coarse 3: expected a power of two"),
        ({"coarse": 32}, "coarse 32: expected at most 16"),
        ({"octaves": 0}, "octaves 0"),
        ({"octaves": 65}, "at most 64"),
        ({"label_dim": -1}, "label_dim -1"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ScalePartyConfig(**SMALL | change)


@pytest.mark.parametrize("preset", SCALEPARTY_PRESETS)
def test_presets_build(preset: str) -> None:
    config = SCALEPARTY_PRESETS[preset]
    with torch.device("meta"):
        network = ScaleParty(config)
    assert len(network.blocks) == config.doublings + 1
    assert config.sizes[-1] == config.resolution
