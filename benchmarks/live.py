"""What it costs to draw in a browser: milliseconds a tile by back end, beside Python, and bytes.

    python benchmarks/live.py [--model portraits] [--gpu] [--out results.jsonl]

In headless Chromium, driven by Selenium (extra `dev`). Tiles of 256 x 256 pixels, zoom by zoom;
each line has the processor time of the browser's thread and of `creps.render(exact=True)` with one
thread, measured in turns, and `ratio`, the first over the second: the machine may be busy. Lines
(the network's own) are computed for each tile anew; `kept_ms` is a tile whose lines are there, as
its neighbors' are. `first_ms` is the time on the clock from the arrival of the model's file to the
first 128 x 128 tile, threads and compilation included. `--gpu` adds WebGPU, in software: it shows
that it works, not how fast it is.
"""

from __future__ import annotations

import gzip
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from record import ROOT, Record

import creps
from creps.rendering import Latent, Renderer, View
from creps.serving import write_live_site

sys.path.insert(0, str(ROOT / "tests"))

from browsing import SOFTWARE_GPU, WITHOUT_GPU, browser
from live_modules import LivePage
from served import static_host

SIDE = 256
ZOOMS = (0, 2, 4, 8, 16)  # octaves
SEEDS = (0, 7, 12)
TURNS = 3

SETUP = """
    globalThis.drawn ??= {};
    const key = `${given.compiled} ${given.wish.recipe}`;
    drawn[key] ??= await network(given.wish, given.compiled);
    const painter = { paint, paintExactly }[given.by];
"""
FIRST = """
    const whole = await file(`weights/${given.model}.safetensors`);
    const code = await file("static/js/live/kernel.wasm");
    const field = { y0: 0, x0: 0, pitch: 1 / 128, height: 128, width: 128 };
    const start = performance.now();
    const worker = new Worker("static/js/live/worker.js", { type: "module" });
    worker.postMessage({ number: 1, start: { model: whole, code, gpu: "never" } });
    worker.postMessage({ number: 2, paint: { wish: given.wish, field } });
    await new Promise((resolve) => {
        worker.onmessage = ({ data }) => data.number === 2 && resolve();
    });
    worker.terminate();
    return performance.now() - start;
"""
GPU = """
    const { GpuPainter } = await load("gpu");
    const gpu = await GpuPainter.open(() => {});
    const net = await network(given.wish);
    await gpu.paint(net, { ...given.field, height: 8, width: 8 });
    const start = performance.now();
    await gpu.paint(net, given.field);
    return performance.now() - start;
"""


def wish(seed: int) -> dict[str, Any]:
    return {"recipe": str(seed), "truncation": 1, "cutoff": None, "label": 0}


def field(octaves: int) -> dict[str, Any]:
    pitch = 2.0**-octaves / SIDE
    start = 0.45 * (1 - 2.0**-octaves)
    return {"y0": start, "x0": start, "pitch": pitch, "height": SIDE, "width": SIDE}


class Clock:
    """Processor time of the page's thread."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        driver.execute_cdp_cmd("Performance.enable", {})

    def milliseconds(self) -> float:
        metrics = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return 1000 * next(each["value"] for each in metrics if each["name"] == "ThreadTime")


def python_ms(generator: creps.Generator, seed: int, octaves: int) -> float:
    """Processor time of one picture that is drawn exactly, its weights folded before."""
    y0, side = field(octaves)["y0"], 2.0**-octaves
    painter = Renderer(generator, Latent(seed=seed)).painter(
        View(size=SIDE, window=(y0, y0, y0 + side, y0 + side), exact=True)
    )
    start = time.process_time()
    painter.pixels()
    return 1000 * (time.process_time() - start)


def page_ms(page: LivePage, clock: Clock, script: str, **given: Any) -> float:
    before = clock.milliseconds()
    page.run(SETUP + script, stay=True, **given)
    return clock.milliseconds() - before


def main(
    model: Annotated[str, typer.Option(help="Packaged model, or a folder.")] = "portraits",
    gpu: Annotated[bool, typer.Option("--gpu", help="WebGPU in software too.")] = False,
    out: Annotated[Path | None, typer.Option(help="Append the records to this file.")] = None,
) -> None:
    """Measure tiles and bytes."""
    import torch

    torch.set_num_threads(1)
    record = Record("live", out)
    generator = creps.load(model)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        total = write_live_site(site, generator, name="it")
        files = [path.read_bytes() for path in site.rglob("*") if path.is_file()]
        wire = sum(len(gzip.compress(each)) for each in files)
        record.write({"case": "bytes", "files": total, "compressed": wire})
        with static_host(site) as base, browser(Path(folder) / "cpu", WITHOUT_GPU) as driver:
            page, clock = LivePage(driver, base), Clock(driver)
            times = [page.run(FIRST, "it", wish=wish(seed)) for seed in (7, *SEEDS)][1:]
            record.write({"case": "first", "first_ms": round(statistics.median(times), 1)})
            for octaves in ZOOMS:
                for by, compiled in (("paint", True), ("paintExactly", True), ("paint", False)):
                    row = measured(page, clock, generator, octaves, by=by, compiled=compiled)
                    record.write(row)
        if gpu:
            with static_host(site) as base, browser(Path(folder) / "gpu", SOFTWARE_GPU) as driver:
                driver.set_script_timeout(600)
                small = {**field(0), "height": 64, "width": 64}
                took = LivePage(driver, base).run(GPU, "it", wish=wish(7), field=small)
                row = {"case": "tile", "way": "WebGPU in software", "side": 64}
                record.write({**row, "wall_ms": round(took, 1)})


def measured(
    page: LivePage,
    clock: Clock,
    generator: creps.Generator,
    octaves: int,
    *,
    by: str,
    compiled: bool,
) -> dict[str, Any]:
    """A back end beside Python at one zoom: medians over seeds of the best of some turns."""
    rows = []
    turns = TURNS if compiled else 1
    for seed in SEEDS:
        given = {
            "model": "it",
            "wish": wish(seed),
            "by": by,
            "compiled": compiled,
            "field": field(octaves),
        }
        page_ms(page, clock, "painter(drawn[key], given.field);", **given)  # compiled by now
        fresh, kept, python = [], [], []
        for _ in range(turns):
            script = "drawn[key].drop(); painter(drawn[key], given.field);"
            fresh.append(page_ms(page, clock, script, **given))
            kept.append(page_ms(page, clock, "painter(drawn[key], given.field);", **given))
            python.append(python_ms(generator, seed, octaves))
        rows.append((min(fresh), min(kept), min(python)))
    page_tile, page_kept, exact = (statistics.median(each) for each in zip(*rows, strict=True))
    return {
        "case": "tile",
        "way": "WebAssembly" if compiled else "JavaScript",
        "by": {"paint": "sparse", "paintExactly": "every pixel"}[by],
        "octaves": octaves,
        "side": SIDE,
        "cpu_ms": round(page_tile, 1),
        "kept_ms": round(page_kept, 1),
        "python_ms": round(exact, 1),
        "ratio": round(page_tile / exact, 3),
    }


if __name__ == "__main__":
    typer.run(main)
