"""StyleGAN2 draws the official pictures on its one grid, and says clearly that it has no other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from creps.checkpoints import from_state_dict
from creps.coordinates import AxisGrid, Canvas, PointGrid, pixel_corners
from creps.errors import ConfigError, GridError, UsageError
from creps.networks.stylegan2 import STYLEGAN2_PRESETS, ModulatedConv2d, StyleGAN2, StyleGAN2Config
from golden_names import golden, relative_error
from official_stylegan2 import official_picture, official_tensors

TOLERANCE = 2e-5
"""max|error| / max|reference| in float32."""
EXACT = 1e-11
"""The same in float64."""
SMALL: dict[str, Any] = {
    "resolution": 16, "z_dim": 6, "w_dim": 5, "mapping_layers": 2, "channel_base": 64,
    "channel_max": 8,
}  # fmt: skip
ARCHITECTURES = ("skip", "resnet", "orig")


def small(**settings: Any) -> StyleGAN2:
    """A small float64 network in which every bias and noise matters."""
    torch.manual_seed(0)
    network = StyleGAN2(StyleGAN2Config(**SMALL | settings)).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                parameter.normal_()
    return network


def own_grid(network: StyleGAN2) -> AxisGrid:
    return Canvas(network.config.resolution, network.config.resolution).grid()


def random_styles(network: StyleGAN2, count: int) -> Tensor:
    shape = (count, network.num_styles, network.config.w_dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()


def test_official_pictures_with_and_without_noise() -> None:
    expected = golden("sg2_G_skip.io")
    network = from_state_dict(golden("sg2_G_skip.weights"))
    assert isinstance(network, StyleGAN2)
    grid = own_grid(network)
    styles = network.map(expected["z"])
    assert relative_error(styles, expected["ws"]) <= TOLERANCE
    truncated = network.map(expected["z"], truncation=0.7)
    assert relative_error(truncated, expected["ws_psi0.7"]) <= TOLERANCE
    for given, noise, name in (
        (styles, None, "img_none"),
        (styles, "off", "img_none"),
        (styles, "const", "img_const"),
        (styles, "const", "img_const_nonfused"),
        (expected["ws_mixed"], "off", "img_ws_mixed_none"),
        (truncated, "const", "img_psi0.7_const"),
    ):
        picture = network.synthesize(given, grid, noise=noise)
        assert relative_error(picture, expected[name]) <= TOLERANCE
    stages = network.stages(styles[:1], noise="const")
    for size, (x, picture) in zip((4, 8, 16, 32), stages, strict=True):
        assert relative_error(x, expected[f"b{size}.x"]) <= TOLERANCE
        assert picture is not None
        assert relative_error(picture, expected[f"b{size}.img"]) <= TOLERANCE


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("noise", ["off", "const"])
def test_every_architecture_is_its_definition(architecture: str, noise: Any) -> None:
    tensors = official_tensors(widths={4: 6, 8: 6, 16: 4}, architecture=architecture)
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    network = from_state_dict(tensors).double()
    assert isinstance(network, StyleGAN2)
    assert network.config.architecture == architecture
    # The network has rounded its weights to float32: so does the definition.
    tensors = {name: tensor.float().double() for name, tensor in tensors.items()}
    styles = random_styles(network, 2)
    picture = network.synthesize(styles, own_grid(network), noise=noise)
    for sample in (0, 1):
        expected = official_picture(tensors, styles[sample], noise=noise == "const")
        assert relative_error(picture[sample : sample + 1], expected) <= EXACT


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("stylegan2-256-half", 24_767_458),
        ("stylegan2-256", 30_034_338),
        ("stylegan2-512", 30_276_583),
        ("stylegan2-1024", 30_370_060),
    ],
)
def test_presets_have_the_official_number_of_parameters(preset: str, parameters: int) -> None:
    with torch.device("meta"):
        network = StyleGAN2(STYLEGAN2_PRESETS[preset])
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("noise", ["off", "const"])
def test_a_picture_does_not_depend_on_its_batch(architecture: str, noise: Any) -> None:
    network = small(architecture=architecture)
    styles = random_styles(network, 3)
    together = network.synthesize(styles, own_grid(network), noise=noise)
    alone = network.synthesize(styles[1:2], own_grid(network), noise=noise)
    assert relative_error(alone, together[1:2]) <= EXACT


def test_every_style_is_used_where_the_paper_says() -> None:
    network = small()
    base = random_styles(network, 1)
    before = [x for x, _ in network.stages(base)]
    for index in range(network.num_styles):
        styles = base.clone()
        styles[:, index] += 1
        changed = [bool((a != b).any()) for a, (b, _) in zip(before, network.stages(styles))]  # noqa: B905
        # Block 0 has one layer; block j has layers 2 j - 1 and 2 j. The last style only colors.
        first = (index + 1) // 2
        assert changed == [block >= first for block in range(3)], index
        grid = own_grid(network)
        assert (network.synthesize(styles, grid) != network.synthesize(base, grid)).any()


def test_noise_is_a_function_of_its_generator() -> None:
    network, grid = small(), own_grid(small())
    styles = random_styles(network, 2)

    def drawn(seed: int) -> Tensor:
        return network.synthesize(styles, grid, noise=torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2)).any()
    assert (drawn(1) != network.synthesize(styles, grid)).any()
    same = network.synthesize(
        styles[:1].expand(2, -1, -1), grid, noise=torch.Generator().manual_seed(1)
    )
    assert (same[0] - same[1]).abs().max() > 1e-3  # each picture has noise of its own


def test_the_config_says_which_noise_is_meant_by_default() -> None:
    off, const = small(), small(noise="const")
    const.load_state_dict(off.state_dict())
    styles, grid = random_styles(off, 1), own_grid(off)
    assert torch.equal(off.synthesize(styles, grid), off.synthesize(styles, grid, noise="off"))
    expected = off.synthesize(styles, grid, noise="const")
    assert (expected != off.synthesize(styles, grid)).any()
    assert torch.equal(const.synthesize(styles, grid), expected)


def test_a_network_without_noise_inputs_has_none() -> None:
    network = small(noise_inputs=False)
    assert not [name for name in network.state_dict() if "noise" in name]
    styles, grid = random_styles(network, 1), own_grid(network)
    with_noise = network.synthesize(styles, grid, noise=torch.Generator().manual_seed(0))
    assert torch.equal(network.synthesize(styles, grid), with_noise)


def test_layers_clip_both_ways_by_their_share() -> None:
    torch.manual_seed(0)
    clipped = ModulatedConv2d(4, 6, 3, clamp=0.5, gain=0.5)
    free = ModulatedConv2d(4, 6, 3, gain=0.5)
    free.load_state_dict(clipped.state_dict())
    x, w = torch.randn(2, 4, 5, 7), torch.randn(2, 3)
    y = free(x, w)
    assert float(y.detach().min()) < -0.25 < 0.25 < float(y.detach().max())
    assert torch.equal(clipped(x, w), y.clamp(-0.25, 0.25))


def test_gradients_reach_every_weight_twice() -> None:
    network = small(architecture="resnet")
    z = torch.randn(2, 6, dtype=torch.float64)
    styles = network.map(z)
    picture = network.synthesize(styles, own_grid(network), noise="const")
    (slope,) = torch.autograd.grad(picture.square().sum(), styles, create_graph=True)
    slope.square().sum().backward()  # as the path length penalty does
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centers_and_corners_name_the_same_pixels(dtype: torch.dtype) -> None:
    network = small()
    styles = random_styles(network, 1)
    centers = own_grid(network)
    expected = network.synthesize(styles, centers)
    corners = pixel_corners(0, 16, 16).to(dtype)
    assert torch.equal(network.synthesize(styles, AxisGrid(corners, corners)), expected)
    rounded = AxisGrid(centers.ys.to(dtype), centers.xs.to(dtype))
    assert torch.equal(network.synthesize(styles, rounded), expected)


@pytest.mark.parametrize(
    ("grid", "shown"),
    [
        (Canvas(32, 32).grid(), "32x32 of another grid"),
        (Canvas(16, 8).grid(), "16x8 of another grid"),
        (Canvas(16, 16, (0, 0, 1, 0.5)).grid(), "16x16 of other coordinates"),
        (Canvas(16, 16, (0.05, 0, 1.05, 1)).grid(), "16x16 of other coordinates"),
        (AxisGrid(pixel_corners(0, 16, 16), Canvas(16, 16).columns()), "of other coordinates"),
        (AxisGrid(Canvas(16, 16).rows().flip(0), Canvas(16, 16).columns()), "other coordinates"),
        (PointGrid(torch.rand(16, 16, 2)), "16x16 of other coordinates"),
    ],
)
def test_any_other_grid_is_refused_with_the_way_out(grid: Any, shown: str) -> None:
    network = small()
    with pytest.raises(GridError, match=f"{shown}: ask for 16x16 and enlarge") as caught:
        network.synthesize(random_styles(network, 1), grid)
    assert str(caught.value).isprintable()


def test_styles_of_another_network_are_refused() -> None:
    network = small()
    with pytest.raises(UsageError, match=r"expected \(B, 6, 5\)"):
        network.synthesize(torch.ones(1, 5, 5), own_grid(network))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 24}, "power of two"),
        ({"resolution": 2}, "power of two"),
        ({"channel_max": 0}, "channel_max 0"),
        ({"mapping_layers": 65}, "at most 64"),
        ({"label_dim": -1}, "label_dim -1"),
        ({"clamp": float("nan")}, "clamp nan"),
        ({"noise_inputs": False, "noise": "const"}, "needs noise_inputs"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StyleGAN2Config(**SMALL | change)
