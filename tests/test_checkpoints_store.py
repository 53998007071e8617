"""Models on disk: what is saved comes back, whole or not at all, and mistakes are named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from creps import _files as files
from creps.checkpoints import (
    _store,
    load,
    packaged_names,
    save,
    summarize,
    weights_id,
    write_tensors,
)
from creps.coordinates import AxisGrid
from creps.errors import CheckpointError, ConfigError, CrepsError, UsageError
from creps.networks.base import Generator, build_generator, describe_generator
from creps.networks.creps import CrepsConfig

TINY = CrepsConfig(
    resolution=8, z_dim=5, w_dim=6, mapping_layers=2, channel_base=64, channel_max=8,
    thickness=2, line_channels=4, decoder_widths=(6, 4), refinement_widths=(6,),
)  # fmt: skip
RECORD = {"credits": "Ö by A", "training": {"steps": 3, "data": ["a", "b"]}}


@pytest.fixture(scope="module")
def generator() -> Generator:
    """A tiny seeded network with an average that is not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = build_generator("creps", TINY)
        made.mapping.average.normal_()
    return made


def picture(generator: Generator) -> torch.Tensor:
    z = torch.linspace(-1, 1, 10).reshape(2, 5)
    grid = AxisGrid(torch.linspace(0.1, 0.9, 3), torch.linspace(0.2, 0.8, 4))
    return generator.synthesize(generator.map(z, truncation=0.5), grid)


@pytest.mark.parametrize("name", ["model", "model.safetensors", "new/folder/model"])
def test_a_saved_model_draws_the_same_bits(tmp_path: Path, generator: Generator, name: str) -> None:
    save(generator, tmp_path / name, record=RECORD)
    loaded = load(tmp_path / name)
    assert describe_generator(loaded) == describe_generator(generator)
    assert loaded.record == RECORD
    assert summarize(tmp_path / name).document.record == RECORD
    assert torch.equal(picture(loaded), picture(generator))


def test_a_saved_config_names_every_setting(tmp_path: Path) -> None:
    """So that a model stays what it is when a default changes."""
    given = {"resolution": 4, "channel_base": 16}
    save(build_generator("creps", given), tmp_path / "m")
    stored = json.loads((tmp_path / "m" / "config.json").read_text())["config"]
    assert stored.keys() == {field.name for field in fields(CrepsConfig)}


def test_a_loaded_model_is_ready_to_draw(tmp_path: Path, generator: Generator) -> None:
    save(build_generator("creps", TINY).train().double(), tmp_path / "model")
    loaded = load(str(tmp_path / "model"))
    assert not loaded.training
    values = [*loaded.parameters(), *loaded.buffers()]
    assert {v.dtype for v in values} == {torch.float32}
    assert {v.device.type for v in values} == {"cpu"}
    assert not any(v.requires_grad for v in values)


def test_loading_draws_nothing_at_random(tmp_path: Path, generator: Generator) -> None:
    save(generator, tmp_path / "model")
    before = torch.get_rng_state()
    load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_model_outlives_its_file(tmp_path: Path, generator: Generator) -> None:
    path = tmp_path / "model.safetensors"
    save(generator, path)
    loaded = load(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert torch.equal(picture(loaded), picture(generator))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_halves_the_weights_and_keeps_the_buffers(
    tmp_path: Path, generator: Generator, dtype: torch.dtype
) -> None:
    save(generator, tmp_path / "half", dtype=dtype)
    loaded = load(tmp_path / "half")
    buffers = dict(generator.named_buffers())
    assert {"input.frequencies", "mapping.average"} <= buffers.keys()
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        expected = generator.state_dict()[name]
        expected = expected if name in buffers else expected.to(dtype).float()
        assert torch.equal(value, expected)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, generator: Generator) -> None:
    for name in "ab":
        save(generator, tmp_path / name, record=RECORD)
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_record_stays_with_a_model_that_is_saved_again(
    tmp_path: Path, generator: Generator
) -> None:
    save(generator, tmp_path / "a", record=RECORD)
    save(load(tmp_path / "a"), tmp_path / "b")
    assert summarize(tmp_path / "b").document.record == RECORD


def test_a_summary_needs_no_weights(tmp_path: Path, generator: Generator) -> None:
    save(generator, tmp_path / "model", record=RECORD, dtype=torch.float16)
    summary = summarize(tmp_path / "model")
    assert summary.parameters == sum(p.numel() for p in generator.parameters())
    assert summary.stored_as == "F16"
    assert summary.file_bytes == summary.path.stat().st_size
    assert summary.document.config["resolution"] == 8


def test_a_saved_model_knows_its_id(tmp_path: Path, generator: Generator) -> None:
    expected = weights_id(generator)
    for name, record in (("new", RECORD), ("new", {"steps": 2}), ("single.safetensors", RECORD)):
        save(generator, tmp_path / name, record=record)
        assert summarize(tmp_path / name).document.weights_id == expected
        assert weights_id(load(tmp_path / name)) == expected
    assert json.loads((tmp_path / "new" / "config.json").read_text())["weights_id"] == expected
    save(generator, tmp_path / "half", dtype=torch.float16)
    half = load(tmp_path / "half")
    assert summarize(tmp_path / "half").document.weights_id == weights_id(half) != expected


@pytest.mark.parametrize(
    "changes", [{"weights_id": None}, {"weights_id": 7}, {"weights_sha256": "0" * 64}]
)
def test_models_saved_before_ids_still_load(
    tmp_path: Path, generator: Generator, changes: dict[str, Any]
) -> None:
    save(generator, tmp_path / "m", record=RECORD)
    config = tmp_path / "m" / "config.json"
    document = json.loads(config.read_text())
    del document["weights_id"]
    config.write_text(json.dumps(document | changes))
    assert summarize(tmp_path / "m").document.weights_id is None
    loaded = load(tmp_path / "m")
    assert loaded.record == RECORD
    assert weights_id(loaded) == weights_id(generator)


def test_an_id_is_of_what_a_generator_computes(generator: Generator) -> None:
    twin = copy.deepcopy(generator)
    twin.record = {"steps": 9}
    assert weights_id(twin.double()) == weights_id(twin) == weights_id(generator)
    with torch.no_grad():
        twin.to_rgb.bias[1] += 1
    changed = weights_id(twin)
    assert changed != weights_id(generator)
    twin.load_state_dict(generator.state_dict())
    assert weights_id(twin) == weights_id(generator)
    other = build_generator("creps", replace(TINY, clamp=1.0))
    other.load_state_dict(generator.state_dict())
    assert weights_id(other) != weights_id(generator)


def test_an_id_is_computed_once(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = weights_id(generator)
    monkeypatch.delattr(_store, "_digest")
    assert weights_id(generator) == expected


def test_ids_stay_what_they_were(generator: Generator) -> None:
    """Styles and pictures of before name the weights they were made with."""
    counted = copy.deepcopy(generator)
    with torch.no_grad():
        for number, tensor in enumerate([*counted.parameters(), *counted.buffers()]):
            tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) + number)
    assert weights_id(counted).startswith("5ec7aa4b")


def test_saving_over_a_model_replaces_it_and_leaves_other_files(
    tmp_path: Path, generator: Generator
) -> None:
    save(build_generator("creps", {"resolution": 4, "channel_base": 8, "w_dim": 2}), tmp_path / "m")
    (tmp_path / "m" / "notes.txt").write_text("mine")
    save(generator, tmp_path / "m")
    assert torch.equal(picture(load(tmp_path / "m")), picture(generator))
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "config.json",
        "model.safetensors",
        "notes.txt",
    ]


@pytest.mark.parametrize("name", ["new", "old", "new.safetensors", "old.safetensors"])
def test_a_save_that_fails_leaves_what_was_there(
    tmp_path: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    save(generator, tmp_path / "old", record=RECORD)
    save(generator, tmp_path / "old.safetensors", record=RECORD)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(generator, tmp_path / name, record={})
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_directory_of_two_saves_is_refused_and_its_weights_still_load(
    tmp_path: Path, generator: Generator
) -> None:
    save(generator, tmp_path / "a", record={"steps": 1})
    save(generator, tmp_path / "b", record={"steps": 2})
    (tmp_path / "a" / "config.json").write_bytes((tmp_path / "b" / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"does not belong .*: remove config.json"):
        load(tmp_path / "a")
    (tmp_path / "a" / "config.json").unlink()
    assert load(tmp_path / "a").record == {"steps": 1}


def test_weights_without_metadata_go_by_the_config_beside_them(
    tmp_path: Path, generator: Generator
) -> None:
    save(generator, tmp_path / "m", record=RECORD)
    save_file(load_file(tmp_path / "m" / "model.safetensors"), tmp_path / "m" / "model.safetensors")
    assert torch.equal(picture(load(tmp_path / "m")), picture(generator))
    (tmp_path / "m" / "config.json").unlink()
    with pytest.raises(CheckpointError, match="no config"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("to_rgb.bias"), r"'to_rgb\.bias' missing"),
        (lambda t: t.update({"extra": torch.ones(1)}), "'extra' unexpected"),
        (lambda t: t.update({"x": torch.ones(1), "y": torch.ones(1)}), "'x' and 1 more unexpected"),
        (lambda t: t.update({"to_rgb.bias": torch.ones(4)}), r"shape \(4,\): expected \(3,\)"),
        (lambda t: t.update({"to_rgb.bias": torch.ones(3).double()}), "is F64"),
        (lambda t: t.update({"to_rgb.bias": torch.ones(3).int()}), "is I32"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, generator: Generator, change: Callable[[Any], Any], message: str
) -> None:
    path = tmp_path / "model.safetensors"
    save(generator, path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    write_tensors(path, tensors, metadata=metadata)
    for read in (load, summarize):
        with pytest.raises(CheckpointError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: tensor ")


@pytest.mark.parametrize("kept", [0, 4, 100, 5000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, generator: Generator, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    save(generator, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2, this creps reads 1: upgrade creps"),
        ({"version": "1"}, "version '1'"),
        ({"format": "other"}, "not a creps model"),
        ({"family": "crep"}, "unknown generator family 'crep': did you mean creps"),
        ({"family": None}, "family or config is missing"),
        ({"config": []}, "family or config is missing"),
        ({"config": {"resolution": 7}}, "resolution 7"),
        ({"config": {"resolution": 8, "zdim": 3}}, "unknown setting 'zdim'"),
        ({"config": {"resolution": "big"}}, "resolution"),
        ({"config": {"resolution": 8}}, "do not fit the config"),
        ({"config": {"resolution": 8, "z_dim": 10**15, "w_dim": 10**15}}, "impossible sizes"),
        ({"config": {"resolution": 8, "z_dim": 10**30}}, "impossible sizes"),
    ],
)
def test_a_config_that_cannot_be_is_refused(
    tmp_path: Path, generator: Generator, change: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "m"
    save(generator, folder)
    document = json.loads((folder / "config.json").read_text())
    write_tensors(folder / "model.safetensors", load_file(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder)
    assert str(caught.value).startswith(str(folder))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "7", "\xff"])
def test_a_config_that_is_no_json_is_refused(
    tmp_path: Path, generator: Generator, text: str
) -> None:
    save(generator, tmp_path / "m")
    (tmp_path / "m" / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"config\.json: not"):
        load(tmp_path / "m")


def test_names_and_paths_are_told_apart(
    tmp_path: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_store, "_folder", lambda: tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    save(generator, tmp_path / "models" / "portraits", record={"from": "package"})
    assert packaged_names() == ["portraits"]
    assert load("portraits").record == {"from": "package"}
    (tmp_path / "portraits").mkdir()  # some directory is not a model
    assert load("portraits").record == {"from": "package"}
    save(generator, tmp_path / "portraits", record={"from": "directory"})
    assert load("portraits").record == {"from": "directory"}
    assert load("./models/portraits").record == {"from": "package"}
    with pytest.raises(CheckpointError, match=r"'portrats', did you mean portraits\?"):
        load("portrats")
    with pytest.raises(CheckpointError, match=r"portrats.*no such file"):
        load("./portrats")
    with pytest.raises(CheckpointError, match="no such file"):
        load("portrats.safetensors")
    with pytest.raises(CheckpointError, match=r"creps convert network\.pkl --out DIR"):
        load("network.pkl")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6])
def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, bad: float) -> None:
    generator = build_generator("creps", TINY)
    generator.to_rgb.bias[1] = bad  # 1e6 has no half precision
    with pytest.raises(CheckpointError, match=r"to_rgb\.bias .* not finite in torch\.float16"):
        save(generator, tmp_path / "m", dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": torch.float64}, "float32, float16 or bfloat16"),
        ({"record": {"a": object()}}, "must be JSON"),
        ({"record": {"a": float("nan")}}, "must be JSON"),
        ({"record": {"a": "\ud800"}}, "must be JSON"),
    ],
)
def test_what_cannot_be_saved_is_refused(
    tmp_path: Path, generator: Generator, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        save(generator, tmp_path / "m", **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_replaced_by_a_directory(tmp_path: Path, generator: Generator) -> None:
    (tmp_path / "m").write_text("mine")
    with pytest.raises(CrepsError, match="is a file"):
        save(generator, tmp_path / "m")
    assert (tmp_path / "m").read_text() == "mine"


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9, 0.999])
def test_a_single_bit_of_the_weights_is_seen(
    tmp_path: Path, generator: Generator, place: float
) -> None:
    save(generator, tmp_path / "m.safetensors")
    content = bytearray((tmp_path / "m.safetensors").read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    content[header + int(place * (len(content) - header))] ^= 1
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.safetensors: damaged or edited"):
        load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("name", ["decoder_widths", "refinement_widths"])
def test_no_config_names_thousands_of_layers(
    tmp_path: Path, generator: Generator, name: str
) -> None:
    save(generator, tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    document = json.loads(config.read_text())
    document["config"][name] = [1] * 20_000
    config.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="does not belong"):
        load(tmp_path / "m")
    with pytest.raises(ConfigError, match="at most"):
        build_generator("creps", document["config"])
