"""Official CREPS pickles become our models and draw the official pictures."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
import torch

from creps.checkpoints import convert, from_state_dict, load, save
from creps.coordinates import AxisGrid, pixel_corners
from creps.errors import CheckpointError
from creps.networks.base import Generator
from creps.networks.creps import Creps, CrepsConfig
from golden_names import GOLDEN, golden, native_names, relative_error
from official_pickles import dumps, generator_pickle, module_tree, official_tensors

OFFICIAL = GOLDEN / "creps_nosrc.pkl"
WIDTHS = {4: 16, 8: 16, 16: 12}
SETTINGS: dict[str, Any] = {
    "z_dim": 6,
    "c_dim": 0,
    "w_dim": 10,
    "img_resolution": 16,
    "img_channels": 3,
    "channel_base": 192,
    "channel_max": 16,
    "mapping_kwargs": {"num_layers": 2},
}
TOLERANCE = 2e-5
"""max|error| / max|reference| in float32."""


def native_grid(generator: Generator) -> AxisGrid:
    coords = pixel_corners(0, generator.config.resolution, generator.config.resolution).float()
    return AxisGrid(coords, coords)


@pytest.mark.parametrize("which", ["G_ema", "G"])
def test_an_official_pickle_draws_its_official_pictures(which: str) -> None:
    expected = golden("pkl_creps_expected")
    generator, record = convert(OFFICIAL, which=which)
    picture = generator.synthesize(generator.map(expected["z"]), native_grid(generator))
    assert relative_error(picture, expected[f"{which}.img"]) <= TOLERANCE
    assert generator.sampling == "corners"
    assert record["source"] == {
        "file": "creps_nosrc.pkl",
        "sha256": hashlib.sha256(OFFICIAL.read_bytes()).hexdigest(),
        "network": which,
        "class": "Generator",
        "dropped": ["synthesis.b4.tores", "synthesis.decoder_8"],
    }
    assert generator.record == record


def test_source_text_in_a_pickle_is_ignored(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    source = f"open({str(touched)!r}, 'w').close()".encode()
    empty = b"\x8c\x0amodule_src\x94\x8c\x00\x94"
    content = OFFICIAL.read_bytes()
    assert content.count(empty) == 1
    full = empty[:-2] + bytes([len(source)]) + source + b"\x94"
    (tmp_path / "source.pkl").write_bytes(content.replace(empty, full))
    generator, _ = convert(tmp_path / "source.pkl")
    expected, _ = convert(OFFICIAL)
    assert not touched.exists()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(generator.state_dict()[name], tensor)


def test_a_converted_model_is_saved_with_its_source(tmp_path: Path) -> None:
    generator, record = convert(OFFICIAL)
    save(generator, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.record == record
    assert loaded.config == generator.config
    for name, tensor in generator.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_an_official_state_dictionary_draws_its_official_pictures() -> None:
    generator = from_state_dict(golden("creps_a.weights"))
    expected = golden("creps_a.native")
    grid = native_grid(generator)
    for styles, picture in (("ws", "img"), ("ws_mixed", "img_ws_mixed")):
        drawn = generator.synthesize(expected[styles], grid)
        assert relative_error(drawn, expected[picture]) <= TOLERANCE
    assert generator.config == CrepsConfig(
        resolution=32, z_dim=64, w_dim=64, mapping_layers=2, channel_base=1024, channel_max=64,
        sampling="corners",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("widths", "choices"),
    [
        (WIDTHS, {}),
        (WIDTHS, {"c_dim": 3, "img_channels": 1}),
        ({4: 8, 8: 8}, {"c_dim": 1}),
        ({4: 10, 8: 10, 16: 10, 32: 5, 64: 2}, {"mapping_layers": 3, "img_channels": 1}),
    ],
)
def test_official_networks_of_every_kind_convert(
    tmp_path: Path, widths: dict[int, int], choices: dict[str, int]
) -> None:
    """Against the same tensors in a `Creps` built by hand."""
    tensors = official_tensors(widths=widths, **choices)
    top, base = max(widths), max(level * width for level, width in widths.items())
    settings = {
        "z_dim": 6,
        "w_dim": 10,
        "c_dim": choices.get("c_dim", 0),
        "img_resolution": top,
        "img_channels": choices.get("img_channels", 3),
        "mapping_kwargs": {"num_layers": choices.get("mapping_layers", 2)},
        "channel_base": base,
        "channel_max": widths[4],
    }
    path = tmp_path / "network.pkl"
    path.write_bytes(generator_pickle(tensors, settings))
    generator, _ = convert(path)
    by_hand = Creps(
        CrepsConfig(
            resolution=top, img_channels=settings["img_channels"], z_dim=6, w_dim=10,
            label_dim=settings["c_dim"], mapping_layers=choices.get("mapping_layers", 2),
            channel_base=base, channel_max=widths[4], sampling="corners",
        )
    )  # fmt: skip
    by_hand.load_state_dict(native_names(tensors))
    assert generator.config == by_hand.config
    z = torch.linspace(-1, 1, 12).reshape(2, 6)
    label = torch.tensor([0, settings["c_dim"] - 1]) if settings["c_dim"] else None
    grid = AxisGrid(torch.linspace(0, 1, 3), torch.linspace(0, 0.7, 5))
    expected = by_hand.synthesize(by_hand.map(z, label, truncation=0.5), grid)
    assert expected.std() > 0
    assert torch.equal(
        generator.synthesize(generator.map(z, label, truncation=0.5), grid), expected
    )


def test_a_network_of_four_pixels_keeps_its_only_lines() -> None:
    tensors = official_tensors(widths={4: 8})
    generator = from_state_dict(tensors)
    expected = tensors["synthesis.b4.tores.weight"]
    assert torch.equal(generator.state_dict()["blocks.0.emit.weight"], expected)
    picture = generator.synthesize(generator.map(torch.ones(1, 6)), native_grid(generator))
    assert picture.shape == (1, 3, 4, 4)


@pytest.mark.parametrize("widths", [WIDTHS, {4: 10, 8: 10, 16: 10, 32: 5, 64: 2}, {4: 6}])
def test_widths_are_read_off_the_tensors_where_settings_are_silent(
    tmp_path: Path, widths: dict[int, int]
) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(generator_pickle(official_tensors(widths=widths), {}))
    config = convert(path)[0].config
    assert {level: config.channels(level) for level in config.levels} == widths


def test_older_pickles_convert_too(tmp_path: Path) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(generator_pickle(official_tensors(widths=WIDTHS), SETTINGS, protocol=3))
    assert convert(path)[0].config.resolution == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w_dim": 11}, "w_dim is 11 in the settings, 10 in the tensors"),
        ({"img_resolution": 32}, "img_resolution is 32 in the settings, 16"),
        ({"mapping_kwargs": {"num_layers": 8}}, "num_layers is 8 in the settings, 2"),
        ({"channel_max": 15}, "15 input channels: expected an even number"),
        ({"channel_max": 14}, r"synthesis\.b4\.\S+ has shape"),
        ({"channel_base": "many"}, "channel_base is not a whole number"),
        ({"channel_base": 2**40}, "channel_base is not a whole number"),
        ({"z_dim": torch.ones(2)}, "z_dim is not a whole number"),
    ],
)
def test_settings_that_contradict_the_tensors_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(generator_pickle(official_tensors(widths=WIDTHS), {**SETTINGS, **change}))
    with pytest.raises(CheckpointError, match=message) as caught:
        convert(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("synthesis.b8.fc0.weight", None, r"'synthesis\.b8\.fc0\.weight' missing"),
        ("mapping.w_avg", None, r"mapping\.w_avg missing"),
        ("synthesis.b8.noise", torch.ones(1), r"'synthesis\.b8\.noise' unexpected"),
        ("synthesis.decoder_16.0.bias", torch.ones(3), r"has shape \(3,\): expected \(64,\)"),
        ("synthesis.b4.input.freqs", torch.ones(1, 7), r"input\.freqs has shape"),
        ("synthesis.b4.input.weight", torch.ones(2, 16, 1, 16), r"input\.weight has shape"),
        ("synthesis.b4.input.weight", torch.tensor(1.0), r"input\.weight missing"),
        ("mapping.fc1.bias", torch.ones(10).int(), r"mapping\.fc1\.bias is torch\.int32"),
    ],
)
def test_tensors_that_do_not_fit_are_named(name: str, value: Any, message: str) -> None:
    tensors = official_tensors(widths=WIDTHS)
    tensors.pop(name, None)
    if value is not None:
        tensors[name] = value
    with pytest.raises(CheckpointError, match=message):
        from_state_dict(tensors)


def test_other_networks_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"D is a Discriminator .* only generators of"):
        convert(OFFICIAL, which="D")
    with pytest.raises(CheckpointError, match=r"no network 'G_eam' in it: did you mean G_ema"):
        convert(OFFICIAL, which="G_eam")
    stranger = module_tree({"synthesis.b4.other": torch.ones(4)}, "Generator")
    (tmp_path / "stranger.pkl").write_bytes(dumps({"G_ema": stranger}))
    with pytest.raises(CheckpointError, match=r"G_ema is a Generator .* only generators of"):
        convert(tmp_path / "stranger.pkl")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_pickle_is_refused(tmp_path: Path, share: float) -> None:
    content = OFFICIAL.read_bytes()
    (tmp_path / "network.pkl").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"truncated|not a pickle"):
        convert(tmp_path / "network.pkl")


def test_converted_weights_do_not_hold_the_pickle(tmp_path: Path) -> None:
    """Each tensor has memory of its own, so the rest of the file can be let go."""
    generator, _ = convert(OFFICIAL)
    for tensor in generator.state_dict().values():
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.itemsize


# What people try to convert


@pytest.mark.parametrize("name", ["G_ema", "g_ema", "G_EMA"])
def test_names_of_networks_are_found_in_upper_and_lower_case(tmp_path: Path, name: str) -> None:
    torch.save({name: official_tensors(widths=WIDTHS)}, tmp_path / "m.pt")
    for which in ("G_ema", "g_ema"):
        generator, record = convert(tmp_path / "m.pt", which=which)
        assert generator.config.resolution == 16
        assert record["source"]["network"] == name
    assert convert(OFFICIAL, which="g_EMA")[1]["source"]["network"] == "G_ema"


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_taken_off(tmp_path: Path, prefix: str) -> None:
    tensors = official_tensors(widths=WIDTHS)
    wrapped = {prefix + key: value for key, value in tensors.items()}
    torch.save({"G_ema": wrapped}, tmp_path / "m.pt")
    generator, _ = convert(tmp_path / "m.pt")
    for key, value in from_state_dict(tensors).state_dict().items():
        assert torch.equal(generator.state_dict()[key], value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file: download it again"),
        (b"<!DOCTYPE html><html><title>Quota exceeded", "a web page"),
        (b"\n\n<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", r"git lfs pull"),
        (gzip.compress(b"model", mtime=0), "packed with gzip: unpack it first with gunzip"),
        (bz2.compress(b"model"), "packed: unpack it first"),
        (lzma.compress(b"model"), "packed: unpack it first"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    ],
)
def test_other_files_are_named_for_what_they_are(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "network.pkl").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as refused:
        convert(tmp_path / "network.pkl")
    assert "\n" not in str(refused.value)
    assert "network.pkl" in str(refused.value)


def test_a_tar_archive_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.pkl", "w") as archive:
        archive.add(OFFICIAL, "network.pkl")
    with pytest.raises(CheckpointError, match="a tar archive: unpack it first"):
        convert(tmp_path / "m.pkl")


def foreign_class(module: str, name: str) -> Any:
    kind = type(name, (), {})
    kind.__module__ = module
    return kind


def dumps_with(kind: Any, content: Any) -> bytes:
    """As `dumps`, for content with objects of a foreign class in it."""
    parts = kind.__module__.split(".")
    names = [".".join(parts[: k + 1]) for k in range(len(parts))]
    modules = {name: ModuleType(name) for name in names}
    setattr(modules[kind.__module__], kind.__name__, kind)
    with patch.dict(sys.modules, modules):
        return dumps(content)


def test_networks_of_tensorflow_are_named_with_the_way_out(tmp_path: Path) -> None:
    kind = foreign_class("tflib.network", "Network")
    content = dumps_with(kind, (kind(), kind(), kind()))
    # The package of the official code, which `dumps` stands in for.
    content = content.replace(b"\x8c\x0dtflib.network", b"\x8c\x14dnnlib.tflib.network")
    content = content[:2] + content[11:]  # without the length of the frame
    (tmp_path / "m.pkl").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a network of TensorFlow: .* legacy\.py"):
        convert(tmp_path / "m.pkl")


@pytest.mark.parametrize("module", ["timm.models.layers", "pg_modules.discriminator"])
def test_an_unknown_discriminator_does_not_hide_the_generator(tmp_path: Path, module: str) -> None:
    kind = foreign_class(module, "Projected")
    discriminator = kind()
    discriminator.__dict__.update(_modules={}, _parameters={}, function=kind)
    generator = module_tree(
        official_tensors(widths=WIDTHS), "Generator", _init_args=(), _init_kwargs=SETTINGS
    )
    content = dumps_with(kind, {"G_ema": generator, "D": discriminator})
    (tmp_path / "m.pkl").write_bytes(content)
    assert convert(tmp_path / "m.pkl")[0].config.resolution == 16
    with pytest.raises(CheckpointError, match=rf"D is a {module}.Projected of no known family"):
        convert(tmp_path / "m.pkl", which="D")
