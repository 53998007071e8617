"""Extractors by name: stand-ins for Inception and DINOv2, and what is said when weights miss."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from creps.errors import CheckpointError, MissingExtraError, UsageError
from creps.metrics._extractors import (
    INCEPTION_NAME,
    Block,
    VisionTransformer,
    dinov2,
    extractor_spec,
    inception,
    inception_weights,
)


class StandIn(nn.Module):
    """Takes what torch-fidelity's network takes, and gives mean colors."""

    def __init__(self, name: str, features: list[str], feature_extractor_weights_path=None) -> None:
        super().__init__()
        assert features == ["2048"]
        self.scale = nn.Parameter(torch.zeros(3))
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=True))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        assert images.dtype == torch.uint8
        assert images.shape[1] == 3
        return (images.float().mean((2, 3)) * self.scale,)


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = StandIn
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    torch.save({"scale": torch.tensor([1.0, 2.0, 3.0])}, path)
    return path


def images(channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, channels, 5, 7), generator=draw, dtype=torch.uint8)


def test_inception_runs_torch_fidelitys_network_with_the_given_weights(fidelity, weights) -> None:
    found = inception(weights)(images())
    expected = images().float().mean((2, 3)) * torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(found, expected)


def test_inception_reads_gray_as_equal_channels(fidelity, weights) -> None:
    network = inception(weights)
    torch.testing.assert_close(network(images(1)), network(images(1).repeat(1, 3, 1, 1)))


def test_a_spec_is_told_apart_by_its_weights(fidelity, weights, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"scale": torch.ones(3)}, other)
    specs = [extractor_spec("inception", weights=path) for path in (weights, other)]
    names = [spec.identity()["weights"] for spec in specs]
    assert len(set(names)) == 2
    assert "bilinear" in specs[0].identity()["resize"]


def test_weights_that_run_code_are_refused(fidelity, tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"scale": Path("x")}, path)
    with pytest.raises(CheckpointError, match="not a PyTorch weights file"):
        inception(path)
    torch.save({"scale": 3}, path)
    with pytest.raises(CheckpointError, match="something else than named tensors"):
        inception(path)


def test_weights_of_another_network_are_refused(fidelity, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"other": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="does not fit the Inception network"):
        inception(path)


def test_a_missing_weights_file_says_where_to_get_it_and_how_to_pass_it(
    fidelity, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"no such weights file; get it at https.*--weights"):
        extractor_spec("inception", weights=tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match=r"no weights given; get https.*--weights FILE"):
        extractor_spec("dinov2")


def test_without_a_network_the_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_network(*args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(CheckpointError, match=r"cannot be fetched \(Name.*--weights weights-inc"):
        inception_weights()
    kept = tmp_path / "checkpoints" / INCEPTION_NAME
    kept.write_bytes(b"")
    assert inception_weights() == kept


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(MissingExtraError, match=r"creps\[fidelity\]"):
        extractor_spec("inception", weights=weights)


def test_unknown_names_and_needless_weights_are_refused(weights: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown extractor 'efnet': did you mean effnet"):
        extractor_spec("efnet")
    with pytest.raises(UsageError, match="leave --weights out"):
        extractor_spec("effnet", weights=weights)


def dino_weights(*, width: int = 128, depth: int = 2, side: int = 3) -> dict[str, Tensor]:
    """Random weights with the names and shapes of a published backbone."""
    draw = torch.Generator().manual_seed(1)
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + side * side, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for k in range(depth):
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{k}.{norm}.{part}": (width,) for part in ("weight", "bias")}
        for name, (to, of) in {
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "mlp.fc1": (2 * width, width),
            "mlp.fc2": (width, 2 * width),
        }.items():
            shapes |= {f"blocks.{k}.{name}.weight": (to, of), f"blocks.{k}.{name}.bias": (to,)}
        shapes |= {f"blocks.{k}.{ls}.gamma": (width,) for ls in ("ls1", "ls2")}
    return {name: 0.2 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def test_dinov2_loads_published_names_and_does_not_depend_on_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "dino.pth"
    torch.save(dino_weights(), path)
    network = dinov2(path)
    assert network.width == 128
    together = network(images())
    alone = torch.cat([network(image[None]) for image in images()])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)
    assert float((together[0] - together[1]).abs().max()) > 1e-3
    gray = images(1)
    torch.testing.assert_close(network(gray), network(gray.repeat(1, 3, 1, 1)))


def test_a_block_is_torchs_attention_and_mlp() -> None:
    weights = dino_weights()
    block = VisionTransformer(weights).blocks[1]
    assert isinstance(block, Block)
    x = torch.randn(2, 5, 128, generator=torch.Generator().manual_seed(2))
    attention = nn.MultiheadAttention(128, 2, batch_first=True)
    attention.in_proj_weight.data = weights["blocks.1.attn.qkv.weight"]
    attention.in_proj_bias.data = weights["blocks.1.attn.qkv.bias"]
    attention.out_proj.load_state_dict(
        {part: weights[f"blocks.1.attn.proj.{part}"] for part in ("weight", "bias")}
    )
    with torch.no_grad():
        normed = block.norm1(x)
        mixed = attention(normed, normed, normed, need_weights=False)[0]
        expected = x + weights["blocks.1.ls1.gamma"] * mixed
        w = {name: weights[f"blocks.1.mlp.{name}"] for name in ("fc1.weight", "fc2.weight")}
        hidden = nn.functional.gelu(
            block.norm2(expected) @ w["fc1.weight"].T + weights["blocks.1.mlp.fc1.bias"]
        )
        out = hidden @ w["fc2.weight"].T + weights["blocks.1.mlp.fc2.bias"]
        expected = expected + weights["blocks.1.ls2.gamma"] * out
        torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-4)


def test_dinov2_resamples_places_only_where_it_must() -> None:
    network = VisionTransformer(dino_weights(side=3))
    places = network.pos_embed[:, 1:]
    torch.testing.assert_close(network._places(3, 3), places)
    assert network._places(2, 4).shape == (1, 8, 128)


def test_dinov2_refuses_another_network(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="no DINOv2 backbone"):
        dinov2(path)
