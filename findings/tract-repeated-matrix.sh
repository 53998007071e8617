#!/usr/bin/env bash
# tract: a matrix that Expand repeats for a batch and MatMul then uses is refused, though ONNX' checker takes the graph.
#
# One would guess: Expand to (batch, M, K) before MatMul is what MatMul does by itself, so either form runs.
# What happens (tract 0.23.9): load succeeds, and into_model fails in its pass "declutter" with a condition on the rank
# of an EinSum; the same graph without the Expand runs and is right. One such pair is enough.
# Why it matters here: PyTorch's exporter writes this pair for every batched layer whose weights all pictures share, so
# an exported model stopped in tract until Expand was taken out before each MatMul.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check tract==0.23.9 onnx==1.23.2 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import importlib.metadata
import sys

import numpy as np
import onnx
import tract
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

weights = np.arange(20, dtype=np.float32).reshape(5, 4)
x = np.ones((2, 4, 6), np.float32)


def model(expand: bool) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"], axis=0),
        helper.make_node("Concat", ["batch", "one", "one"], ["times"], axis=0),
        helper.make_node("Expand", ["weights", "times"], ["repeated"]),
    ]
    nodes = [*(nodes if expand else []), helper.make_node("MatMul", ["repeated" if expand else "weights", "x"], ["y"])]
    constants = {"weights": weights, "first": np.array([0]), "one": np.array([1])}
    value = lambda name, rows: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", rows, "n"])
    graph = helper.make_graph(
        nodes, "layer", [value("x", 4)], [value("y", 5)], [numpy_helper.from_array(v, k) for k, v in constants.items()]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


results = {}
for expand in (False, True):
    made = model(expand)
    (right,) = ReferenceEvaluator(made).run(None, {"x": x})
    onnx.save(made, "layer.onnx")
    try:
        found = tract.onnx().load("layer.onnx").into_model().into_runnable().run([x])[0].to_numpy()
        results[expand] = "right" if np.array_equal(found, right) else "wrong"
    except tract.TractError as error:
        results[expand] = "refused: " + " ".join(str(error).split())[:100]
print("tract", importlib.metadata.version("tract"), "| MatMul alone:", results[False], "| with Expand:", results[True])
if results[False] != "right" or not results[True].startswith("refused"):
    sys.exit("the behavior has changed")
PY
