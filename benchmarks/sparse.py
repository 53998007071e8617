"""What sparse evaluation is off by, pixel by pixel, and how few pixels it takes.

    python benchmarks/sparse.py [--safety 2,2.4,3] [--seeds 0,7,16] [--tolerance 0.5]
    python benchmarks/sparse.py --picture docs/images/sparse.webp

For each safety factor (`rendering._sparse.SAFETY` is fitted with this script): pictures of the
packaged model and of networks with random weights and the paper's frequencies, straight, zoomed and
bent, each beside the same picture with every pixel evaluated. Errors are in gray levels of 255
before rounding: below 1 no 8-bit value differs by more than 1. One row a model and safety factor.

With `--picture` it draws a portrait of 2,048 px beside the pixels that were evaluated for it: white
where all were, darker the fewer, both at a quarter of the size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

import creps
from creps.networks.base import Generator, build_generator
from creps.rendering import Painter, Renderer, Tile, View, save_picture
from creps.rendering import _sparse as sparse

SMALL = {"z_dim": 16, "w_dim": 16, "mapping_layers": 2, "channel_max": 32, "thickness": 4}
VIEWS = [
    View(size=1024),
    View(size=(520, 700), zoom=3, pan=(0.42, 0.55)),
    View(size=512, zoom=8, pan=(0.45, 0.4)),
    View(size=512, zoom=40, pan=(0.41, 0.52)),
    View(size=512, zoom=1000, pan=(0.43, 0.51)),
    View(size=(640, 512), zoom=1.5, warp="rotate:30"),
    View(size=512, zoom=4, warp="swirl:120"),
    View(size=512, supersample=2),
]


def models() -> dict[str, Generator]:
    """The packaged model, and networks with random weights whose colors fill their range."""
    found = {"portraits": creps.load("portraits")}
    for name, config in {
        "random, 64": {"resolution": 64, "line_channels": 16},
        "random, narrow": {"resolution": 32, "line_channels": 8, "decoder_widths": (16,)},
        "random, smooth": {"resolution": 64, "line_channels": 16, "bandwidth": 3.0},
    }.items():
        torch.manual_seed(0)
        found[name] = build_generator("creps", {**SMALL, **dict(config)})
        found[name].to_rgb.weight.mul_(4)  # type: ignore[union-attr, operator]
    torch.manual_seed(0)
    found["random cips"] = build_generator(
        "cips", {"resolution": 64, "features": 16, "widths": [32, 32], "z_dim": 16, "w_dim": 16,
                 "mapping_layers": 2, "bandwidth": 10.0},
    )  # fmt: skip
    return found


def levels(painter: Painter) -> np.ndarray:
    """(C, H, W) colors in gray levels, clipped, not rounded."""
    picture = np.empty((painter.channels, painter.height, painter.width), np.float32)
    for tile, image in painter.images():
        picture[:, tile.rows, tile.columns] = image[0].float().cpu().numpy()
    return ((picture + 1) * 127.5).clip(0, 255)


class Recorded:
    """Pixels that note which of them are evaluated."""

    def __init__(self, pixels: sparse.Pixels, height: int, width: int) -> None:
        self.pixels, self.known = pixels, pixels.known
        self.evaluated = np.zeros((height, width), bool)

    def lattice(self, rows: range, columns: range, i: slice, j: slice) -> torch.Tensor:
        down, across = (np.array(each) for each in (rows[i], columns[j]))
        self._note(*(each.ravel() for each in np.meshgrid(down, across)))
        return self.pixels.lattice(rows, columns, i, j)

    def chosen(self, rows: range, columns: range, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        self._note(np.array(rows)[i.numpy()], np.array(columns)[j.numpy()])
        return self.pixels.chosen(rows, columns, i, j)

    def _note(self, y: np.ndarray, x: np.ndarray) -> None:
        height, width = self.evaluated.shape
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        self.evaluated[y[inside], x[inside]] = True


@torch.inference_mode()
def heat_map(generator: Generator, seed: int, *, size: int = 2048) -> np.ndarray:
    """A portrait, and beside it where it was evaluated, at a quarter of the size."""
    painter = Renderer(generator, seed=seed).painter(size=size)
    assert painter._sparsity is not None
    picture = painter.pixels()
    (pixels,) = painter._strategy.pixels(painter._sparsity)
    recorded = Recorded(pixels, size, size)
    for block in sparse.BlockPlan(size, size, Tile(0, 0, size, size)):
        sparse.sparse_block(recorded, block, painter._sparsity)
    small, shares = (
        each.reshape(size // 4, 4, size // 4, 4, -1).mean((1, 3))
        for each in (picture, recorded.evaluated)
    )
    levels = np.log2(shares.clip(1 / 64)) / 6 + 1  # 0 for one pixel in 64 or fewer, 1 for all
    return np.concatenate([small, np.repeat(255 * levels, 3, axis=2)], axis=1).round().astype("u1")


def main(
    safety: Annotated[str, typer.Option(help="Safety factors to try.")] = f"{sparse.SAFETY:g}",
    seeds: Annotated[str, typer.Option(help="Pictures of each model.")] = "0,7,16",
    tolerance: Annotated[float, typer.Option(help="Gray levels.")] = 0.5,
    only: Annotated[str, typer.Option(help="Models whose names hold this.")] = "",
    picture: Annotated[Path | None, typer.Option(help="Draw this instead.")] = None,
) -> None:
    """Print a table of errors, or draw where a portrait is evaluated."""
    if picture is not None:
        save_picture(heat_map(creps.load("portraits"), 7), picture)
        return
    columns = ("model", "safety", "evaluated", "largest error", "above 1", "above 0.5")
    table = Table(*columns, title=f"tolerance {tolerance:g}, gray levels of 255")
    factors = [float(word) for word in safety.split(",")]
    for name, generator in models().items():
        if only not in name:
            continue
        found: dict[float, list[tuple[float, np.ndarray]]] = {factor: [] for factor in factors}
        for seed in map(int, seeds.split(",")):
            renderer = Renderer(generator, seed=seed)
            for view in VIEWS:
                exact = levels(renderer.painter(View(**vars(view) | {"tolerance": 0.0})))
                for factor in factors:
                    sparse.SAFETY = factor
                    painter = renderer.painter(View(**vars(view) | {"tolerance": tolerance}))
                    off = np.abs(levels(painter) - exact).ravel()
                    found[factor].append((painter.evaluations.share or 0.0, off))
        for factor, each in found.items():
            off = np.concatenate([errors for _, errors in each])
            table.add_row(
                name, f"{factor:g}", f"{np.mean([share for share, _ in each]):.1%}",
                f"{off.max():.2f}", f"{(off > 1).sum()}", f"{(off > 0.5).mean():.1e}",
            )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
