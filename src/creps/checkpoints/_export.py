"""Generators as ONNX files: coordinates are inputs, so one file draws pictures of any size.

A file starts from styles or from latents; a file of the mapping network goes from the one to the
other. Each is compared with PyTorch before it is written, and says in its metadata whose it is and
how coordinates are made.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from creps._files import write_atomically
from creps.checkpoints._pieces import PIECES, PieceGrid, pieces, use_pieces
from creps.coordinates import AxisGrid, Canvas
from creps.errors import CheckpointError, MissingExtraError, UsageError
from creps.networks.base import Generator, describe_generator

if TYPE_CHECKING:
    import onnx_ir as ir

_FAMILIES = ("cips", "creps")
"""Families whose graphs hold for any grid of rows and columns."""

_OPSET = 18
"""Version of ONNX' operators, of December 2022: what ONNX Runtime reads since 1.14."""

_LARGEST = 2**40
"""Bytes of constants that are computed beforehand: all."""

_ZOOM = 2.0**-30
_CHECKED = (
    Canvas(16, 16, (-0.1, 0.2, 0.9, 1.3)),
    Canvas(7, 24, (0.3, 0.7, 0.3 + 7 * _ZOOM, 0.7 + 24 * _ZOOM)),
    Canvas(33, 5, (1e5, -1e5, 1e5 + 0.9, 0.1 - 1e5)),
)
"""Where a file is compared with PyTorch: about the unit square, zoomed in by 2**30, far out."""
_TOLERANCE = 1e-4
"""Largest error of a file, max|error| / max|PyTorch|; float32 rounds to 1e-6 as a rule."""


_AXES: dict[str, dict[int, str]] = {
    "styles": {0: "batch"},
    "z": {0: "batch"},
    "label": {0: "batch"},
    "truncation": {},
    "ys": {0: "height"},
    "xs": {0: "width"},
}
"""The inputs that a file may have, and names of their axes that may have any length."""


@dataclass(frozen=True)
class _Graph:
    """What is exported, what it must equal, the names of its inputs in order, and its result's."""

    module: nn.Module
    reference: nn.Module
    inputs: tuple[str, ...]
    output: str


def export_onnx(
    generator: Generator, path: str | os.PathLike[str], *, start: Literal["styles", "z"] = "styles"
) -> float:
    """Write a generator as an ONNX file that draws on any rows and columns.

    Inputs: `styles` (B, K, D) float32; or `z` (B, Z) float32, `label` (B, classes) float32 for
    conditional models, and `truncation`, one float32. Then `ys` (H, 5) and `xs` (W, 5), plane
    coordinates as float32 pieces of 12 bits (docs/export.md has the lines that cut them): nothing
    in the file is float64, so every runtime can load it. Output: `image` (B, C, H, W) float32,
    nominal range [-1, 1]. B, H and W are free.

    Args:
        generator: a CREPS or CIPS network.
        path: of the file; an existing one is replaced.
        start: "styles" or "z".
    Returns:
        the largest error against PyTorch, max|error| / max|PyTorch|, at three places: about the
        unit square, zoomed in by 2**30, and at coordinates of 1e5.
    Raises:
        UsageError: for a family that has no graph for any grid.
        MissingExtraError: where the packages of the extra "export" are not installed.
        CheckpointError: if the file does not draw what PyTorch draws; nothing is written then.
    """
    generator = _portable(generator)
    latent_inputs = _latent_inputs(generator) if start == "z" else ("styles",)
    cut = copy.deepcopy(generator)
    use_pieces(cut)
    graph = _Graph(
        _Drawing(cut, start, PieceGrid),
        _Drawing(generator, start, AxisGrid),
        (*latent_inputs, "ys", "xs"),
        "image",
    )
    return _written(graph, generator, Path(path))


def export_mapping(generator: Generator, path: str | os.PathLike[str]) -> float:
    """Write a generator's mapping as an ONNX file: latents to styles.

    Inputs: `z`, `label` and `truncation` as for `export_onnx`. Output: `styles` (B, K, D).

    Args, Returns, Raises: as `export_onnx`.
    """
    generator = _portable(generator)
    mapping = _Mapping(generator)
    graph = _Graph(mapping, mapping, _latent_inputs(generator), "styles")
    return _written(graph, generator, Path(path))


class _Mapping(nn.Module):
    """z, label (if there are classes) and truncation to styles."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *latent_inputs: Tensor) -> Tensor:
        z, *label, truncation = latent_inputs
        styles = self.generator.map(z, label[0] if label else None)
        average = self.generator.mapping.average
        return average + truncation * (styles - average)


class _Drawing(nn.Module):
    """Styles, or what `_Mapping` takes, then ys and xs, to a picture."""

    def __init__(self, generator: Generator, start: str, grid: type[AxisGrid]) -> None:
        super().__init__()
        self.generator, self.grid = generator, grid
        self.mapping = _Mapping(generator) if start == "z" else None

    def forward(self, *inputs: Tensor) -> Tensor:
        *latent_inputs, ys, xs = inputs
        styles = latent_inputs[0] if self.mapping is None else self.mapping(*latent_inputs)
        return self.generator.synthesize(styles, self.grid(ys, xs))


def _portable(generator: Generator) -> Generator:
    """A copy on the CPU in float32; a family that is not exported is refused."""
    family = describe_generator(generator)[0]
    if family not in _FAMILIES:
        raise UsageError(f"{family} models cannot be exported: expected {' or '.join(_FAMILIES)}")
    return copy.deepcopy(generator).to("cpu", torch.float32).eval().requires_grad_(False)


def _latent_inputs(generator: Generator) -> tuple[str, ...]:
    label = ("label",) if generator.needs_class else ()
    return ("z", *label, "truncation")


def _examples(
    graph: _Graph, generator: Generator, batch: int, canvas: Canvas
) -> tuple[Tensor, ...]:
    """Random inputs of a graph with float64 coordinates, the same in every call."""
    draw = torch.Generator().manual_seed(0)
    classes = max(generator.config.label_dim, 1)
    made = {
        "styles": torch.randn(
            (batch, generator.num_styles, generator.config.w_dim), generator=draw
        ),
        "z": torch.randn((batch, generator.config.z_dim), generator=draw),
        "label": torch.eye(classes)[torch.arange(batch) % classes],
        "truncation": torch.tensor(0.7),
        "ys": canvas.rows(),
        "xs": canvas.columns(),
    }
    return tuple(made[name] for name in graph.inputs)


def _cut(graph: _Graph, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The same inputs with coordinates in pieces."""
    return tuple(
        pieces(value) if name in ("ys", "xs") else value
        for name, value in zip(graph.inputs, inputs, strict=True)
    )


@torch.no_grad()
def _written(graph: _Graph, generator: Generator, path: Path) -> float:
    """Export, compare, write."""
    try:
        import onnxruntime  # noqa: F401  # what compares
        import onnxscript  # noqa: F401  # what torch exports with
    except ImportError:
        raise MissingExtraError("writing ONNX files", "export") from None
    with _quiet():
        content = _onnx(graph, generator)
        error = max(
            _error(content, graph, _examples(graph, generator, batch, canvas))
            for batch, canvas in enumerate(_CHECKED, start=1)
        )
    if not error <= _TOLERANCE:
        raise CheckpointError(
            f"{path}: the ONNX file differs from PyTorch by {error:.1e} of the largest value: "
            f"expected at most {_TOLERANCE:.0e}; nothing was written"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what torch and its exporter say of themselves from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _onnx(graph: _Graph, generator: Generator) -> bytes:
    """The content of an ONNX file."""
    names = tuple(_AXES[name] for name in graph.inputs)
    free = {name: torch.export.Dim(name) for axes in names for name in axes.values()}
    shapes = tuple({axis: free[name] for axis, name in axes.items()} for axes in names)
    canvas = Canvas(6, 7)  # sizes 0 and 1 would be taken as fixed
    traced = torch.export.export(
        graph.module,
        _cut(graph, _examples(graph, generator, 2, canvas)),
        dynamic_shapes=(shapes,),
        strict=True,
    )
    program = torch.onnx.export(
        traced,
        (),
        input_names=graph.inputs,
        output_names=[graph.output],
        dynamic_shapes=(names,),  # gives the free axes their names
        dynamo=True,
        opset_version=_OPSET,
        verbose=False,
    )
    assert program is not None
    _fold(program.model)
    for node in program.model.graph.all_nodes():
        # What some runtimes stumble over, and none needs: no axis is empty, and products of
        # matrices repeat a single one for the whole batch by themselves.
        node.attributes.pop("allowzero", None)
        repeated = (
            node.inputs[0].producer() if node.op_type == "MatMul" and node.inputs[0] else None
        )
        if repeated is not None and repeated.op_type == "Expand":
            node.replace_input_with(0, repeated.inputs[0])
    program.model.metadata_props.update(_metadata(generator))
    content: bytes = program.model_proto.SerializeToString()
    return content


def _fold(model: ir.Model) -> None:
    """Compute what depends on weights alone, and turn the weights of layers beforehand.

    ONNX Runtime's quantizer turns those of each Gemm in place, once for every layer that has them.
    """
    import onnx_ir as ir
    from onnx_ir.passes.common import RemoveUnusedNodesPass
    from onnxscript.optimizer import fold_constants

    fold_constants(model, input_size_limit=_LARGEST, output_size_limit=_LARGEST)
    turned: dict[str | None, ir.Value] = {}
    for node in model.graph.all_nodes():
        weight = node.inputs[1] if node.op_type == "Gemm" else None
        if weight is None or weight.const_value is None or not node.attributes.get_int("transB", 0):
            continue
        if weight.name not in turned:
            values = np.ascontiguousarray(weight.const_value.numpy().T)
            tensor = ir.tensor(values, name=f"{weight.name}.turned")
            turned[weight.name] = ir.val(tensor.name, const_value=tensor)
            model.graph.register_initializer(turned[weight.name])
        node.replace_input_with(1, turned[weight.name])
        node.attributes.pop("transB")
    RemoveUnusedNodesPass()(model)


def _error(content: bytes, graph: _Graph, inputs: Sequence[Tensor]) -> float:
    """max|error| / max|PyTorch| of an ONNX file on some inputs."""
    import onnxruntime

    expected = graph.reference(*inputs).numpy()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    given = zip(graph.inputs, _cut(graph, inputs), strict=True)
    values = {name: value.numpy() for name, value in given}
    (actual,) = session.run([graph.output], values)
    if actual.shape != expected.shape:
        return float("inf")
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def _metadata(generator: Generator) -> dict[str, str]:
    """Metadata of a file, as text and as JSON."""
    family, config = describe_generator(generator)
    record = dict(generator.record)
    place = "(i + 0.5) / n" if generator.sampling == "centers" else "i / (n - 1)"
    words = {
        "family": family,
        "sampling": generator.sampling,
        "coordinates": "ys and xs are plane coordinates, y downwards; from 0 to 1 lies what the "
        f"model was trained on. Pixel i of n of the whole picture is at {place}. Each comes as "
        f"{PIECES} float32 pieces of 12 significant bits, the largest first, whose sum it is.",
        "latents": f"z is standard normal, {config['z_dim']} wide; that of a seed is "
        "numpy.random.RandomState(seed).randn(1, n). truncation is 1 as drawn, towards 0 closer "
        "to the average.",
        "image": "(B, C, H, W), nominal range [-1, 1]; 8 bits are (x + 1) * 127.5, rounded and "
        "clipped to 0..255.",
        "creps": json.dumps({"family": family, "config": config, "record": record}),
    }
    for name in ("credits", "license"):
        if name in record:
            words[name] = str(record[name])
    return words
