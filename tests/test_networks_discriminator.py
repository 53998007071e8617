"""The discriminator is StyleGAN2's, to the last digit, and says clearly what it cannot judge."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from creps.config import from_dict, to_dict
from creps.errors import ConfigError, LabelError, UsageError
from creps.networks.discriminator import (
    Discriminator,
    DiscriminatorConfig,
    LabelProjection,
    PlacedDiscriminator,
    ScaledDiscriminator,
    minibatch_deviation,
)
from golden_names import golden, relative_error

TOLERANCE = 2e-5
"""max|error| / max|reference| in float32."""
OFFICIAL = golden("sg2_D_resnet")
SMALL: dict[str, Any] = {"resolution": 16, "channel_base": 96, "channel_max": 8}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def small(**settings: Any) -> Discriminator:
    """A small float64 discriminator with biases that matter."""
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(**SMALL | settings)).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    return network


def official(dtype: torch.dtype = torch.float32) -> Discriminator:
    """The golden network: official names to ours."""

    def name(theirs: str) -> str:
        theirs = theirs.removeprefix("sd.").replace("b32.fromrgb", "from_rgb").replace("b4.", "", 1)
        return re.sub(r"^b(\d+)", lambda match: f"blocks.{6 - int(match[1]).bit_length()}", theirs)

    config = DiscriminatorConfig(resolution=32, channel_base=1024, channel_max=64)
    network = Discriminator(config)
    network.load_state_dict(
        {
            name(theirs): value
            for theirs, value in OFFICIAL.items()
            if theirs.startswith("sd.") and "resample_filter" not in theirs
        }
    )
    return network.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_golden_logits(dtype: torch.dtype) -> None:
    network, x = official(dtype), OFFICIAL["x"].to(dtype)
    with torch.no_grad():
        assert relative_error(network(x), OFFICIAL["logits"]) <= TOLERANCE
        assert relative_error(network(x[:4]), OFFICIAL["logits_first4"]) <= TOLERANCE
        assert relative_error(network(x[:1]), OFFICIAL["logits_first1"]) <= TOLERANCE


def test_golden_maps_of_every_block() -> None:
    network = official()
    with torch.no_grad():
        x = network.from_rgb(OFFICIAL["x"])
        for block, size in zip(network.blocks, (32, 16, 8), strict=True):
            x = block(x)
            assert relative_error(x[:2], OFFICIAL[f"b{size}.x"]) <= TOLERANCE
        x = torch.cat([x, minibatch_deviation(x, group=4)], dim=1)
    assert relative_error(x[:2], OFFICIAL["b4.mbstd_out"]) <= TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_golden_gradient_penalty(dtype: torch.dtype) -> None:
    x = OFFICIAL["x"].to(dtype).requires_grad_()
    (gradient,) = torch.autograd.grad(official(dtype)(x).sum(), x)
    assert relative_error(gradient, OFFICIAL["r1_grads"]) <= TOLERANCE
    penalty = gradient.square().sum((1, 2, 3))
    assert relative_error(penalty, OFFICIAL["r1_penalty"]) <= TOLERANCE


def test_the_gradient_penalty_has_gradients() -> None:
    network, x = small(label_dim=3), random(4, 3, 16, 16).requires_grad_()
    labels = torch.tensor([0, 1, 2, 1])

    def penalty(create_graph: bool) -> Tensor:
        logits = network(x, labels).sum()
        (gradient,) = torch.autograd.grad(logits, x, create_graph=create_graph)
        return gradient.square().sum()

    for block in network.blocks:
        for layer in (block.conv0, block.conv1, block.skip):
            direction, step = random(*layer.weight.shape, seed=1), 1e-6
            (gradient,) = torch.autograd.grad(penalty(True), layer.weight)
            around = []
            for sign in (1, -1):
                layer.weight.data += sign * step * direction
                around.append(penalty(False))
                layer.weight.data -= sign * step * direction
            slope = (around[0] - around[1]) / (2 * step)
            assert torch.allclose((gradient * direction).sum(), slope, rtol=1e-5)


@pytest.mark.parametrize(
    ("resolution", "count"), [(256, 28_864_129), (512, 28_982_849), (1024, 29_012_513)]
)
def test_official_parameter_counts(resolution: int, count: int) -> None:
    network = Discriminator(DiscriminatorConfig(resolution=resolution))
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_minibatch_deviation_by_hand() -> None:
    # Groups (0, 2) and (1, 3), whose pictures differ by 6 and by 0 in one of two channels.
    x = torch.zeros(4, 2, 3, 2)
    x[2, 0] = 6.0
    deviation = minibatch_deviation(x, group=2)
    assert deviation.shape == (4, 1, 3, 2)
    expected = torch.tensor([1.5, 0.0, 1.5, 0.0])  # the mean of 3 and 0
    assert torch.allclose(deviation[:, 0, 0, 0], expected, atol=1.1e-4)
    assert torch.equal(deviation, deviation[:, :, :1, :1].expand_as(deviation))


def test_minibatch_deviation_with_several_channels() -> None:
    x = random(4, 6, 2, 3)
    several = minibatch_deviation(x, group=4, channels=3)
    for k in range(3):
        one = minibatch_deviation(x[:, 2 * k : 2 * k + 2], group=4)
        assert torch.allclose(several[:, k : k + 1], one)


def test_groups_do_not_see_each_other() -> None:
    network, x = small(minibatch_group=2), random(4, 3, 16, 16)
    together = network(x)
    for pair in ([0, 2], [1, 3]):
        assert torch.allclose(together[pair], network(x[pair]), rtol=1e-10)
    assert not torch.allclose(together, network(x[[1, 0, 2, 3]])[[1, 0, 2, 3]], rtol=1e-10)


def test_without_minibatch_channels_one_picture_is_as_many() -> None:
    network, x = small(minibatch_channels=0), random(3, 3, 16, 16)
    assert torch.allclose(network(x), torch.cat([network(one[None]) for one in x]), rtol=1e-10)


@pytest.mark.parametrize("resolution", [4, 8])
@pytest.mark.parametrize("img_channels", [1, 4])
def test_small_pictures_of_any_channels(resolution: int, img_channels: int) -> None:
    network = small(resolution=resolution, img_channels=img_channels)
    images = random(2, img_channels, resolution, resolution)
    assert network(images).shape == (2, 1)
    assert not torch.allclose(network(images), network(images.flip(0, 3)))


def test_indices_are_one_hot_rows_and_classes_matter() -> None:
    network, x = small(label_dim=3), random(2, 3, 16, 16)
    indices = torch.tensor([2, 0])
    logits = network(x, indices)
    assert logits.shape == (2, 1)
    assert torch.equal(logits, network(x, torch.eye(3)[indices]))
    assert not torch.isclose(logits, network(x, torch.tensor([1, 0])))[0]


def test_projection_by_hand() -> None:
    projection = LabelProjection(label_dim=2, width=4, layers=0)
    with torch.no_grad():
        projection.embed.weight.copy_(torch.tensor([[3.0, 1], [-3, 1], [3, 1], [3, -1]]))
    features = torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 4]])
    logits = projection(features, torch.eye(2))
    # Normalized embeddings are (1, -1, 1, 1) and (1, 1, 1, -1); divided by sqrt(4).
    assert torch.allclose(logits, torch.tensor([[3.0], [1.0]]))


def test_a_label_mapping_of_many_layers_stays_normalized() -> None:
    torch.manual_seed(0)
    projection = LabelProjection(label_dim=5, width=256, layers=8)
    logits = projection(random(5, 256, dtype=torch.float32), torch.eye(5))
    assert 0.2 < float(logits.detach().square().mean()) < 5


def test_the_variance_is_kept_through_the_blocks() -> None:
    torch.manual_seed(0)
    network = Discriminator(
        DiscriminatorConfig(resolution=32, channel_base=2048, channel_max=64)
    ).requires_grad_(False)
    x = network.blocks(network.from_rgb(random(8, 3, 32, 32, dtype=torch.float32)))
    assert 0.02 < float(x.square().mean()) < 2  # white noise loses power in the low-pass filters


def test_a_forward_pass_changes_nothing_and_does_not_write_to_the_pictures() -> None:
    network, x = small(), random(4, 3, 16, 16)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = x.clone()
    network(images)
    assert torch.equal(images, x)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_memory_order_of_the_pictures_does_not_matter() -> None:
    network, x = small(), random(4, 3, 16, 16)
    transposed = x.to(memory_format=torch.channels_last)
    assert torch.equal(network(x), network(transposed))


@pytest.mark.parametrize("kind", [Discriminator, PlacedDiscriminator, ScaledDiscriminator])
def test_every_kind_keeps_the_channels_last_for_speed(kind: type[Discriminator]) -> None:
    config = small().config
    network = kind(config, largest=4.0) if kind is ScaledDiscriminator else kind(config)
    network = network.to(torch.float64)
    told = {PlacedDiscriminator: [torch.ones(4, 3)], ScaledDiscriminator: [torch.ones(4)]}
    orders = list[bool]()
    for block in network.blocks:
        block.register_forward_pre_hook(
            lambda _, given: orders.append(
                given[0].is_contiguous(memory_format=torch.channels_last)
            )
        )
    network(random(4, 3, 16, 16), None, *told.get(kind, []))
    assert orders == [True] * len(network.blocks)


def test_the_config_survives_json() -> None:
    config = DiscriminatorConfig(resolution=64, label_dim=7, minibatch_channels=2)
    assert from_dict(DiscriminatorConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 48}, "resolution 48: expected a power of two, at least 4"),
        ({"resolution": 2}, "resolution 2: expected a power of two"),
        ({"resolution": 8, "img_channels": 0}, "img_channels 0: expected at least 1"),
        ({"resolution": 8, "minibatch_group": 0}, "minibatch_group 0: expected at least 1"),
        ({"resolution": 8, "label_dim": -1}, "label_dim -1: expected at least 0"),
        ({"resolution": 8, "minibatch_channels": 3}, "expected a divisor of the 512 channels"),
        ({"resolution": 8, "minibatch_size": 4}, "minibatch_size"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        from_dict(DiscriminatorConfig, settings)


@pytest.mark.parametrize("shape", [(2, 3, 16, 12), (2, 1, 16, 16), (3, 16, 16), (2, 3, 32, 32)])
def test_pictures_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    message = f"images of shape {shape}: this discriminator takes (B, 3, 16, 16)"
    with pytest.raises(UsageError, match=re.escape(message)):
        small()(random(*shape))


def test_a_batch_that_does_not_fall_into_groups_is_refused() -> None:
    with pytest.raises(
        UsageError, match="batch of 6: expected a multiple of the minibatch group, 4"
    ):
        small()(random(6, 3, 16, 16))


def test_wrong_labels_are_refused() -> None:
    x = random(2, 3, 16, 16)
    with pytest.raises(LabelError, match="unconditional"):
        small()(x, torch.tensor([0, 0]))
    with pytest.raises(LabelError, match="3 classes: give a label for each of the 2"):
        small(label_dim=3)(x)
    with pytest.raises(LabelError, match="class 3 is unknown: expected 0 to 2"):
        small(label_dim=3)(x, torch.tensor([0, 3]))


def test_gains_are_those_of_the_paper() -> None:
    block = small().blocks[0]
    inputs = block.conv0.weight.shape[1]
    assert block.conv0.weight_gain == pytest.approx(math.sqrt(2 / (9 * inputs)))
    assert block.conv1.weight_gain == pytest.approx(math.sqrt(1 / (9 * inputs)))
    assert block.skip.weight_gain == pytest.approx(math.sqrt(1 / (2 * inputs)))


@pytest.mark.parametrize(("height", "width", "final"), [(16, 32, (4, 8)), (24, 16, (6, 4))])
def test_pictures_need_not_be_square(height: int, width: int, final: tuple[int, int]) -> None:
    network = small(height=height, width=width)
    assert network.config.final_size == final
    x = random(4, 3, height, width)
    assert network.maps(x).shape == (4, 8, *final)
    logits = network(x)
    assert logits.shape == (4, 1)
    with pytest.raises(UsageError, match=rf"takes \(B, 3, {height}, {width}\)"):
        network(random(4, 3, width, height))


def test_square_sizes_may_be_said_twice() -> None:
    x = random(4, 3, 16, 16)
    assert torch.equal(small(height=16, width=16)(x), small()(x))


@pytest.mark.parametrize("size", [{"height": 18}, {"width": 2}])
def test_sizes_that_cannot_be_halved_are_refused(size: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="that is a multiple of resolution / 4 = 4"):
        DiscriminatorConfig(**SMALL, **size)


def test_clamped_convolutions_stay_within_their_bounds() -> None:
    free, clamped = small(), small(clamp=0.5)
    x = random(4, 3, 16, 16) * 10
    assert free.maps(x).abs().max() > 1
    # a block adds two branches, each clipped to 0.5 * sqrt(0.5)
    assert clamped.maps(x).abs().max() <= math.sqrt(0.5) + 1e-12
    assert torch.equal(small(clamp=1e6)(x), free(x))


def test_half_precision_ends_before_the_statistics() -> None:
    network = small().float()
    x = random(8, 3, 16, 16, dtype=torch.float32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = network(x)
        assert network.maps(x).dtype == torch.bfloat16
    assert half.dtype == torch.float32
    assert 0 < relative_error(half, network(x)) < 0.02


def test_frozen_blocks_are_the_finest() -> None:
    network = small()
    network.trainable(True, frozen=1)
    still = {name.split(".")[0] for name, p in network.named_parameters() if not p.requires_grad}
    assert still == {"from_rgb", "blocks"}
    assert not any(p.requires_grad for p in network.blocks[0].parameters())
    assert all(p.requires_grad for p in network.blocks[1].parameters())
    network.trainable(False)
    assert not any(p.requires_grad for p in network.parameters())
