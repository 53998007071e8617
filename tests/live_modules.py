"""The modules of a page that draws by itself, called from tests in a real browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from creps.networks.base import Generator
from creps.serving import write_live_site

RUN = """
    const load = (name) => import(new URL(`static/js/live/${name}.js`, location.href).href);
    const file = async (path) => (await fetch(path)).arrayBuffer();
    const base64 = (array) => {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        return btoa(Array.from(bytes, (each) => String.fromCharCode(each)).join(""));
    };
    const { readModel } = await load("model");
    const { stylesOf } = await load("styles");
    const { fold } = await load("folding");
    const { Network } = await load("network");
    const { kernels } = await load("kernel");
    const { paint, paintExactly, toPixels } = await load("painting");
    const model = async () => readModel(await file(`weights/${given.model}.safetensors`));
    const network = async (wish, compiled = true) => {
        const code = compiled ? await file("static/js/live/kernel.wasm") : null;
        const made = await kernels(code);
        if (made.compiled !== compiled) throw new Error("another kernel");
        return new Network(fold(await model(), stylesOf(await model(), wish)), made.make);
    };
"""


class LivePage:
    """A browser at an exported page, without the page itself."""

    def __init__(self, driver: Any, place: str) -> None:
        self.driver, self.place = driver, place

    def run(self, script: str, model: str = "", *, stay: bool = False, **given: Any) -> Any:
        """What a script returns, as JSON; `given` are its constants, `RUN` has the rest.

        With `stay`, global variables of earlier scripts are still there.
        """
        address = f"{self.place}/site.json"
        if not (stay and self.driver.current_url == address):
            self.driver.get(address)
        whole = f"""
            const [given, answer] = [arguments[0], arguments[arguments.length - 1]];
            (async () => {{ {RUN} {script} }})().then(answer, (e) => answer({{ error: `${{e}}` }}));
        """
        found = self.driver.execute_async_script(whole, {"model": model, **given})
        if isinstance(found, dict) and "error" in found:
            raise AssertionError(found["error"])
        return found


def array(text: str, dtype: Any) -> np.ndarray:
    """What `base64` made of a typed array."""
    return np.frombuffer(base64.b64decode(text), dtype)


def export(folder: Path, models: dict[str, Generator]) -> None:
    """A page of several models."""
    documents = []
    for name, generator in models.items():
        write_live_site(folder, generator, name=name)
        documents.append(json.loads((folder / "site.json").read_text()))
    whole = {**documents[0], "models": [each["models"][0] for each in documents]}
    (folder / "site.json").write_text(json.dumps(whole))
