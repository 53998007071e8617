"""How fast pictures are rendered, in how much memory, against what the machine can do.

    python benchmarks/render.py [--sizes 256,512,1024,2048] [--rotation 1024] [--memory 2048,16384]
                                [--exact 512] [--sparse 1024,4096,16384] [--turned 1024]
                                [--tiles 16,256] [--preset 4096] [--families 1024]
                                [--against 7bec561] [--only sparse,tile]
                                [--device cuda --dtype bfloat16] [--out results.jsonl]

With the 512 preset and random weights, but for `--exact`; each row in a fresh process, sizes and
memory with every pixel evaluated:

- a size: seconds (the median of a few runs, one from 1,500 px on), peak memory added by the first
  render to what the process held with the model loaded, and arithmetic per second beside that of a
  large matrix product in the same process;
- the rotation: a turn by 30 degrees beside the straight picture, with its line tables, and another
  turn of the same latent, which finds them there;
- memory: what two stripes of each band of a picture of this size add, chunk by chunk as a file is
  written; a whole picture goes on in the same way. The rest of it is not drawn;
- exactness: the largest difference to `exact=True` over every pixel of warped pictures of
  `portraits`, as they are drawn, and how many 8-bit values are off by more than 1.

Then sparse evaluation, as ratios of processor time (see `sparse_ratios`): exact over sparse drawing
of `portraits`, straight and turned, of a viewer's tile and a screen of them, and of the 512 preset;
the 512 preset against our StyleGAN2; and what `creps demo` draws against an earlier commit.

`--only` chooses kinds of rows: size, rotation, memory, exactness, sparse, turned, tile, screen,
preset, families, demo. Prints a table, and writes one JSON line a row. The memory
of a GPU is its own. Some minutes on 2 cores; other programs disturb it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import sparse_ratios
import torch
import typer
from costs import peak, start_peak
from record import Record
from rich.console import Console
from rich.table import Table

import creps
from creps._devices import Device, find_device
from creps.networks.base import build_generator
from creps.networks.creps import CREPS_PRESETS, Creps, CrepsConfig
from creps.rendering._painter import Painter
from creps.rendering._points import TOLERANCE
from creps.rendering._renderer import Renderer, render
from creps.rendering._tiles import TilePlan
from creps.rendering._view import Precision, checked_dtype
from creps.rendering.output._save import CHUNK

MATRIX = 2048  # side of the reference product: 17 GFLOP, operands of 16 MiB
REPEATS = 5  # of the reference product; of the render below LARGE
LARGE = 1500  # pixels a side from which one render is enough
RATIOS = {
    "sparse": "portraits",
    "turned": "portraits",
    "tile": "portraits",
    "screen": "portraits",
    "preset": "creps-512, random weights",
    "families": "creps-512 and stylegan2, random weights",
    "demo": "portraits",
}
"""Kinds of rows in `sparse_ratios`, and their models."""
EXACT_WARPS = (  # seed and warp
    (1, "rotate:30"), (2, "rotate:10"), (3, "swirl:120"), (4, "barrel:0.3"),
    (5, "elastic:amount=0.05,seed=3"),
)  # fmt: skip


def line_flops(config: CrepsConfig) -> int:
    """Operations (two a multiply-add) for all lines of one row or column coordinate."""
    widths = [config.channels(level) for level in config.levels]
    per_sample = widths[0] ** 2
    for below, width in pairwise(widths):
        per_sample += below * width + width**2 + width * config.line_channels
    return 2 * config.thickness * per_sample


def pixel_flops(config: CrepsConfig) -> int:
    """Operations for one pixel: compositions, decoders, color and refinement."""
    levels = len(config.levels) - 1
    channels = config.line_channels
    decoder = _chain(channels, *config.decoder_widths, channels)
    refinement = 0
    below = channels
    for width in config.refinement_widths:
        refinement += _chain(below, width, width, config.img_channels)
        below = width
    composed = levels * channels * config.thickness
    return 2 * (composed + levels * decoder + channels * config.img_channels + refinement)


def _chain(*widths: int) -> int:
    """Multiply-adds of fully connected layers one after the other."""
    return sum(i * o for i, o in pairwise(widths))


def matrix_product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product into an existing buffer, the best of a few."""
    side = MATRIX if device.type == "cpu" else 4 * MATRIX
    a, b, result = (torch.randn(side, side, device=device).to(dtype) for _ in range(3))
    seconds = []
    for _ in range(REPEATS + 1):  # one more: the first fills the buffers
        seconds.append(timed(lambda: torch.mm(a, b, out=result), device))
    return 2 * side**3 / min(seconds)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, all that it started included."""
    started = time.perf_counter()
    work()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - started


class Bench:
    """The rows, each measured where nothing has been rendered before."""

    def __init__(self, device: Device, dtype: Precision) -> None:
        torch.manual_seed(0)
        generator = build_generator("creps", CREPS_PRESETS["creps-512"])
        assert isinstance(generator, Creps)
        self.device = find_device(device or "cpu")
        self.dtype = checked_dtype(dtype, self.device) or torch.float32
        self.generator = generator.to(self.device)

    def size(self, size: int) -> dict[str, Any]:
        """A straight picture of size x size pixels."""
        config = self.generator.config

        def once() -> float:
            return timed(
                lambda: render(self.generator, seed=0, size=size, dtype=self.dtype, tolerance=0),
                self.device,
            )

        held = start_peak(self.device.type)  # around the first render: nothing is warm
        seconds = [once()]
        added = peak(self.device.type) - held
        if size < LARGE or self.device.type != "cpu":
            seconds = [once() for _ in range(REPEATS)]
        median = statistics.median(seconds)
        work = 2 * size * line_flops(config) + size * size * pixel_flops(config)
        limit = matrix_product_rate(self.device, self.dtype)
        return {
            "seconds": round(median, 3),
            "runs": len(seconds),
            "peak_extra_mb": round(added / 1e6, 1),
            "gflop": round(work / 1e9, 1),
            "gflop_per_s": round(work / median / 1e9, 1),
            "matrix_gflop_per_s": round(limit / 1e9, 1),
            "times_limit": round(median / (work / limit), 2),
        }

    def rotation(self, size: int) -> dict[str, Any]:
        """A turn by 30 degrees, with its tables; and by 20, which finds them there."""
        renderer = Renderer(self.generator, seed=0, dtype=self.dtype)

        def seconds(warp: str | None) -> float:
            return timed(lambda: renderer.picture(size=size, warp=warp), self.device)

        straight, turned, further = [], [], []
        for _ in range(3):
            renderer.clear()
            straight.append(seconds(None))
            turned.append(seconds("rotate:30"))
            further.append(seconds("rotate:20"))
        straight_time, first, again = (
            statistics.median(each) for each in (straight, turned, further)
        )
        tables = renderer._latents.each[0].tables.of(TOLERANCE)
        return {
            "straight_seconds": round(straight_time, 3),
            "seconds": round(first, 3),
            "further_seconds": round(again, 3),
            "times_straight": round(first / straight_time, 2),
            "further_times_straight": round(again / straight_time, 2),
            "nodes": tables.nodes,
        }

    def memory(self, size: int) -> dict[str, Any]:
        """Two stripes of every band of a picture of this width, as it is written; tiles let go."""
        held = start_peak(self.device.type)
        renderer = Renderer(self.generator, seed=0, dtype=self.dtype, keep=None)
        painter = renderer.painter(size=size, tolerance=0)
        pixels = 0
        chunks = TilePlan(size, size, CHUNK)
        for index in chunks.in_bands():
            if chunks[index].top < 2 * CHUNK:
                for tile, _ in painter.images(chunks[index]):
                    pixels += tile.height * tile.width
        added = peak(self.device.type) - held
        return {"peak_extra_mb": round(added / 1e6, 1), "megapixels_drawn": pixels / 1e6}

    def exactness(self, size: int) -> dict[str, Any]:
        """Warped pictures of `portraits` against those of exact lines, over every pixel."""
        generator = creps.load("portraits").to(self.device)
        worst, different, beyond = 0.0, 0.0, 0
        for seed, warp in EXACT_WARPS:
            renderer = Renderer(generator, seed=seed, dtype=self.dtype)
            pair = [
                whole_picture(
                    renderer.painter(size=size, window=(0, 0, 1, 1), warp=warp, exact=exact)
                )
                for exact in (False, True)
            ]
            worst = max(worst, float(np.abs(pair[0] - pair[1]).max()))
            levels = [np.rint(((each + 1) * 127.5).clip(0, 255)) for each in pair]
            different = max(different, float((levels[0] != levels[1]).mean()))
            beyond += int((np.abs(levels[0] - levels[1]) > 1).sum())
        return {
            "model": "portraits",
            "warps": [f"seed {seed} {warp}" for seed, warp in EXACT_WARPS],
            "max_error_of_255": round(worst * 127.5, 3),
            "differing_8_bit_values": round(different, 6),
            "off_by_more_than_1": beyond,
        }


def whole_picture(painter: Painter) -> np.ndarray:
    """(C, H, W) colors, not rounded."""
    size = painter.height, painter.width
    picture = np.empty((painter.channels, *size), np.float32)
    for tile, image in painter.images():
        picture[:, tile.rows, tile.columns] = image[0].float().cpu().numpy()
    return picture


def _in_fresh_process(kind: str, size: str, device: str, dtype: str) -> dict[str, Any]:
    """One row, where nothing has been rendered before."""
    command = [sys.executable, __file__, "--one", f"{kind}:{size}"]
    command += ["--device", device, "--dtype", dtype]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _row(task: str, device: str, dtype: str) -> dict[str, Any]:
    """What a fresh process prints."""
    kind, size = task.split(":")
    if kind in RATIOS:
        of = size if kind == "demo" else int(size)
        return {"kind": kind, "model": RATIOS[kind], "size": of, "device": "cpu",
                "dtype": "float32", **getattr(sparse_ratios, kind)(of)}  # fmt: skip
    bench = Bench(device, dtype)
    measured = getattr(bench, kind)(int(size))
    return {
        "kind": kind,
        "model": "creps-512, random weights",
        "size": int(size),
        "device": str(bench.device),
        "dtype": dtype,
        **measured,
    }


def _table(results: list[dict[str, Any]]) -> Table:
    """What was measured, a row each; the JSON lines have more."""
    names = ("seconds", "peak_extra_mb", "times_limit", "times_straight",
               "further_times_straight", "nodes", "max_error_of_255",
               "times_faster", "times_less_arithmetic", "evaluated", "in_lines",
               "in_pixels")  # fmt: skip
    columns = [name for name in names if any(name in result for result in results)]
    table = Table("what", "size", *columns)
    for result in results:
        cells = [str(result.get(name, "")) for name in columns]
        table.add_row(result["kind"], str(result["size"]), *cells)
    return table


def main(
    sizes: Annotated[str, typer.Option(help="Pixels a side.")] = "256,512,1024,2048",
    rotation: Annotated[str, typer.Option(help="Pixels a side of turned pictures.")] = "1024",
    memory: Annotated[str, typer.Option(help="Pixels a side of streamed pictures.")] = "2048,16384",
    exact: Annotated[str, typer.Option(help="Pixels a side of exactness checks.")] = "512",
    sparse: Annotated[str, typer.Option(help="Pixels a side.")] = "1024,4096,16384",
    turned: Annotated[str, typer.Option(help="Pixels a side.")] = "1024",
    tiles: Annotated[str, typer.Option(help="Zooms of a viewer's tiles.")] = "16,256",
    preset: Annotated[str, typer.Option(help="Pixels a side.")] = "4096",
    families: Annotated[str, typer.Option(help="Pixels a side.")] = "1024",
    against: Annotated[str, typer.Option(help="Commit whose demo is drawn too.")] = "7bec561",
    only: Annotated[str, typer.Option(help="Kinds of rows, such as sparse,tile.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32, float64, bfloat16, float16.")] = "float32",
    out: Annotated[Path | None, typer.Option(help="Also append the JSON lines here.")] = None,
    one: Annotated[str | None, typer.Option("--one", hidden=True)] = None,
) -> None:
    """Measure rendering; one JSON line a row on stdout, the table on stderr."""
    if one is not None:
        print(json.dumps(_row(one, device, dtype)))
        return
    kinds = {"size": sizes, "rotation": rotation, "memory": memory, "exactness": exact}
    kinds |= {"sparse": sparse, "turned": turned, "tile": tiles, "screen": tiles}
    kinds |= {"preset": preset, "families": families, "demo": against}
    wanted = list(filter(None, only.split(","))) or list(kinds)
    if unknown := set(wanted) - set(kinds):
        raise typer.BadParameter(f"{', '.join(unknown)}: expected some of {', '.join(kinds)}")
    record = Record("render", out)
    results = []
    for kind in wanted:
        for one in filter(None, kinds[kind].split(",")):
            row = _in_fresh_process(kind, one, device, dtype)
            results.append(record.write(row, device=row["device"]))
    Console(stderr=True).print(_table(results))


if __name__ == "__main__":
    typer.run(main)
