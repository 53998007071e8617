"""A prepared CREPS makes its plain twin's pictures, however they are cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from creps.checkpoints import from_state_dict
from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import UnsupportedError, UsageError
from creps.networks import _prepared
from creps.networks._prepared import Prepared
from creps.networks.base import coordinate_device
from creps.networks.creps import Creps, CrepsConfig
from golden_names import golden, relative_error
from tiny_creps import UNEVEN

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 0.1}
"""max|error| / max|plain picture|."""


def small(dtype: torch.dtype = torch.float64, **settings: Any) -> Creps:
    """A small network with biases that matter."""
    torch.manual_seed(0)
    network = Creps(CrepsConfig(**UNEVEN | settings)).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter += 0.1 * torch.randn_like(parameter)
    return network.to(dtype)


def mixed_styles(network: Creps) -> Tensor:
    """(1, K, D): another vector for each layer."""
    draw = torch.Generator().manual_seed(1)
    shape = 1, network.num_styles, network.config.w_dim
    return torch.randn(shape, generator=draw, dtype=torch.float64).to(network.to_rgb.weight)


def grid(height: int = 5, width: int = 7) -> AxisGrid:
    return Canvas(height, width, window=(0.1, -0.2, 0.6, 0.9)).grid()


def picture(prepared: Prepared, where: AxisGrid) -> Tensor:
    return prepared.compose(prepared.lines(where.ys, "rows"), prepared.lines(where.xs, "columns"))


@pytest.mark.parametrize("clamp", [0.0, 0.3, 256.0])
@pytest.mark.parametrize("resolution", [4, 16])
@pytest.mark.parametrize("composition", ["layerwise", "sum", "once"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pictures_are_the_plain_ones(
    composition: str, resolution: int, clamp: float, dtype: torch.dtype
) -> None:
    network = small(dtype, composition=composition, resolution=resolution, clamp=clamp)
    styles = mixed_styles(network)
    plain = network.synthesize(styles, grid())[0]
    drawn = picture(network.prepare(styles), grid())
    assert drawn.dtype == dtype
    assert relative_error(drawn, plain) <= TOLERANCE[dtype]


def test_gray_pictures_are_the_plain_ones() -> None:
    network = small(img_channels=1)
    styles = mixed_styles(network)
    drawn = picture(network.prepare(styles), grid())
    assert relative_error(drawn, network.synthesize(styles, grid())[0]) <= 1e-12


def test_golden_pictures() -> None:
    network = from_state_dict(golden("creps_a.weights"))
    assert isinstance(network, Creps)
    native = golden("creps_a.native")
    where = Canvas(32, 32, sampling="corners").grid()
    for styles, expected in zip(native["ws_mixed"], native["img_ws_mixed"], strict=True):
        assert relative_error(picture(network.prepare(styles[None]), where), expected) <= 2e-5


@pytest.mark.parametrize("axis", ["rows", "columns"])
@pytest.mark.parametrize("samples", [1, 1000])
def test_lines_are_the_plain_ones(axis: Any, samples: int) -> None:
    network = small()
    styles = mixed_styles(network)
    coords = torch.linspace(-3, 2, samples, dtype=torch.float64)
    plain = network.lines(styles, coords, axis)[0]
    assert relative_error(network.prepare(styles).lines(coords, axis), plain) <= 1e-12


def test_lines_keep_their_digits_in_deep_zooms() -> None:
    network = small(torch.float32)
    styles = mixed_styles(network)
    coords = 0.5 + torch.arange(9, dtype=torch.float64) * 1e-9
    plain = small(torch.float64).lines(styles.double(), coords, "rows")[0]
    drawn = network.prepare(styles).lines(coords, "rows")
    assert relative_error(drawn, plain) <= TOLERANCE[torch.float32]


@pytest.mark.parametrize("size", [(1, 1), (1, 2500), (2500, 1), (50, 60), (3, 2048)])
def test_pictures_of_any_shape_are_whole(size: tuple[int, int]) -> None:
    network = small()
    styles = mixed_styles(network)
    plain = network.synthesize(styles, grid(*size))[0]
    assert relative_error(picture(network.prepare(styles), grid(*size)), plain) <= 1e-12


def test_tiles_are_parts_of_the_whole() -> None:
    network = small()
    prepared, where = network.prepare(mixed_styles(network)), grid(30, 40)
    rows, columns = prepared.lines(where.ys, "rows"), prepared.lines(where.xs, "columns")
    tile = prepared.compose(rows[:, :, 7:20], columns[:, :, 11:16])
    whole = prepared.compose(rows, columns)
    assert relative_error(tile, whole[:, 7:20, 11:16]) <= 1e-12


def test_free_points_are_the_plain_ones() -> None:
    network = small()
    styles = mixed_styles(network)
    points = torch.rand(1, 2100, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    prepared = network.prepare(styles)
    rows = prepared.lines(points[0, :, 0], "rows")
    columns = prepared.lines(points[0, :, 1], "columns")
    plain = network.synthesize(styles, PointGrid(points))[0, :, 0]
    assert relative_error(prepared.compose_points(rows, columns), plain) <= 1e-12


def test_results_go_where_they_are_wanted() -> None:
    network = small()
    prepared, where = network.prepare(mixed_styles(network)), grid()
    shape = prepared.num_levels, prepared.line_channels, 5, prepared.thickness
    rows = torch.full(shape, torch.nan, dtype=torch.float64)
    assert prepared.lines(where.ys, "rows", out=rows) is rows
    columns = prepared.lines(where.xs, "columns")
    wall = torch.full((3, 9, 9), torch.nan, dtype=torch.float64)
    part = wall[:, 2:7, 1:8]
    assert prepared.compose(rows, columns, out=part) is part
    assert torch.equal(part, picture(prepared, where))
    assert int(wall.isnan().sum()) == 3 * (81 - 35)


def test_a_result_outlives_the_next_call() -> None:
    network = small()
    prepared = network.prepare(mixed_styles(network))
    first = picture(prepared, grid())
    kept = first.clone()
    picture(prepared, Canvas(6, 8, window=(2, 2, 3, 3)).grid())
    assert torch.equal(first, kept)


def test_threads_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_prepared, "PIXELS", 64)  # many turns of the interpreter's lock
    network = small()
    prepared = network.prepare(mixed_styles(network))
    places = [Canvas(40, 30, window=(k, 0, k + 1, 1)).grid() for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda where: picture(prepared, where), places * 3))
    for where, drawn in zip(places * 3, together, strict=True):
        assert torch.equal(drawn, picture(prepared, where))


def test_half_precision_is_chosen_and_colors_stay_float32() -> None:
    network = small(torch.float32)
    styles = mixed_styles(network)
    prepared = network.prepare(styles, dtype=torch.bfloat16)
    assert prepared.lines(grid().ys, "rows").dtype == torch.bfloat16
    drawn = picture(prepared, grid())
    assert drawn.dtype == torch.float32
    assert relative_error(drawn, network.synthesize(styles, grid())[0]) <= 0.1


def test_half_precision_keeps_its_phases() -> None:
    """Waves of far coordinates are as good as those of near ones."""
    network = small(torch.float32)
    styles = mixed_styles(network)
    far = Canvas(5, 7, window=(5000.1, -0.2, 5000.6, 0.9)).grid()
    drawn = picture(network.prepare(styles, dtype=torch.bfloat16), far)
    assert relative_error(drawn, network.synthesize(styles, far)[0]) <= 0.1


def test_the_door_of_the_generator_leads_here() -> None:
    network = small(torch.float32)
    prepared = network.prepare(mixed_styles(network), dtype=torch.float64)
    assert isinstance(prepared, Prepared)
    assert prepared.dtype == torch.float64
    assert prepared.device == network.device


def test_its_bytes_are_those_of_the_weights_in_use() -> None:
    network = small(torch.float32)
    single, double = (
        network.prepare(mixed_styles(network), dtype=dtype)
        for dtype in (torch.float32, torch.float64)
    )
    frequencies = network.input.frequencies.numel() * 8  # float64 in any case
    assert double.nbytes - frequencies == 2 * (single.nbytes - frequencies)
    unused = (network.input.affine, network.mapping)
    most = sum(p.nbytes for p in network.parameters())
    most -= sum(p.nbytes for part in unused for p in part.parameters())
    assert 0.5 * most < single.nbytes - frequencies <= most


def test_coordinates_stay_where_float64_is() -> None:
    assert coordinate_device(torch.device("mps")) == torch.device("cpu")
    assert coordinate_device(torch.device("cuda", 1)) == torch.device("cuda", 1)


def test_the_generator_stays_as_it_was() -> None:
    network = small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    prepared = network.prepare(mixed_styles(network))
    drawn = picture(prepared, grid())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert torch.equal(picture(prepared, grid()), drawn)


def test_operations_are_counted() -> None:
    network = small(resolution=8)
    prepared = network.prepare(mixed_styles(network))
    line = 12 * 12 + (12 * 12 + 12 * 12 + 12 * 6)  # blocks 4 and 8, the latter emits
    assert prepared.line_flops == 2 * 3 * line
    pixel = 6 * 3 + (6 * 8 + 8 * 7 + 7 * 6) + 6 * 3  # composition, one decoder, color
    pixel += (6 * 9 + 9 * 9 + 9 * 3) + (9 * 5 + 5 * 5 + 5 * 3)
    assert prepared.pixel_flops == 2 * pixel


def test_styles_of_several_pictures_are_refused() -> None:
    network = small()
    with pytest.raises(UsageError, match=r"\(2, 7, 10\): expected \(1, 7, 10\)"):
        network.prepare(mixed_styles(network).repeat(2, 1, 1))


def test_networks_without_lines_are_refused() -> None:
    network = small(composition="dense")
    with pytest.raises(UnsupportedError, match="no lines"):
        network.prepare(mixed_styles(network))
