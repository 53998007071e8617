"""Official CIPS checkpoints become our models; nothing in a .pt file is run."""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from torch import Tensor, nn
from typer.testing import CliRunner

import official_cips
from creps.checkpoints import convert, from_state_dict, load, save
from creps.checkpoints._official.cips import AVERAGED_LATENTS, CIPS
from creps.checkpoints._unpickle import read_torch_file
from creps.cli._models import convert as convert_command
from creps.coordinates import AxisGrid, Canvas
from creps.errors import CheckpointError
from creps.networks.base import Generator
from golden_names import GOLDEN, golden, relative_error

TOLERANCE = 2e-5
"""max|error| / max|reference| in float32."""
FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def float32(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in state.items()}


def write(path: Path, content: Any, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def official_grid(size: int) -> tuple[AxisGrid, Tensor]:
    """A square on the corners, as ours and as official coordinates."""
    grid = Canvas(size, size, sampling="corners").grid()
    x, y = torch.meshgrid(2 * grid.xs - 1, 2 * grid.ys - 1, indexing="xy")
    return grid, torch.stack([x, y])[None]


def assert_paints_as(generator: Generator, state: dict[str, Tensor]) -> None:
    z = torch.randn((2, 6), dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    grid, coords = official_grid(11)
    w = official_cips.style_of(state, z)
    generator = generator.double()
    painted = generator.synthesize(generator.map(z), grid)
    # The stored weights went through float32.
    assert relative_error(painted, official_cips.picture(state, w, coords)) <= 1e-11


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("widths", [(10, 10, 7), (9, 5), (8, 8, 8)])
def test_both_official_generators_paint_as_written_down(
    residual: bool, widths: tuple[int, ...]
) -> None:
    state = official_cips.state_dict(residual=residual, widths=widths)
    state = {name: tensor.float().double() for name, tensor in state.items()}
    generator = from_state_dict(state)
    assert generator.config.connections == ("residual" if residual else "skip")
    assert generator.config.widths == widths
    assert generator.sampling == "corners"
    assert_paints_as(generator, state)


def test_residual_blocks_may_name_their_layers_otherwise() -> None:
    state = official_cips.state_dict(residual=True, widths=(10, 7, 7, *[7] * 8, 5))
    renamed = {}
    for name, tensor in state.items():
        for old, new in (("conv1.", "0."), ("conv2.", "1."), ("skip.", "shortcut.0.")):
            if name.startswith("linears."):
                head, _, rest = name.removeprefix("linears.").partition(".")
                if rest.startswith(old):
                    rest = new + rest.removeprefix(old)
                    name = f"blocks.{head}.{rest}"
        renamed[name.replace("to_rgb_last", "to_rgb")] = tensor
    assert not any(name.startswith("linears") for name in renamed)
    first, second = from_state_dict(state), from_state_dict(renamed)
    assert first.config == second.config
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


@FORMATS
def test_training_checkpoints_hold_both_generators(tmp_path: Path, zipped: bool) -> None:
    ema = float32(official_cips.state_dict())
    trained = {name: tensor + 0.1 for name, tensor in ema.items()}
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    content = {
        "g": OrderedDict(trained),
        "g_ema": ema,
        "d": layer.state_dict(),
        "g_optim": optimizer.state_dict(),
        "args": argparse.Namespace(size=8, betas=(0.0, 0.99)),
        "iter": 7,
    }
    path = write(tmp_path / "000007.pt", content, zipped=zipped)
    for which, state, network in (("G_ema", ema, "g_ema"), ("G", trained, "g")):
        generator, record = convert(path, which=which)
        assert torch.equal(generator.first.bias, state["conv1.activate.bias"])
        assert_paints_as(generator, {name: t.double() for name, t in state.items()})
        assert record == {
            "source": {
                "file": "000007.pt",
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "network": network,
                "class": "state dictionary",
                "dropped": [],
            },
            "license": "other",
            "credits": CIPS.license_note,
        }
    with pytest.raises(CheckpointError, match="no network 'g_eam' in it: did you mean g_ema"):
        convert(path, which="g_eam")


@FORMATS
def test_a_single_state_dictionary_is_enough(tmp_path: Path, zipped: bool) -> None:
    path = write(tmp_path / "g.pt", golden("cips_skip32.weights"), zipped=zipped)
    generator, _ = convert(path)
    expected = golden("cips_skip32.io")
    painted = generator.synthesize(generator.map(expected["z"]), official_grid(32)[0])
    assert relative_error(painted, expected["img_eval"]) <= TOLERANCE


def test_a_safetensors_file_with_official_names_is_a_state_dictionary(tmp_path: Path) -> None:
    path = GOLDEN / "cips_skip32.weights.safetensors"
    generator, record = convert(path)
    expected = from_state_dict(golden("cips_skip32.weights"))
    for name, tensor in expected.state_dict().items():
        assert torch.equal(generator.state_dict()[name], tensor)
    assert record["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "part.safetensors").write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        convert(tmp_path / "part.safetensors")


def test_a_converted_model_is_saved_and_painted_from(tmp_path: Path) -> None:
    path = write(tmp_path / "g.pt", golden("cips_skip32.weights"))
    app = typer.Typer()
    app.command()(convert_command)
    result = CliRunner().invoke(app, [str(path), "--out", str(tmp_path / "model")])
    assert result.exit_code == 0
    assert "MIT" in result.stdout
    loaded, expected = load(tmp_path / "model"), golden("cips_skip32.io")
    painted = loaded.synthesize(loaded.map(expected["z"]), official_grid(32)[0])
    assert relative_error(painted, expected["img_eval"]) <= TOLERANCE
    assert loaded.record["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_center_of_truncation_is_measured() -> None:
    state = official_cips.state_dict()
    first, again = from_state_dict(state), from_state_dict(state)
    assert torch.equal(first.mapping.average, again.mapping.average)
    draw = torch.Generator().manual_seed(9)
    z = torch.randn((4 * AVERAGED_LATENTS, 6), dtype=torch.float64, generator=draw)
    w = official_cips.style_of(state, z)
    tolerance = 5 * (w.std(0) / AVERAGED_LATENTS**0.5)
    assert bool(((first.mapping.average.double() - w.mean(0)).abs() <= tolerance).all())


def test_embeddings_may_be_taken_as_they_were_trained(tmp_path: Path) -> None:
    generator = from_state_dict(golden("cips_skip32.weights"), {"embedding_nodes": "corners"})
    save(generator, tmp_path / "model")
    assert load(tmp_path / "model").config.embedding_nodes == "corners"


# What is refused


def without(name: str) -> dict[str, Tensor]:
    state = float32(official_cips.state_dict())
    del state[name]
    return state


def changed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    return float32(official_cips.state_dict()) | {name: tensor}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (without("linears.3.activate.bias"), "linears.3.activate.bias.* missing"),
        (without("linears.2.conv.weight"), "linears.2.conv.weight.* missing"),
        (without("style.2.bias"), "style.2.bias missing"),
        (without("to_rgbs.1.bias"), "to_rgbs.1.bias.* missing"),
        (without("linears.5.conv.modulation.weight"), "linears.5.conv.modulation.weight.* missing"),
        (without("style.2.weight"), "style.2.weight missing"),
        (without("linears.2.noise.weight"), "linears.2.noise.weight.* missing"),
        (without("lff.ffm.conv.bias"), "lff.ffm.conv.bias.* missing"),
        (changed("linears.9.new", torch.ones(2)), "linears.9.new.* unexpected"),
        (changed("emb.input", torch.ones(1, 4, 8, 9)), "emb.input has shape"),
        (changed("emb.input", torch.ones(4, 8, 8)), "expected 4 axes"),
        (changed("conv1.conv.weight", torch.ones(1, 8, 10, 1, 1)), "conv1.conv.weight has shape"),
        (changed("conv1.activate.bias", torch.ones(10).long()), "expected floats"),
        (changed("style.1.weight", torch.ones(6)), "expected 2 axes"),
        ({"weight": torch.ones(2)}, "no known family"),
        ({"g_ema": {"weight": [1, 2]}}, "'weight' is a list"),
        ({}, "no network 'G_ema'"),
        ([1, 2], "no network 'G_ema'"),
        (changed("conv1.activate.bias", torch.ones(1).expand(10**9)), "more than the file has"),
        (changed("conv1.activate.bias", torch.ones(10).to_sparse()), "does not hold plain numbers"),
        (changed("conv1.activate.bias", torch.ones(10, device="meta")), "not hold plain numbers"),
        (changed("conv1.activate.bias", torch.ones(0)), "does not hold plain numbers"),
    ],
)
def test_other_state_dictionaries_are_named(tmp_path: Path, state: Any, words: str) -> None:
    path = write(tmp_path / "bad.pt", state)
    with pytest.raises(CheckpointError, match=words) as caught:
        convert(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class Hostile:
    """Runs a command where a pickle is loaded as Python loads it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@FORMATS
def test_nothing_in_a_file_is_run(tmp_path: Path, zipped: bool) -> None:
    touched = tmp_path / "touched"
    content = {"g_ema": float32(official_cips.state_dict()), "x": Hostile(f"touch {touched}")}
    path = write(tmp_path / "hostile.pt", content, zipped=zipped)
    with pytest.raises(CheckpointError, match=r"refused global '(posix|nt)\.system'"):
        convert(path)
    assert not touched.exists()


def test_a_torch_that_may_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "g.pt", float32(official_cips.state_dict()))
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.5.1+cpu"))
    with pytest.raises(CheckpointError, match=r"g\.pt: torch 2\.6 or newer"):
        convert(path)
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.10.0"))
    convert(path)


@FORMATS
def test_a_truncated_file_is_one_line(tmp_path: Path, zipped: bool) -> None:
    whole = write(tmp_path / "g.pt", float32(official_cips.state_dict()), zipped=zipped)
    content = whole.read_bytes()
    for length in (21, len(content) // 3, len(content) - 1):
        (tmp_path / "part.pt").write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"part\.pt: .*(truncated|damaged|Truncated)"):
            convert(tmp_path / "part.pt")


@FORMATS
def test_files_of_any_broken_byte_are_read_or_refused(tmp_path: Path, zipped: bool) -> None:
    """Only a `CheckpointError` may come out, whatever is in the file."""
    content = write(tmp_path / "g.pt", {"a": torch.ones(3), "b": [1]}, zipped=zipped).read_bytes()
    broken = tmp_path / "broken.pt"
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        broken.write_bytes(damaged)
        with pytest.raises(CheckpointError) as caught:
            convert(broken)
        assert "\n" not in str(caught.value)


def repacked(path: Path, target: Path, **changes: Any) -> Path:
    """A zip file with some entries changed; `compression` packs them all."""
    packing = changes.pop("compression", zipfile.ZIP_STORED)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", packing) as new:
        for name in old.namelist():
            short = name.partition("/")[2].replace("/", "_").replace(".", "_")
            if changes.get(short, b"") is not None:
                new.writestr(name, changes.get(short, old.read(name)))
    return target


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compression": zipfile.ZIP_DEFLATED}, "packed or encrypted"),
        ({"data_0": None}, "damaged"),
        ({"data_0": b"short"}, "damaged"),
        ({"data_pkl": None}, "expected one data.pkl"),
    ],
)
def test_other_zip_files_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = write(tmp_path / "g.pt", float32(official_cips.state_dict()))
    with pytest.raises(CheckpointError, match=words):
        convert(repacked(path, tmp_path / "other.pt", **changes))


def test_a_key_that_would_be_hashed_forever_is_refused(tmp_path: Path) -> None:
    deep = b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s."
    path = write(tmp_path / "g.pt", float32(official_cips.state_dict()))
    with pytest.raises(CheckpointError, match="more than 30000 tuples"):
        convert(repacked(path, tmp_path / "deep.pt", data_pkl=deep))


def test_tensors_share_storages_as_they_were_saved(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    path = write(tmp_path / "views.pt", {str(k): shared[k : k + 2] for k in range(4)})
    tree = read_torch_file(io.BytesIO(path.read_bytes()))
    assert len({tensor.untyped_storage().data_ptr() for tensor in tree.values()}) == 1
    assert tree["3"].tolist() == [3.0, 4.0]


def test_a_pickle_that_is_no_torch_file_goes_the_other_way(tmp_path: Path) -> None:
    (tmp_path / "g.pt").write_bytes(pickle.dumps({"g_ema": 1}, 4))
    with pytest.raises(CheckpointError, match="a pickle without networks"):
        convert(tmp_path / "g.pt")
    with pytest.raises(CheckpointError, match="no such file"):
        convert(tmp_path / "none.pt")
