#!/usr/bin/env bash
# OpenVINO: a model whose inputs are float64 runs on the CPU in float32, without a word.
#
# One would guess: double inputs and double operators are computed in double, or the model is refused.
# What happens (openvino 2026.4.1, ONNX graph x - Round(x), all tensors double): the compiled model still says that its
# input is f64, takes float64 arrays and returns float64 arrays, but the result for 100000.1 is 0.1015625 (what
# float32 leaves of the number), not 0.1. The precision hint f32 changes nothing; "f64" is not a value it takes.
# Why it matters here: phases of Fourier features at far or deeply zoomed places need the digits that are lost; an
# exported picture was wrong by a seventh of its range at coordinates of 1e5. Exported graphs therefore hold no
# float64: coordinates come as float32 pieces whose products are exact.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

value = lambda name: helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"])
nodes = [helper.make_node("Round", ["x"], ["whole"]), helper.make_node("Sub", ["x", "whole"], ["rest"])]
graph = helper.make_graph(nodes, "rest", [value("x")], [value("rest")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.checker.check_model(model)
onnx.save(model, "rest.onnx")

x = np.array([100000.1])
(right,) = ReferenceEvaluator(model).run(None, {"x": x})
core = openvino.Core()
compiled = core.compile_model(core.read_model("rest.onnx"), "CPU")
found = compiled([x])[0]
print("openvino", openvino.__version__, "input:", compiled.input(0).element_type, "result:", found.dtype, found[0], "onnx says", right[0])
if found.dtype != np.float64 or abs(found[0] - 0.1015625) > 1e-9:
    sys.exit("the behavior has changed: it was float64 with the value of float32")
PY
