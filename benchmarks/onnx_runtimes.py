"""Which programs draw an exported model as PyTorch does: the largest error of each.

    python benchmarks/onnx_runtimes.py [--model portraits] [--onnxruntime-web NODE_MODULES]

Python runtimes that are installed are tried; with a `node_modules` folder that holds
onnxruntime-web, Chromium too, by WebAssembly and by WebGPU (SwiftShader where there is no GPU).
"""

from __future__ import annotations

import argparse
import functools
import http.server
import importlib.metadata
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import creps
from benchmarks.record import Record
from creps.checkpoints import export_onnx
from creps.checkpoints._pieces import pieces
from creps.networks.base import Generator

Inputs = dict[str, Any]
Run = Callable[[Inputs], Any]

ZOOM = 2.0**-30
PLACES = {
    "unit square": (0.0, 0.0, 1.0, 1.0),
    "zoom of 2^30": (0.3, 0.7, 0.3 + ZOOM, 0.7 + ZOOM),
    "coordinates of 1e5": (1e5, -1e5, 1e5 + 1, 1 - 1e5),
}
SIZE = (40, 32)


def onnxruntime(path: Path) -> Run:
    import onnxruntime as runtime

    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def onnx(path: Path) -> Run:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    return lambda inputs: evaluator.run(None, inputs)[0]


def openvino(path: Path) -> Run:
    import openvino as runtime

    core = runtime.Core()
    # Without the hint it may compute in bfloat16 where the processor has it.
    model = core.compile_model(
        core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return lambda inputs: model(inputs)[0]


def onnx2torch(path: Path) -> Run:
    from onnx2torch import convert

    module = convert(str(path))
    return lambda inputs: module(*map(torch.from_numpy, inputs.values())).detach().numpy()


def tract(path: Path) -> Run:
    import tract as runtime

    runnable = runtime.onnx().load(str(path)).into_model().into_runnable()
    return lambda inputs: runnable.run(list(inputs.values()))[0].to_numpy()


def opencv(path: Path) -> Run:
    import cv2

    network = cv2.dnn.readNetFromONNX(str(path))

    def run(inputs: Inputs) -> Any:
        for name, value in inputs.items():
            network.setInput(value, name)
        return network.forward()

    return run


def tinygrad(path: Path) -> Run:
    from tinygrad import Tensor
    from tinygrad.nn.onnx import OnnxRunner

    runner = OnnxRunner(str(path))
    return lambda inputs: runner({name: Tensor(v) for name, v in inputs.items()})["image"].numpy()


RUNTIMES: dict[str, Callable[[Path], Run]] = {
    "onnxruntime": onnxruntime,
    "onnx": onnx,
    "openvino": openvino,
    "onnx2torch": onnx2torch,
    "tract": tract,
    "opencv-python-headless": opencv,
    "tinygrad": tinygrad,
}
"""Packages from PyPI, and how each opens a file."""


def drawings(generator: Generator) -> Iterator[tuple[str, Inputs, Any]]:
    """The name of each place, the inputs there, and what PyTorch draws."""
    label = generator.class_index(None)
    told = None if label is None else torch.tensor([label])
    styles = generator.map(creps.latents([7], generator), told)
    for name, window in PLACES.items():
        grid = creps.Canvas(*SIZE, window).grid()
        inputs = {"styles": styles, "ys": pieces(grid.ys), "xs": pieces(grid.xs)}
        with torch.inference_mode():
            image = generator.synthesize(styles, grid)
        yield name, {name: value.numpy() for name, value in inputs.items()}, image.numpy()


def errors(run: Run, generator: Generator) -> dict[str, float]:
    """The largest error of a runtime at each place; pictures reach from -1 to 1."""
    return {
        place: float(np.abs(np.asarray(run(inputs)) - image).max())
        for place, inputs, image in drawings(generator)
    }


PAGE = """<!doctype html>
<meta charset="utf-8">
<script type="module">
  const provider = new URLSearchParams(location.search).get("provider");
  try {
    const bundle = provider === "webgpu" ? "ort.webgpu.bundle.min.mjs" : "ort.wasm.bundle.min.mjs";
    const ort = await import(`./onnxruntime-web/dist/${bundle}`);
    ort.env.wasm.numThreads = 1;
    const options = { executionProviders: [provider] };
    const session = await ort.InferenceSession.create("./model.onnx", options);
    const errors = {};
    for (const [place, given] of Object.entries(await (await fetch("./places.json")).json())) {
      const feeds = {};
      for (const [name, { shape, values }] of Object.entries(given.inputs))
        feeds[name] = new ort.Tensor("float32", Float32Array.from(values), shape);
      const { image } = await session.run(feeds);
      errors[place] = Math.max(...image.data.map((value, i) => Math.abs(value - given.image[i])));
    }
    document.title = JSON.stringify({ errors });
  } catch (error) {
    document.title = JSON.stringify({ failed: String(error) });
  }
</script>
"""


def in_browser(folder: Path, provider: str) -> dict[str, Any]:
    """What the page says in Chromium: "errors" by place, or why it "failed"."""
    from selenium import webdriver
    from selenium.webdriver.support.wait import WebDriverWait

    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=folder)
    options = webdriver.ChromeOptions()
    for flag in ("headless=new", "no-sandbox", "enable-unsafe-webgpu"):
        options.add_argument(f"--{flag}")
    options.add_argument("--use-webgpu-adapter=swiftshader")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = webdriver.Chrome(options=options)
        try:
            browser.get(f"http://127.0.0.1:{server.server_port}/?provider={provider}")
            WebDriverWait(browser, 600).until(lambda page: page.title.startswith("{"))
            return dict(json.loads(browser.title))
        finally:
            browser.quit()
            server.shutdown()


def write_page(folder: Path, model: Path, generator: Generator, node_modules: Path) -> None:
    """Everything that the page reads."""
    places = {
        place: {
            "inputs": {
                name: {"shape": value.shape, "values": value.ravel().tolist()}
                for name, value in inputs.items()
            },
            "image": image.ravel().tolist(),
        }
        for place, inputs, image in drawings(generator)
    }
    (folder / "places.json").write_text(json.dumps(places))
    (folder / "index.html").write_text(PAGE)
    shutil.copyfile(model, folder / "model.onnx")
    shutil.copytree(node_modules / "onnxruntime-web", folder / "onnxruntime-web")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="portraits")
    parser.add_argument("--onnxruntime-web", type=Path, metavar="NODE_MODULES")
    parser.add_argument("--out", type=Path, help="append rows to this file")
    arguments = parser.parse_args()
    record = Record("onnx_runtimes", arguments.out)
    generator = creps.load(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(generator, path)
        for name, opened in RUNTIMES.items():
            try:
                found: dict[str, Any] = {"errors": errors(opened(path), generator)}
            except ImportError:
                continue
            record.write(
                {"runtime": name, "runtime_version": importlib.metadata.version(name)} | found
            )
        modules = arguments.onnxruntime_web
        if modules:
            about = json.loads((modules / "onnxruntime-web" / "package.json").read_text())
            page = Path(folder) / "page"
            page.mkdir()
            write_page(page, path, generator, modules)
            for provider in ("wasm", "webgpu"):
                row = {"runtime": f"onnxruntime-web, {provider}"}
                row["runtime_version"] = about["version"]
                record.write(row | in_browser(page, provider))


if __name__ == "__main__":
    main()
