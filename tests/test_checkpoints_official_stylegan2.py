"""Official StyleGAN2 pickles of every kind become our models and draw the official pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from creps.checkpoints import convert as convert_official
from creps.checkpoints import from_state_dict, load, save
from creps.coordinates import Canvas
from creps.errors import CheckpointError
from creps.networks.stylegan2 import StyleGAN2
from golden_names import GOLDEN, golden, relative_error
from official_pickles import EasyDict, dumps, generator_pickle, module_tree
from official_stylegan2 import official_picture, official_tensors, official_w

OFFICIAL = GOLDEN / "stylegan2ada_nosrc.pkl"
TOLERANCE = 2e-5
"""max|error| / max|reference| in float32."""
WIDTHS = {4: 8, 8: 8, 16: 6}
SETTINGS: dict[str, Any] = {
    "z_dim": 6,
    "c_dim": 0,
    "w_dim": 10,
    "img_resolution": 16,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 2},
    "synthesis_kwargs": {"channel_base": 96, "channel_max": 8, "num_fp16_res": 4},
}


def convert(tmp_path: Path, tensors: dict[str, Tensor], settings: dict[str, Any]) -> StyleGAN2:
    path = tmp_path / "network.pkl"
    path.write_bytes(generator_pickle(tensors, settings))
    generator, record = convert_official(path)
    assert isinstance(generator, StyleGAN2)
    assert record["source"]["dropped"] == []
    return generator


@pytest.mark.parametrize("which", ["G_ema", "G"])
def test_an_official_pickle_draws_its_official_pictures(which: str) -> None:
    expected = golden("pkl_stylegan2ada_expected")
    generator, record = convert_official(OFFICIAL, which=which)
    assert isinstance(generator, StyleGAN2)
    grid = Canvas(32, 32).grid()
    styles = generator.map(expected["z"])
    picture = generator.synthesize(styles, grid, noise="const")
    assert relative_error(picture, expected[f"{which}.img"]) <= TOLERANCE
    assert generator.config.clamp == 256
    assert generator.config.noise == "off"
    assert record["source"] == {
        "file": "stylegan2ada_nosrc.pkl",
        "sha256": hashlib.sha256(OFFICIAL.read_bytes()).hexdigest(),
        "network": which,
        "class": "Generator",
        "dropped": [],
    }
    assert "NVIDIA" in record["credits"]


def test_a_converted_model_survives_its_files(tmp_path: Path) -> None:
    generator, record = convert_official(OFFICIAL)
    save(generator, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.record == record
    assert loaded.config == generator.config
    styles, grid = loaded.map(golden("pkl_stylegan2ada_expected")["z"]), Canvas(32, 32).grid()
    assert torch.equal(loaded.synthesize(styles, grid), generator.synthesize(styles, grid))


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("c_dim", [0, 3])
@pytest.mark.parametrize("flat", [False, True])
def test_networks_of_every_kind_convert(
    tmp_path: Path, architecture: str, c_dim: int, flat: bool
) -> None:
    """Nested settings are those of StyleGAN2-ADA, flat ones those of the later repositories."""
    tensors = official_tensors(widths=WIDTHS, architecture=architecture, c_dim=c_dim)
    inner = SETTINGS["synthesis_kwargs"] | {"architecture": architecture, "conv_clamp": 3}
    settings = SETTINGS | {"c_dim": c_dim}
    del settings["synthesis_kwargs"]
    settings |= inner if flat else {"synthesis_kwargs": EasyDict(inner)}
    generator = convert(tmp_path, tensors, settings)
    assert generator.config.clamp == 3
    assert {r: generator.config.channels(r) for r in generator.config.sizes} == WIDTHS
    z = torch.linspace(-1, 1, 12).reshape(2, 6)
    label = torch.tensor([2, 0]) if c_dim else None
    styles = generator.map(z, label)
    w = official_w(tensors, z, None if label is None else F.one_hot(label, 3).float())
    assert relative_error(styles, w[:, None].expand(-1, 6, -1)) <= TOLERANCE
    picture = generator.synthesize(styles, Canvas(16, 16).grid())
    for sample in (0, 1):
        expected = official_picture(tensors, styles[sample], clamp=3)
        assert relative_error(picture[sample : sample + 1], expected) <= TOLERANCE
        assert (expected != official_picture(tensors, styles[sample])).any()  # something is clipped


def test_the_clamp_is_read_off_the_layers_where_settings_are_silent(tmp_path: Path) -> None:
    network = module_tree(
        official_tensors(widths=WIDTHS), "Generator", _init_kwargs=EasyDict(SETTINGS)
    )
    synthesis = network.meta["state"]["_modules"]["synthesis"]
    block = synthesis.meta["state"]["_modules"]["b4"]
    layer = block.meta["state"]["_modules"]["conv1"]
    path = tmp_path / "network.pkl"
    for found, expected in ((None, 0.0), (256, 256.0)):
        layer.meta["state"]["conv_clamp"] = found
        path.write_bytes(dumps({"G_ema": network}))
        assert convert_official(path)[0].config.clamp == expected


def test_a_network_without_noise_converts(tmp_path: Path) -> None:
    tensors = official_tensors(widths=WIDTHS, noise=False)
    generator = convert(tmp_path, tensors, SETTINGS)
    assert not generator.config.noise_inputs
    styles = generator.map(torch.ones(1, 6))
    picture = generator.synthesize(styles, Canvas(16, 16).grid())
    assert relative_error(picture, official_picture(tensors, styles[0])) <= TOLERANCE


def test_settings_may_be_missing(tmp_path: Path) -> None:
    config = convert(tmp_path, official_tensors(widths=WIDTHS, img_channels=1), {}).config
    assert {size: config.channels(size) for size in config.sizes} == WIDTHS
    assert (config.img_channels, config.z_dim, config.mapping_layers) == (1, 6, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w_dim": 11}, "w_dim is 11 in the settings, 10 in the tensors"),
        ({"img_resolution": 32}, "img_resolution is 32 in the settings, 16"),
        ({"architecture": "resnet"}, "architecture is 'resnet' in the settings, 'skip'"),
        ({"activation": "relu"}, "activation is 'relu': only 'lrelu' is supported"),
        ({"lr_multiplier": 1}, "lr_multiplier is 1: only 0.01 is supported"),
        ({"conv_clamp": -1}, "conv_clamp is -1: expected a positive number"),
        ({"channel_max": 7}, r"has shape \(\d"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "network.pkl"
    settings = SETTINGS | {"synthesis_kwargs": SETTINGS["synthesis_kwargs"] | change}
    if set(change) & set(SETTINGS):
        settings = SETTINGS | change
    path.write_bytes(generator_pickle(official_tensors(widths=WIDTHS), settings))
    with pytest.raises(CheckpointError, match=message) as caught:
        convert_official(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("synthesis.b8.conv0.weight", None, r"'synthesis\.b8\.conv0\.weight' missing"),
        ("mapping.w_avg", None, r"mapping\.w_avg missing"),
        ("synthesis.b8.more", torch.ones(1), r"'synthesis\.b8\.more' unexpected"),
        ("synthesis.b16.torgb.bias", torch.ones(4), r"has shape \(4,\): expected \(3,\)"),
        ("synthesis.b4.conv1.noise_const", torch.ones(8, 8), r"noise_const has shape \(8, 8\)"),
        ("synthesis.b4.resample_filter", torch.ones(4, 4), r"filter: only \[1, 3, 3, 1\]"),
        ("synthesis.b4.resample_filter", torch.ones(3), r"another filter"),
        ("synthesis.b4.const", torch.ones(8, 4, 4).int(), r"const is torch\.int32"),
    ],
)
def test_tensors_that_do_not_fit_are_named(name: str, value: Any, message: str) -> None:
    tensors = official_tensors(widths=WIDTHS)
    tensors.pop(name, None)
    if value is not None:
        tensors[name] = value
    with pytest.raises(CheckpointError, match=message):
        from_state_dict(tensors)
