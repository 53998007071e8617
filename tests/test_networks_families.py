"""One interface: what holds for every registered family of generators.

A new family needs an entry in `TINY`, and then has to keep these promises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import creps
from creps.checkpoints import load, save
from creps.coordinates import AxisGrid, Canvas, PointGrid
from creps.errors import GridError, LabelError, UsageError
from creps.networks.base import Generator, build_generator, describe_generator, families

EXACT = 1e-11
"""max|error| / max|reference| in float64."""
COMMON: dict[str, Any] = {"resolution": 16, "z_dim": 6, "w_dim": 5, "mapping_layers": 2}


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """A tiny network of a family, and what it can be asked for.

    Attributes:
        config: beside label_dim.
        sizes: (height, width) of pictures of the unit square, undistorted or not.
        free: whether it draws free points.
        uneven: whether it draws rows at any places.
    """

    config: dict[str, Any]
    sizes: tuple[tuple[int, int], ...] = ((13, 22), (37, 18))
    free: bool = True
    uneven: bool = True


ALIAS_FREE = COMMON | {
    "num_layers": 3, "num_critical": 1, "channel_base": 64, "channel_max": 6,
}  # fmt: skip

TINY = {
    "anyres": Tiny(config=ALIAS_FREE | {"scale_max": 4.0}, free=False, uneven=False),
    "cips": Tiny(config=COMMON | {"features": 8, "widths": (8, 6)}),
    "creps": Tiny(
        config=COMMON
        | {
            "channel_max": 8, "thickness": 2, "line_channels": 4, "decoder_widths": (6,),
            "refinement_widths": (5, 3), "bandwidth": 1.5,
        }
    ),
    "scaleparty": Tiny(
        config=COMMON | {"channel_max": 8, "coarse": 4, "octaves": 4}, free=False, uneven=False
    ),
    "stylegan2": Tiny(
        config=COMMON | {"channel_max": 8}, sizes=((16, 16),), free=False, uneven=False
    ),
    "stylegan3": Tiny(config=ALIAS_FREE, free=False, uneven=False),
}  # fmt: skip

every_family = pytest.mark.parametrize("family", families())


def tiny(family: str) -> Tiny:
    """The entry of a family."""
    if family not in TINY:
        pytest.fail(f"family {family!r} has no tiny config in tests/test_networks_families.py")
    return TINY[family]


@cache
def network(family: str, label_dim: int = 0) -> Generator:
    """A float64 network whose biases and average matter; the same in every test."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = build_generator(family, tiny(family).config | {"label_dim": label_dim}).double()
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter += 0.2 * torch.randn_like(parameter)
        made.mapping.average.normal_()
    return made


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
    for name in ("resolution", "img_channels", "z_dim", "label_dim", "sampling"):
        assert hasattr(made.config, name), name
    assert describe_generator(made)[0] == family
    assert made.margin >= 0


@every_family
@torch.inference_mode()
def test_styles_and_pictures_have_the_shapes_of_the_door(family: str) -> None:
    made = network(family)
    styles = made.map(latents(made, 2))
    assert styles.ndim == 3
    assert styles.shape[:2] == (2, made.num_styles)
    for size in tiny(family).sizes:
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
    grid = canvas(made, tiny(family).sizes[0]).grid()
    together = made.synthesize(styles, grid)
    for sample in range(3):
        alone = made.synthesize(styles[sample : sample + 1], grid)
        assert error(alone, together[sample : sample + 1]) <= EXACT


@every_family
@torch.inference_mode()
def test_a_forward_pass_changes_nothing(family: str) -> None:
    made = network(family)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    grid = canvas(made, tiny(family).sizes[0]).grid()
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
    z, grid = latents(made, 1), canvas(made, tiny(family).sizes[0]).grid()
    pictures = [made.synthesize(made.map(z, torch.tensor([k])), grid) for k in (0, 2)]
    assert (pictures[0] != pictures[1]).any()
    with pytest.raises(LabelError, match="this model has 3 classes"):
        made.map(z)


@every_family
def test_a_saved_model_draws_the_same_picture(family: str, tmp_path: Path) -> None:
    made = build_generator(family, tiny(family).config)
    save(made, tmp_path / "model", record={"credits": "nobody"})
    loaded = load(tmp_path / "model")
    assert loaded.config == made.config
    assert loaded.record == {"credits": "nobody"}
    z, grid = latents(made, 1), canvas(made, tiny(family).sizes[0]).grid()
    expected = made.synthesize(made.map(z), grid)
    assert torch.equal(loaded.synthesize(loaded.map(z), grid), expected)


@every_family
@torch.inference_mode()
def test_tiles_of_any_edge_make_the_same_picture(family: str) -> None:
    """Rendered pictures are what `synthesize` draws, to a level of rounding, at every size."""
    made = network(family)
    styles = made.map(latents(made, 1))
    for size in tiny(family).sizes:
        expected = made.synthesize(styles, canvas(made, size).grid())[0].permute(1, 2, 0)
        levels = ((expected + 1) * 127.5).clamp(0, 255).numpy()
        for tile in (7, 12, 64):  # of 37 rows, 12 leave a tile of one
            drawn = creps.render(made, styles=styles, size=size, window=(0, 0, 1, 1), tile=tile)
            assert drawn.shape == (*size, made.config.img_channels)
            assert abs(drawn - levels).max() <= 0.51, (size, tile)


@every_family
@torch.inference_mode()
def test_gradients_reach_the_latent(family: str) -> None:
    made = network(family)
    with torch.inference_mode(False), torch.enable_grad():
        z = latents(made, 1).clone().requires_grad_(True)
        picture = made.synthesize(made.map(z), canvas(made, tiny(family).sizes[0]).grid())
        picture.square().sum().backward()
        assert z.grad is not None
        assert z.grad.abs().sum() > 0


@every_family
@torch.inference_mode()
def test_other_grids_are_drawn_or_refused_in_one_line(family: str) -> None:
    made, can = network(family), tiny(family)
    styles = made.map(latents(made, 1))
    points = torch.rand(3, 4, 2, dtype=torch.float64)
    rows = torch.tensor([0.1, 0.2, 0.7, 0.75], dtype=torch.float64)
    for grid, accepted in (
        (PointGrid(points), can.free),
        (AxisGrid(rows, rows[:3]), can.uneven),
        (Canvas(9, 14, (-0.2, 0.3, 0.5, 1.4)).grid(), len(can.sizes) > 1),
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
    grid = canvas(made, tiny(family).sizes[0]).grid()
    with pytest.raises(UsageError, match=r"expected \(B, 6\)"):
        made.map(torch.ones(1, 7))
    with pytest.raises(UsageError, match="styles of shape"):
        made.synthesize(torch.ones(1, made.num_styles + 1, 5, dtype=torch.float64), grid)
