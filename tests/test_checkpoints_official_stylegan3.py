"""Official StyleGAN3 and any-resolution pickles become our models and draw the same pictures."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from creps.checkpoints import convert, from_state_dict, load, save
from creps.checkpoints._official.stylegan3 import official_name
from creps.coordinates import Canvas
from creps.errors import CheckpointError
from creps.networks.anyres import AnyRes, AnyResConfig
from creps.networks.base import Generator
from creps.networks.stylegan3 import StyleGAN3, StyleGAN3Config
from golden_names import GOLDEN, golden, relative_error
from official_pickles import EasyDict, dumps, generator_pickle, module_tree

TOLERANCE = 2e-5
"""max|error| / max|reference| in float32."""
SMALL: dict[str, Any] = {
    "resolution": 32,
    "z_dim": 6,
    "w_dim": 10,
    "num_layers": 4,
    "channel_base": 96,
    "channel_max": 6,
}
RADIAL = {"kernel": 1, "radial_filters": True}


def settings_of(name: str) -> dict[str, Any]:
    """What an official network of the goldens was built with, read off their metadata."""
    with safe_open(GOLDEN / f"{name}.weights.safetensors", "pt") as file:
        texts = file.metadata()
    words = {"training_mode"}
    return {k: v if k in words else ast.literal_eval(v) for k, v in texts.items()}


def officially(generator: StyleGAN3) -> dict[str, Tensor]:
    """A generator's tensors as the official code names and orders them."""
    tensors = {
        official_name(name, generator.config): tensor.clone()
        for name, tensor in generator.state_dict().items()
    }
    tensors["synthesis.input.freqs"] = tensors["synthesis.input.freqs"][:, [1, 0]]
    tensors["synthesis.input.transform"] = torch.eye(3)
    if "scale_mapping.fc0.weight" in tensors:
        tensors["scale_mapping.w_avg"] = torch.ones(generator.config.w_dim)
    return tensors


def official_settings(config: StyleGAN3Config) -> dict[str, Any]:
    """As official training records them: the mapping's in a group of their own."""
    settings: dict[str, Any] = {
        "z_dim": config.z_dim,
        "c_dim": config.label_dim,
        "w_dim": config.w_dim,
        "img_resolution": config.resolution,
        "img_channels": config.img_channels,
        "mapping_kwargs": EasyDict(num_layers=config.mapping_layers),
        "num_layers": config.num_layers,
        "channel_base": config.channel_base,
        "channel_max": config.channel_max,
        "conv_kernel": config.kernel,
        "use_radial_filters": config.radial_filters,
        "magnitude_ema_beta": 0.999,
    }
    if isinstance(config, AnyResConfig):
        settings["training_mode"] = "patch"
        settings["scale_mapping_kwargs"] = EasyDict(
            scale_mapping_min=1, scale_mapping_max=4.5, scale_mapping_norm=config.scale_range
        )
    return settings


def written(path: Path, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Path:
    path.write_bytes(generator_pickle(tensors, settings))
    return path


def fresh(config: StyleGAN3Config) -> StyleGAN3:
    """A network whose biases and buffers matter."""
    torch.manual_seed(0)
    network = (AnyRes if isinstance(config, AnyResConfig) else StyleGAN3)(config)
    network.eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if name.endswith(("bias", "average")) or name == "input.affine.weight":
            tensor += 0.2 * torch.randn_like(tensor)
        if name.endswith("magnitude"):
            tensor.uniform_(0.5, 1.5)
    return network


def picture(generator: Generator, **size: int) -> Tensor:
    z = torch.linspace(-1, 1, generator.config.z_dim * 2).reshape(2, -1)
    label = torch.tensor([0, 1]) if generator.config.label_dim else None
    styles = generator.map(z, label, truncation=0.7)
    return generator.synthesize(styles, Canvas(size.get("h", 32), size.get("w", 32)).grid())


def test_golden_pickles_draw_their_official_pictures(tmp_path: Path) -> None:
    for name, image in (("sg3_t", "img"), ("anyres", "img_global(transform=None)")):
        settings = settings_of(name)
        settings["mapping_kwargs"] = EasyDict(settings["mapping_kwargs"])
        path = written(tmp_path / f"{name}.pkl", golden(f"{name}.weights"), settings)
        generator, record = convert(path)
        expected = golden(f"{name}.io")
        drawn = generator.synthesize(generator.map(expected["z"]), Canvas(32, 32).grid())
        assert relative_error(drawn, expected[image]) <= TOLERANCE
        assert record["source"]["dropped"] == []
        assert "NVIDIA Source Code License" in record["credits"]
        save(generator, tmp_path / name)
        again = load(tmp_path / name)
        assert again.config == generator.config
        assert torch.equal(picture(again, h=40, w=23), picture(generator, h=40, w=23))


@pytest.mark.parametrize(
    "config",
    [
        StyleGAN3Config(**SMALL),
        StyleGAN3Config(**SMALL, **RADIAL),
        StyleGAN3Config(**SMALL, **RADIAL, label_dim=3, img_channels=1, mapping_layers=3),
        AnyResConfig(**SMALL, scale_mapping="official", scale_max=4.5),
        AnyResConfig(
            **SMALL, **RADIAL, scale_mapping="official", scale_max=4.5, scale_range="zerocentered"
        ),
    ],
)
def test_official_networks_of_every_kind_convert(tmp_path: Path, config: StyleGAN3Config) -> None:
    network = fresh(config)
    settings = official_settings(config)
    generator, _ = convert(written(tmp_path / "n.pkl", officially(network), settings))
    assert generator.config == config
    assert type(generator) is type(network)
    assert torch.equal(picture(generator), picture(network))
    assert torch.equal(picture(generator, h=70, w=45), picture(network, h=70, w=45))


def test_settings_with_numpy_in_the_layers_are_read(tmp_path: Path) -> None:
    network = fresh(StyleGAN3Config(**SMALL, margin_size=6, output_scale=0.5))
    settings = EasyDict(official_settings(network.config))
    tree = module_tree(officially(network), "Generator", _init_args=(), _init_kwargs=settings)
    synthesis = tree.meta["state"]["_modules"]["synthesis"].meta["state"]
    synthesis |= {"margin_size": 6, "output_scale": 0.5, "layer_names": ["L0", "L1"]}
    for layer in synthesis["_modules"].values():
        if hasattr(layer, "meta"):
            layer.meta["state"] |= {"in_size": np.array([28, 28]), "in_cutoff": np.float64(2)}
    (tmp_path / "n.pkl").write_bytes(dumps({"G_ema": tree}))
    generator, _ = convert(tmp_path / "n.pkl")
    assert generator.config == network.config
    assert torch.equal(picture(generator), picture(network))


def test_official_state_dictionaries_need_no_settings() -> None:
    network = fresh(StyleGAN3Config(**SMALL))
    generator = from_state_dict(officially(network))
    assert torch.equal(picture(generator), picture(network))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w_dim": 11}, "w_dim is 11 in the settings, 10 in the tensors"),
        ({"img_resolution": 64}, "img_resolution is 64 in the settings, 32"),
        ({"margin_size": 4}, r"tensor '?synthesis\.L0_"),
        ({"first_cutoff": "low"}, "first_cutoff is 'low': expected a finite number"),
        ({"first_cutoff": 40.0}, "first_cutoff 40"),
        ({"num_critical": 2.5}, "num_critical is not a whole number"),
        ({"training_mode": "global-360"}, "training_mode is 'global-360': only flat"),
        ({"scale_mapping_kwargs": None}, "scale_mapping_kwargs missing"),
        ({"scale_mapping_kwargs": EasyDict(scale_mapping_min=1)}, "scale_mapping_max is None"),
        (
            {
                "scale_mapping_kwargs": EasyDict(
                    scale_mapping_min=1, scale_mapping_max=2, scale_mapping_norm="odd"
                )
            },
            "scale_mapping_norm is 'odd'",
        ),
    ],
)
def test_settings_that_contradict_the_tensors_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    network = fresh(AnyResConfig(**SMALL, scale_mapping="official"))
    settings = official_settings(network.config) | change
    path = written(tmp_path / "n.pkl", officially(network), settings)
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("synthesis.L1_52_6.weight", None, "layers missing: not a StyleGAN3"),
        ("synthesis.L1_52_6.bias", None, r"'synthesis\.L1_52_6\.bias' missing"),
        ("mapping.w_avg", None, r"mapping\.w_avg missing"),
        ("synthesis.L1_52_6.extra", torch.ones(1), r"'synthesis\.L1_52_6\.extra' unexpected"),
        ("synthesis.L1_52_6.up_filter", torch.ones(5), r"up_filter has shape \(5,\): expected"),
        ("synthesis.input.freqs", torch.ones(6, 3), r"input\.freqs has shape \(6, 3\)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(name: str, value: Any, message: str) -> None:
    tensors = officially(fresh(StyleGAN3Config(**SMALL)))
    tensors.pop(name, None)
    if value is not None:
        tensors[name] = value
    with pytest.raises(CheckpointError, match=message):
        from_state_dict(tensors)
