#!/usr/bin/env bash
# ONNX Runtime's quantizer: weights that two layers share come out wrong, without a word, or in a file that never opens.
#
# One would guess: quantize_dynamic() rounds weights to 8 bits, so results are off by percents, or it refuses a model.
# What happens (onnxruntime 1.31.1): it makes MatMul of each Gemm with transB=1 and transposes the weight in place, once
# for each Gemm that uses it. Two that share a square matrix W then both multiply by W for its transpose: the result
# is another one, of the same size. If W is computed in the graph, both get a node of one name, and the file that was
# written without an error is refused by InferenceSession. Any number of Gemm with transB=0 may share W.
# Why it matters here: PyTorch's exporter writes transB=1 for every linear layer, and rows and columns of CREPS share
# one. Exported weights are computed and transposed beforehand (src/creps/checkpoints/_export.py), so files can be
# quantized.
#
# Installs pinned packages in a temporary folder; exits with 1 if the behavior has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import logging
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.quantization import quantize_dynamic

logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(4)
random = np.random.default_rng(0)
weight = random.standard_normal((16, 16)).astype(np.float32)
x = random.standard_normal((4, 16)).astype(np.float32)


def model(shared: bool, transposed: bool, computed: bool) -> onnx.ModelProto:
    """Two linear layers, W (W x), whose weight is stored once or twice."""
    names = ["first", "first" if shared else "second"]
    stored = weight if transposed else weight.T.copy()
    constants = [numpy_helper.from_array(stored, f"{name}.stored" if computed else name) for name in sorted(set(names))]
    nodes = [helper.make_node("Abs", [f"{name}.stored"], [name]) for name in sorted(set(names)) if computed]
    for layer, (source, name, result) in enumerate(zip("xh", names, "hy", strict=True)):
        nodes.append(helper.make_node("Gemm", [source, name], [result], name=f"layer{layer}", transB=int(transposed)))
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 16])
    graph = helper.make_graph(nodes, "layers", [value("x")], [value("y")], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


def outcome(**kind: bool) -> str:
    made = model(**kind)
    (right,) = ReferenceEvaluator(made).run(None, {"x": x})
    onnx.save(made, "layers.onnx")
    quantize_dynamic("layers.onnx", "small.onnx")
    try:
        session = onnxruntime.InferenceSession("small.onnx", providers=["CPUExecutionProvider"])
    except Exception as error:
        print("   ", " ".join(str(error).split())[-90:])
        return "refused"
    (found,) = session.run(None, {"x": x})
    error = float(np.abs(found - right).max() / np.abs(right).max())
    print(f"    off by {error:.3f} of the largest value")
    return "right" if error < 0.05 else "wrong"


print("onnxruntime", onnxruntime.__version__)
results = {}
for name, kind in {
    "two weights": dict(shared=False, transposed=True, computed=False),
    "shared": dict(shared=True, transposed=True, computed=False),
    "shared, computed": dict(shared=True, transposed=True, computed=True),
    "shared, transB=0": dict(shared=True, transposed=False, computed=False),
}.items():
    print(name)
    results[name] = outcome(**kind)
print(results)
if list(results.values()) != ["right", "wrong", "refused", "right"]:
    sys.exit("the behavior has changed")
PY
