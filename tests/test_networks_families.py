"""One interface: what holds for every registered family of generators, and what each can do.

A new family is tested by being registered: its tiny network takes those of the settings below that
its config has.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import creps
from creps.checkpoints import load, save
from creps.checkpoints._store import skeleton
from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import (
    CheckpointError,
    ConfigError,
    GridError,
    LabelError,
    UnsupportedError,
    UsageError,
)
from creps.networks.base import (
    Generator,
    GeneratorConfig,
    build_generator,
    describe_generator,
    families,
    family_config,
    read_config,
)

EXACT = 1e-11
"""max|error| / max|reference| in float64."""
TINY: dict[str, Any] = {
    "resolution": 16, "z_dim": 6, "w_dim": 5, "mapping_layers": 2, "channel_base": 64,
    "channel_max": 8, "num_layers": 3, "num_critical": 1, "scale_max": 4.0, "features": 8,
    "widths": (8, 6), "thickness": 2, "line_channels": 4, "decoder_widths": (6,),
    "refinement_widths": (5, 3), "bandwidth": 1.5, "coarse": 4, "octaves": 4,
}  # fmt: skip

every_family = pytest.mark.parametrize("family", families())


@cache
def network(family: str, **changes: Any) -> Generator:
    """A float64 network whose biases and average matter; the same in every test."""
    known = {field.name for field in fields(family_config(family))}
    config = {name: value for name, value in (TINY | changes).items() if name in known}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = build_generator(family, config).double()
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter += 0.2 * torch.randn_like(parameter)
        made.mapping.average.normal_()
    return made


def sizes(made: Generator) -> list[tuple[int, int]]:
    """(height, width) of pictures of the unit square, undistorted or not."""
    return [(13, 22), (37, 18)] if made.tileable else [(16, 16)]


def canvas(made: Generator, size: tuple[int, int]) -> Canvas:
    return Canvas(*size, sampling=made.sampling)


def latents(made: Generator, count: int) -> Tensor:
    shape = (count, made.config.z_dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(4)).double()


def error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return float((actual - expected).abs().max() / expected.abs().max())


@every_family
def test_the_config_has_what_every_config_has(family: str) -> None:
    made = network(family)
    assert isinstance(made.config, GeneratorConfig)
    assert made.family == family
    assert describe_generator(made)[0] == family
    assert made.margin >= 0


@every_family
@torch.inference_mode()
def test_styles_and_pictures_have_the_shapes_of_the_door(family: str) -> None:
    made = network(family)
    styles = made.map(latents(made, 2))
    assert styles.ndim == 3
    assert styles.shape[:2] == (2, made.num_styles)
    for size in sizes(made):
        picture = made.synthesize(styles, canvas(made, size).grid())
        assert picture.shape == (2, made.config.img_channels, *size)
        assert picture.dtype == torch.float64
        assert picture.std() > 0
        assert (picture[0] != picture[1]).any()


@every_family
@torch.inference_mode()
def test_a_picture_does_not_depend_on_its_batch(family: str) -> None:
    made = network(family)
    styles = made.map(latents(made, 3))
    grid = canvas(made, sizes(made)[0]).grid()
    together = made.synthesize(styles, grid)
    for sample in range(3):
        alone = made.synthesize(styles[sample : sample + 1], grid)
        assert error(alone, together[sample : sample + 1]) <= EXACT


@every_family
@torch.inference_mode()
def test_a_forward_pass_changes_nothing(family: str) -> None:
    made = network(family)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    grid = canvas(made, sizes(made)[0]).grid()
    state = torch.random.get_rng_state()
    first = made.synthesize(made.map(latents(made, 1)), grid)
    assert torch.equal(made.synthesize(made.map(latents(made, 1)), grid), first)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@every_family
@torch.inference_mode()
def test_truncation_leads_to_the_average_picture(family: str) -> None:
    made = network(family)
    z = latents(made, 2)
    assert torch.equal(made.map(z), made.map(z, truncation=1.0))
    average = made.map(z, truncation=0.0)
    assert torch.allclose(average, made.mapping.average.expand_as(average))
    half = made.map(z, truncation=0.5, truncation_cutoff=1)
    assert torch.equal(half[:, 1:], made.map(z)[:, 1:])
    assert (half[:, 0] != made.map(z)[:, 0]).any()


@every_family
@torch.inference_mode()
def test_labels_change_the_picture(family: str) -> None:
    made = network(family, label_dim=3)
    z, grid = latents(made, 1), canvas(made, sizes(made)[0]).grid()
    pictures = [made.synthesize(made.map(z, torch.tensor([k])), grid) for k in (0, 2)]
    assert (pictures[0] != pictures[1]).any()
    with pytest.raises(LabelError, match="this model has 3 classes"):
        made.map(z)


@every_family
def test_a_saved_model_draws_the_same_picture(family: str, tmp_path: Path) -> None:
    made = copy.deepcopy(network(family)).float()
    save(made, tmp_path / "model", record={"credits": "nobody"})
    loaded = load(tmp_path / "model")
    assert loaded.config == made.config
    assert loaded.record == {"credits": "nobody"}
    z, grid = latents(made, 1), canvas(made, sizes(made)[0]).grid()
    expected = made.synthesize(made.map(z), grid)
    assert torch.equal(loaded.synthesize(loaded.map(z), grid), expected)


ABSURD = (0, -1, 2**20, 2**31, 2**64, 10**30, 2**1000, 2**1030, 0.5, 1e38, 1e308, True, None, "x")
LISTS = ([], [0], [-1], [0, 8], [2**63], [10**30, 1], [0.5], [[1]], [1] * 65, {})


@every_family
@pytest.mark.filterwarnings("error")
def test_absurd_settings_make_a_network_or_one_line(family: str) -> None:
    names = [field.name for field in fields(family_config(family))]
    known = {name: value for name, value in TINY.items() if name in names}
    refused = 0
    for name in names:
        for value in (*ABSURD, *LISTS, float("nan"), float("inf")):
            try:
                made = skeleton(family, known | {name: value})
            except (ConfigError, CheckpointError):
                refused += 1
            else:
                held = sum(tensor.nbytes for tensor in made.buffers() if not tensor.is_meta)
                assert held < 2**24, f"{name} {value}"
    assert refused > len(names)


@every_family
def test_configs_of_earlier_versions_are_read(family: str) -> None:
    assert read_config(family, {"resolution": 16, "sampling": "centres"}).sampling == "centers"
    assert read_config(family, {"resolution": 16}).sampling == "centers"


@every_family
@torch.inference_mode()
def test_tiles_of_any_edge_make_the_same_picture(family: str) -> None:
    """Rendered pictures are what `synthesize` draws, to a level of rounding, at every size."""
    made = network(family)
    styles = made.map(latents(made, 1))
    for size in sizes(made):
        expected = made.synthesize(styles, canvas(made, size).grid())[0].permute(1, 2, 0)
        levels = ((expected + 1) * 127.5).clamp(0, 255).numpy()
        for tile in (7, 12, 64):  # of 37 rows, 12 leave a tile of one
            drawn = creps.render(
                made, styles=styles, size=size, window=(0, 0, 1, 1), tile_edge=tile
            )
            assert drawn.shape == (*size, made.config.img_channels)
            assert abs(drawn - levels).max() <= 0.51, (size, tile)


@every_family
@torch.inference_mode()
def test_gradients_reach_the_latent(family: str) -> None:
    made = network(family)
    with torch.inference_mode(False), torch.enable_grad():
        z = latents(made, 1).clone().requires_grad_(True)
        picture = made.synthesize(made.map(z), canvas(made, sizes(made)[0]).grid())
        picture.square().sum().backward()
        assert z.grad is not None
        assert z.grad.abs().sum() > 0


@every_family
@torch.inference_mode()
def test_other_grids_are_drawn_or_refused_in_one_line(family: str) -> None:
    made = network(family)
    styles = made.map(latents(made, 1))
    points = torch.rand(3, 4, 2, dtype=torch.float64)
    rows = torch.tensor([0.1, 0.2, 0.7, 0.75], dtype=torch.float64)
    for grid, accepted in (
        (PointGrid(points), made.pixelwise),
        (AxisGrid(rows, rows[:3]), made.pixelwise),
        (Canvas(9, 14, (-0.2, 0.3, 0.5, 1.4)).grid(), made.tileable),
    ):
        if accepted:
            assert made.synthesize(styles, grid).shape[2:] == grid.shape
            continue
        with pytest.raises(GridError) as caught:
            made.synthesize(styles, grid)
        assert re.fullmatch(r"[^\n]{20,250}", str(caught.value))


@every_family
@torch.inference_mode()
def test_styles_and_latents_of_other_widths_are_refused(family: str) -> None:
    made = network(family)
    grid = canvas(made, sizes(made)[0]).grid()
    with pytest.raises(UsageError, match=r"expected \(B, 6\)"):
        made.map(torch.ones(1, 7))
    with pytest.raises(UsageError, match="styles of shape"):
        made.synthesize(torch.ones(1, made.num_styles + 1, 5, dtype=torch.float64), grid)


# What a family can do, or refuses in one line


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(UnsupportedError) as caught:
        call()
    assert re.fullmatch(r"[^\n]{20,150}", str(caught.value))


@every_family
@torch.inference_mode()
def test_lines_meet_to_the_picture_or_there_are_none(family: str) -> None:
    made = network(family)
    styles, where = made.map(latents(made, 1)), Canvas(5, 9, (-0.2, 0.1, 0.7, 1.4))
    if not made.separable:
        lines = torch.ones(1, 1, 1, 1, 1)
        refused(lambda: made.lines(styles, where.rows(), "rows"))
        refused(lambda: made.compose(lines, lines, styles))
        refused(lambda: made.compose_blended(lines, lines, styles, weights=torch.ones(1, 1, 1)))
        refused(lambda: made.prepare(styles))
        return
    expected = made.synthesize(styles, where.grid())
    rows = made.lines(styles, where.rows(), "rows")
    columns = made.lines(styles, where.columns(), "columns")
    assert error(made.compose(rows, columns, styles), expected) <= EXACT
    prepared = made.prepare(styles)
    halves = prepared.lines(where.rows(), "rows"), prepared.lines(where.columns(), "columns")
    assert error(prepared.compose(*halves), expected[0]) <= EXACT


@every_family
@torch.inference_mode()
def test_pixels_of_pixelwise_families_are_the_same_anywhere(family: str) -> None:
    made = network(family)
    if not made.pixelwise:
        return  # other grids are refused, as tested above
    styles, grid = made.map(latents(made, 1)), Canvas(4, 6).grid()
    picture = made.synthesize(styles, grid)
    points = torch.stack(torch.meshgrid(grid.ys, grid.xs, indexing="ij"), 2)
    scattered = points.flatten(0, 1)[torch.randperm(24)][None]
    order = [int((points.flatten(0, 1) == p).all(1).nonzero()) for p in scattered[0]]
    drawn = made.synthesize(styles, PointGrid(scattered))
    assert error(drawn[:, :, 0], picture.flatten(2)[:, :, order]) <= EXACT


def halves(points: Tensor) -> Tensor:
    """The first style on the left, the second on the right, both in between."""
    right = points[:, 1].clamp(0, 1)
    return torch.stack([1 - right, right])


@every_family
@torch.inference_mode()
def test_blends_are_each_styles_own_where_it_is_alone(family: str) -> None:
    made = network(family)
    styles = made.map(latents(made, 2))
    middle = Canvas(5, 9).grid()
    if not made.blends:
        refused(lambda: made.blend(styles, middle, weights=halves))
        return
    for k, x in enumerate((-9, 9)):  # far from the change
        grid = Canvas(5, 9, (0, x, 0.7, x + 1)).grid()
        own = made.synthesize(styles[k : k + 1], grid)
        assert error(made.blend(styles, grid, weights=halves), own) <= EXACT
        there = [(0.25, x + 0.5)] * 2
        moved = AxisGrid(grid.ys - there[0][0], grid.xs - there[0][1])
        own = made.synthesize(styles[k : k + 1], moved)
        assert error(made.blend(styles, grid, weights=halves, origins=there), own) <= EXACT
    mixed = made.blend(styles, middle, weights=halves)
    for own in made.synthesize(styles, middle).split(1):
        assert error(mixed, own) > 1e-3
    same = made.blend(styles[[0, 0]], middle, weights=halves)
    assert error(same, made.synthesize(styles[:1], middle)) <= EXACT


@every_family
@torch.inference_mode()
def test_a_network_goes_on_from_its_like(family: str) -> None:
    made, learnt = network(family, fresh=True), network(family)
    for parameter in made.parameters():
        parameter.normal_()
    made.grow_from(learnt.config, learnt.state_dict())
    grid, z = canvas(made, sizes(made)[0]).grid(), latents(made, 1)
    picture = learnt.synthesize(learnt.map(z), grid)
    assert error(made.synthesize(made.map(z), grid), picture) <= EXACT
    other = network(family, w_dim=4)
    refused(lambda: made.grow_from(other.config, other.state_dict()))
    for name, tensor in learnt.state_dict().items():
        assert torch.equal(made.state_dict()[name], tensor), name


@every_family
@torch.inference_mode()
def test_a_larger_network_goes_on_from_a_smaller_one_or_refuses(family: str) -> None:
    made, learnt = network(family, resolution=32), network(family)
    if type(made).grow_from is Generator.grow_from:
        with pytest.raises(UnsupportedError, match="resolution is 16 there, 32 here"):
            made.grow_from(learnt.config, learnt.state_dict())
        return
    made.grow_from(learnt.config, learnt.state_dict())
    for name, tensor in learnt.state_dict().items():  # nothing that was learnt is lost
        assert any(torch.equal(tensor, own) for own in made.state_dict().values()), name
    assert made.synthesize(made.map(latents(made, 1)), Canvas(5, 7).grid()).isfinite().all()
    refused(lambda: learnt.grow_from(made.config, made.state_dict()))


@every_family
@torch.inference_mode()
def test_magnitudes_are_measured_and_tracked_where_layers_divide_by_them(family: str) -> None:
    made = network(family, magnitudes=True)
    styles, grid = made.map(latents(made, 1)), canvas(made, sizes(made)[0]).grid()
    if not made.tracks_magnitudes:
        refused(lambda: made.synthesize_measured(styles, grid))
        refused(lambda: made.track_magnitudes(torch.ones(1), images=1))
        return
    picture, magnitudes = made.synthesize_measured(styles, grid)
    assert torch.equal(picture, made.synthesize(styles, grid))
    made.track_magnitudes(magnitudes, images=10**9)
    assert (made.synthesize(styles, grid) != picture).any()
