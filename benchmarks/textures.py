"""Whether pictures that close on themselves do: seams, spectra, and windows across the border.

    python benchmarks/textures.py --model wall/model --pictures walls/ [--seeds 24] [--windows 200]

One row a class and source. The sources: the model's tile; the cheap rival, a part of a real picture
reduced by Lanczos and mirrored, which closes on itself too; and the real pictures, which do not. It
prints

- `wrap`: whether two by two repeats are alike to the last bit;
- `seam`: the mean step over the border of a tile, as a share of the steps inside (their mean; 1: no
  different), and `above`: the share of the steps inside that are larger;
- `line`: the power at the period of four by four repeats that is not the tile's own, over all;
- `fd_seam`, `fd_inside`: Frechet distances of the features of windows across the border, and of
  windows inside, to those of real windows; `ratio` of the two. The network is EfficientNet-Lite0:
  where a model was trained with it, distances favor the model, their ratio does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from record import Record

import creps
from creps.data import Textures, open_images
from creps.metrics import frechet_distance
from creps.metrics._extractors import effnet
from creps.networks.base import Generator
from creps.rendering._sampling import detail_resolution

Picture = NDArray[np.uint8]


def main(
    model: Annotated[str, typer.Option(help="A model of textures.")],
    pictures: Annotated[Path, typer.Option(help="The textures it was trained on, by class.")],
    seeds: Annotated[int, typer.Option(help="Tiles of each class.")] = 24,
    windows: Annotated[int, typer.Option(help="Windows of each set.")] = 200,
    size: Annotated[
        int, typer.Option(help="Pixels a side of a window, at the scale of files.")
    ] = 64,
    out: Annotated[Path | None, typer.Option(help="JSON lines; of committed code only.")] = None,
) -> None:
    """Measure seams; see the head of this file."""
    record = Record("textures", out)
    generator = creps.load(model)
    torch.manual_seed(0)
    features, random = effnet(), np.random.default_rng(0)
    names = generator.class_names or ("",)
    source = open_images(pictures, channels=generator.config.img_channels, labels=len(names) > 1)
    real = Textures(source, size=size)
    side = detail_resolution(generator)
    for k, name in enumerate(names):
        images = [i for i in range(len(source)) if len(names) == 1 or source.label(i) == k]
        places = random.random((windows, 2)).tolist()
        truth = [real.window(images[n % len(images)], (y, x)) for n, (y, x) in enumerate(places)]
        known = _features(features, truth[: windows // 2])
        tiles = list(_tiles(generator, name or None, seeds, side))
        mirrored = [
            _mirrored(source.image(images[s % len(images)]), side, random) for s in range(seeds)
        ]
        for kind, each in (("model", tiles), ("mirrored Lanczos", mirrored)):
            row = _row(each, known, features, windows // 2, size, random)
            record.write({"class": name, "source": kind, "tile": side} | row)
        apart = frechet_distance(known, _features(features, truth[windows // 2 :]))
        record.write({"class": name, "source": "other real windows", "fd_inside": round(apart, 2)})


def _tiles(generator: Generator, label: str | None, seeds: int, side: int) -> Iterator[Picture]:
    """Two by two repeats of each seed."""
    for seed in range(seeds):
        yield creps.render(generator, seed=seed, label=label, size=2 * side, tile=2)


def _mirrored(picture: Picture, side: int, random: np.random.Generator) -> Picture:
    """Two by two repeats of a part of a picture beside its mirror images, `side` pixels a tile."""
    y, x = (int(random.integers(0, n - side + 1)) for n in picture.shape[:2])
    part = Image.fromarray(picture[y : y + side, x : x + side].squeeze())
    half = np.asarray(part.resize((side // 2, side // 2), Image.Resampling.LANCZOS))
    half = half.reshape(side // 2, side // 2, -1)
    row = np.concatenate([half, half[:, ::-1]], axis=1)
    return np.tile(np.concatenate([row, row[::-1]]), (2, 2, 1))


def _row(
    tiles: list[Picture],
    known: NDArray[Any],
    features: Any,
    count: int,
    size: int,
    random: np.random.Generator,
) -> dict[str, Any]:
    """What is measured of two by two repeats."""
    side = tiles[0].shape[0] // 2
    wrap = all(np.array_equal(t, np.tile(t[:side, :side], (2, 2, 1))) for t in tiles)
    seams, above, lines = zip(*(_steps(t, side) for t in tiles), strict=True)
    across, inside = [], []
    for n in range(count):
        tile = tiles[n % len(tiles)]
        # Across: the border lies within the middle half of the window, on both axes.
        y, x = (side - size // 4 - int(k) for k in random.integers(0, size // 2 + 1, 2))
        across.append(tile[y : y + size, x : x + size])
        y, x = (int(k) for k in random.integers(0, side - size + 1, 2))
        inside.append(tile[y : y + size, x : x + size])
    distances = [frechet_distance(_features(features, each), known) for each in (across, inside)]
    return {
        "wrap": wrap,
        "seam": round(float(np.mean(seams)), 3),
        "above": round(float(np.mean(above)), 3),
        "line": float(f"{max(lines):.2g}"),
        "fd_seam": round(distances[0], 2),
        "fd_inside": round(distances[1], 2),
        "ratio": round(distances[0] / distances[1], 3),
    }


def _steps(twice: Picture, side: int) -> tuple[float, float, float]:
    """The step over the border over those inside, the share of these above it, and the line."""
    colors = twice.astype(float)
    ratios, larger = [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(colors, axis=axis)).mean(axis=(1 - axis, 2))[:side]
        ratios.append(steps[-1] / max(steps[:-1].mean(), 1e-9))
        larger.append(float((steps[:-1] >= steps[-1]).mean()))
    four = np.tile(colors[:side, :side], (4, 4, 1))
    power = np.abs(np.fft.fft2(four - four.mean((0, 1)), axes=(0, 1))) ** 2
    own = np.zeros(power.shape[:2], bool)
    own[::4, ::4] = True
    return float(np.mean(ratios)), float(np.mean(larger)), float(power[~own].sum() / power.sum())


def _features(extractor: Any, pictures: list[Picture]) -> NDArray[Any]:
    """(N, width) features."""
    stack = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return torch.cat([extractor(part) for part in stack.split(50)]).double().cpu().numpy()


if __name__ == "__main__":
    typer.run(main)
