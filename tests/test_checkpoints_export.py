"""Exported files draw what PyTorch draws, at any size, and say whose they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from typer.testing import CliRunner

from benchmarks.onnx_runtimes import RUNTIMES, errors
from creps.checkpoints import _export as exporting
from creps.checkpoints import export_mapping, export_onnx, load, save
from creps.checkpoints._pieces import PieceGrid, pieces, use_pieces
from creps.cli._models import export
from creps.coordinates import Canvas
from creps.errors import CheckpointError, MissingExtraError, UsageError
from creps.networks.base import Generator, build_generator
from creps.rendering._painter import to_uint8
from creps.rendering._styles import latents

pytestmark = pytest.mark.slow

onnx: Any = pytest.importorskip("onnx")
onnxruntime: Any = pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parent.parent
CONFIGS: dict[str, dict[str, Any]] = {
    "cips": {"resolution": 8, "features": 6, "widths": [7, 5], "period": [0.0, 1.5]},
    "creps": {
        "resolution": 8,
        "channel_max": 8,
        "thickness": 2,
        "line_channels": 4,
        "decoder_widths": [6],
        "refinement_widths": [5],
    },
}
SMALL = {"z_dim": 5, "w_dim": 4, "mapping_layers": 2}
Run = Callable[..., Any]


def tiny(family: str, **changes: Any) -> Generator:
    """The same network in every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        generator = build_generator(family, CONFIGS[family] | SMALL | changes)
        generator.mapping.average.normal_()
    generator.record = {"credits": "Art by A", "training": {"steps": 3}}
    return generator


def session(path: Path) -> Run:
    """Runs an ONNX file: inputs by name to the output."""
    opened = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(**inputs: Tensor) -> Tensor:
        (output,) = opened.run(None, {name: value.numpy() for name, value in inputs.items()})
        return torch.from_numpy(output)

    run.opened = opened  # type: ignore[attr-defined]
    return run


def run_command(*arguments: str | Path) -> Result:
    commands = typer.Typer()
    commands.command()(export)
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of each family, written once, as it takes seconds: CIPS' by the command."""
    folder = tmp_path_factory.mktemp("onnx")
    save(tiny("cips"), folder / "cips")
    result = run_command(
        "--model", folder / "cips", "--out", folder / "cips.onnx",
        "--mapping", folder / "mapping.onnx",
    )  # fmt: skip
    assert result.exit_code == 0, result.exception
    assert "wrote" in result.stdout
    assert export_onnx(tiny("creps"), folder / "creps.onnx") <= 1e-5
    return folder


@pytest.fixture(params=sorted(CONFIGS))
def exported(request: pytest.FixtureRequest, folder: Path) -> Any:
    """A generator and what runs its file."""
    return tiny(request.param), session(folder / f"{request.param}.onnx")


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 8, 8), (3, 5, 21), (2, 1, 2)])
def test_files_draw_any_size(exported: Any, batch: int, height: int, width: int) -> None:
    generator, run = exported
    draw = torch.Generator().manual_seed(batch)
    styles = torch.randn((batch, generator.num_styles, 4), generator=draw)
    grid = Canvas(height, width, (-0.3, 0.2, 0.9, 2.4)).grid()
    image = run(styles=styles, ys=pieces(grid.ys), xs=pieces(grid.xs))
    expected = generator.synthesize(styles, grid)
    torch.testing.assert_close(image, expected, rtol=1e-4, atol=1e-5)


def test_files_keep_deep_zooms_apart(exported: Any) -> None:
    generator, run = exported
    styles = torch.ones(1, generator.num_styles, 4)
    grid = Canvas(1, 50, (0.5, 0.5, 0.5 + 1e-9, 0.5 + 1e-9)).grid()
    image = run(styles=styles, ys=pieces(grid.ys), xs=pieces(grid.xs))
    torch.testing.assert_close(image, generator.synthesize(styles, grid), rtol=1e-4, atol=1e-5)


def test_files_hold_far_out(exported: Any) -> None:
    generator, run = exported
    styles = torch.ones(1, generator.num_styles, 4)
    grid = Canvas(3, 40, (1e5, -1e5, 1e5 + 1, 1 - 1e5)).grid()
    image = run(styles=styles, ys=pieces(grid.ys), xs=pieces(grid.xs))
    torch.testing.assert_close(image, generator.synthesize(styles, grid), rtol=1e-4, atol=1e-5)


def test_files_can_be_quantized(folder: Path, tmp_path: Path) -> None:
    quantize = pytest.importorskip("onnxruntime.quantization").quantize_dynamic
    for family in sorted(CONFIGS):
        small = tmp_path / f"{family}.onnx"
        quantize(folder / f"{family}.onnx", small)
        assert any("Integer" in node.op_type for node in onnx.load(small).graph.node)
        generator, grid = tiny(family), Canvas(9, 14, (-0.3, 0.2, 0.9, 2.4)).grid()
        styles = torch.randn(
            (2, generator.num_styles, 4), generator=torch.Generator().manual_seed(0)
        )
        expected = generator.synthesize(styles, grid)
        image = session(small)(styles=styles, ys=pieces(grid.ys), xs=pieces(grid.xs))
        assert float((image - expected).abs().max()) < 0.1 * float(expected.abs().max())


def test_files_compute_no_weights(tmp_path: Path) -> None:
    wide = tiny("creps", mapping_layers=1, w_dim=1100)  # the exporter itself folds small ones
    export_onnx(wide, tmp_path / "wide.onnx", start="z")
    graph = onnx.load(tmp_path / "wide.onnx").graph
    known = {weights.name for weights in graph.initializer}
    for node in graph.node:
        assert not known.issuperset(node.input), (node.op_type, list(node.input))


@pytest.mark.parametrize("name", ["creps", "cips", "mapping"])
def test_files_hold_nothing_that_some_runtimes_lack(folder: Path, name: str) -> None:
    graph = onnx.load(folder / f"{name}.onnx").graph
    inferred = onnx.shape_inference.infer_shapes(onnx.load(folder / f"{name}.onnx")).graph
    kinds = {value.type.tensor_type.elem_type for value in [*inferred.value_info, *graph.input]}
    kinds |= {weights.data_type for weights in graph.initializer}
    assert onnx.TensorProto.FLOAT in kinds
    assert onnx.TensorProto.DOUBLE not in kinds
    assert "Split" not in {node.op_type for node in graph.node}
    assert not [a for node in graph.node for a in node.attribute if a.name == "allowzero"]
    repeated = {node.output[0] for node in graph.node if node.op_type == "Expand"}
    assert not repeated & {node.input[0] for node in graph.node if node.op_type == "MatMul"}


@pytest.mark.parametrize("family", sorted(CONFIGS))
@pytest.mark.parametrize("start", [-3.0, -0.25, 0.0, 0.5, 12.0, 1e5, -1e5])
@pytest.mark.parametrize("changes", [{}, {"period": [0.0, 0.0]}, {"embedding_nodes": "corners"}])
def test_networks_see_pieces_as_they_see_float64(
    family: str, start: float, changes: dict[str, Any]
) -> None:
    if family == "creps" and changes:
        pytest.skip("CREPS has no such settings")
    if "embedding_nodes" in changes:
        changes = changes | {"period": [0.0, 0.0]}
    generator, cut = tiny(family, **changes), tiny(family, **changes)
    use_pieces(cut)
    styles = torch.ones(2, generator.num_styles, 4)
    for width in (2.0, 2.0**-10, 2.0**-30):
        grid = Canvas(5, 9, (start, start / 3, start + width, start / 3 + width)).grid()
        image = cut.synthesize(styles, PieceGrid(pieces(grid.ys), pieces(grid.xs)))
        expected = generator.synthesize(styles, grid)
        torch.testing.assert_close(image, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("family", sorted(CONFIGS))
@pytest.mark.parametrize("place", [0.0, -3.0, 0.375, 4097.0])
def test_textures_repeat_in_exported_networks(family: str, place: float) -> None:
    generator, cut = (tiny(family, period=[1.0, 2.5]) for _ in range(2))
    use_pieces(cut)
    styles = torch.ones(2, generator.num_styles, 4)
    images = []
    for y, x in ((0.25, -0.5), (0.25 + place // 1, 2.5 * place - 0.5)):
        grid = Canvas(5, 9, (y, x, y + 0.5, x + 0.5)).grid()
        images.append(cut.synthesize(styles, PieceGrid(pieces(grid.ys), pieces(grid.xs))))
        expected = generator.synthesize(styles, grid)
        torch.testing.assert_close(images[-1], expected, rtol=1e-4, atol=2e-5)
    if place % 1 == 0:
        torch.testing.assert_close(images[1], images[0], rtol=1e-4, atol=2e-5)


@given(st.floats(-1e5, 1e5).filter(lambda value: value == 0 or abs(value) > 1e-20))
def test_pieces_add_up(value: float) -> None:
    cut = pieces(torch.tensor([value, -value], dtype=torch.float64))
    assert cut.dtype == torch.float32
    assert cut.shape == (2, 5)
    assert cut[0].double().sum().item() == value
    assert torch.equal(cut[0], -cut[1])
    mantissas = torch.frexp(cut.double())[0] * 2**12
    assert torch.equal(mantissas, mantissas.round())


def test_dense_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='"dense" cannot be exported'):
        export_onnx(tiny("creps", composition="dense"), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("runtime", sorted(RUNTIMES))
@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_other_programs_draw_the_same(folder: Path, runtime: str, family: str) -> None:
    pytest.importorskip(runtime)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages
        found = errors(RUNTIMES[runtime](folder / f"{family}.onnx"), tiny(family))
    assert max(found.values()) < 1e-4, found


def test_files_say_whose_they_are(exported: Any) -> None:
    generator, run = exported
    words = run.opened.get_modelmeta().custom_metadata_map
    assert words["credits"] == "Art by A"
    assert words["sampling"] == "centers"
    assert "(i + 0.5) / n" in words["coordinates"]
    document = json.loads(words["creps"])
    assert document["record"] == generator.record
    rebuilt = build_generator(document["family"], document["config"])
    assert rebuilt.config == generator.config
    shapes = {value.name: value.shape for value in run.opened.get_inputs()}
    assert shapes["styles"] == ["batch", generator.num_styles, 4]
    assert (shapes["ys"], shapes["xs"]) == (["height", 5], ["width", 5])


def test_classes_and_truncation_are_inputs_of_the_way_from_latents(tmp_path: Path) -> None:
    generator = tiny("cips", label_dim=3)
    export_mapping(generator, tmp_path / "mapping.onnx")
    z = torch.randn((4, 5), generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([2, 0, 1, 1])
    styles = session(tmp_path / "mapping.onnx")(
        z=z, label=torch.eye(3)[classes], truncation=torch.tensor(0.6)
    )
    expected = generator.map(z, classes, truncation=0.6)
    torch.testing.assert_close(styles, expected, rtol=1e-4, atol=1e-5)


def test_classes_that_latents_decide_on_are_no_input(tmp_path: Path) -> None:
    generator = tiny("cips", label_dim=3, class_from_latent=True)
    export_mapping(generator, tmp_path / "mapping.onnx")
    z = torch.randn((4, 5), generator=torch.Generator().manual_seed(0))
    styles = session(tmp_path / "mapping.onnx")(z=z, truncation=torch.tensor(0.6))
    torch.testing.assert_close(styles, generator.map(z, truncation=0.6), rtol=1e-4, atol=1e-5)


def test_the_example_in_the_documents_draws_without_torch(folder: Path) -> None:
    (example,) = (
        block
        for block in re.findall(
            r"^```python\n(.*?)^```$",
            (ROOT / "docs" / "export.md").read_text(encoding="utf-8"),
            flags=re.MULTILINE | re.DOTALL,
        )
        if "onnxruntime" in block
    )
    example = example.replace('"model.onnx"', '"cips.onnx"')
    ending = "\nimport sys\nassert 'torch' not in sys.modules\nnp.save('picture.npy', picture)\n"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", example + ending],
        cwd=folder, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    generator = load(folder / "cips")
    styles = generator.map(latents([7], generator), truncation=0.7)
    expected = to_uint8(generator.synthesize(styles, Canvas(96, 128).grid())[0])
    difference = np.load(folder / "picture.npy").astype(int) - expected.astype(int)
    assert np.abs(difference).max() <= 1


# What is refused


def test_a_file_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    other = (folder / "mapping.onnx").read_bytes()
    monkeypatch.setattr(exporting, "_onnx", lambda graph, generator: other)
    generator = tiny("cips")
    generator.mapping.average += 0.1
    with pytest.raises(CheckpointError, match=r"differs from PyTorch by .* nothing was written"):
        export_mapping(generator, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime"])
def test_missing_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"creps\[export\]"):
        export_mapping(tiny("cips"), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_families_without_such_a_graph_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_FAMILIES", ("creps",))
    with pytest.raises(UsageError, match="cips models cannot be exported: expected creps"):
        export_onnx(tiny("cips"), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "tflite"], "expected onnx"),
        (["--out", "m.txt"], "m.txt: expected a name that ends with .onnx"),
        (["--start", "w"], "expected styles or z"),
        (["--mapping", "m.onnx"], "give two files"),
        (["--mapping", "old.onnx"], "old.onnx exists"),
    ],
)
def test_misuse_is_one_line_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.onnx").write_bytes(b"old")
    result = run_command("--out", "m.onnx", *arguments)
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)
    assert {path.name for path in tmp_path.iterdir()} == {"old.onnx"}
