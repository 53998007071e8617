"""Train the portrait reader that ships as the judge: draws its pictures, trains, tests, writes.

    python -m reproduce.judge.training --out FOLDER

All is drawn from one seed: the portraits are of a family of their own (`FAMILY`), which no
generator is trained on or measured against. The pictures are drawn once, into FOLDER; then the
reader trains, and FOLDER/model.safetensors and FOLDER/record.json appear: what the package ships.
About 6 minutes of one core for the pictures and 15 for the training.
"""

from __future__ import annotations

import json
import math
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import typer
from numpy.typing import NDArray
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor

from creps._files import cores, write_atomically
from creps.data.portraits._art import ART_VERSION
from creps.data.portraits._styles import DEFAULT_STYLE, portrait_style
from creps.data.portraits._truth import COLORED, DRAWINGS, PLACED, portrait_truth
from creps.metrics._reader import SIDE, PortraitReader, seen
from creps.metrics._real_images import Portraits

FAMILY = 15
"""Seed of the portraits it learns from and is tested on."""
BATCH = 64
GROUPS = 4
"""Parts of a batch that are damaged with the same strength."""
MIXED, BENT = 0.15, 0.2
"""Shares of pictures that are mixed with another one, and bent."""
SURE = 0.95
"""Share of real portraits whose part counts as readable: what the threshold is set by."""

# What a difference of 1 means in the losses of numbers, so that all weigh alike.
_COLOR, _PLACE = 64.0, torch.tensor([0.06, 0.06, 0.12, 4.0])
_MIDDLE = torch.tensor([0.5, 0.5, 1.0, 0.0])


class Truth(NamedTuple):
    """What is known of N portraits.

    Attributes:
        drawings: (N, number of parts) index of each part's drawing.
        mirrored: (N,) 0 or 1.
        colors: (N, number of colors, 3) 0 to 255; NaN where there is none.
        places: (N, number of placed parts, 4): y, x, scale, angle.
    """

    drawings: Tensor
    mirrored: Tensor
    colors: Tensor
    places: Tensor

    def of(self, rows: Tensor) -> Truth:
        """Of some portraits."""
        return Truth(*(each[rows] for each in self))

    def flipped(self, which: Tensor) -> Truth:
        """Of the same pictures, some of them (B,) mirrored."""
        y, x, scale, angle = self.places.unbind(2)
        other = torch.stack([y, 1 - x, scale, -angle], dim=2)
        return self._replace(
            mirrored=torch.where(which, 1 - self.mirrored, self.mirrored),
            places=torch.where(which[:, None, None], other, self.places),
        )


def truth_of(count: int) -> Truth:
    """What is known of the first portraits of the family."""
    found = [portrait_truth(index, FAMILY) for index in range(count)]
    kinds = [
        [names.index(each.drawings[part]) for part, names in DRAWINGS.items()] for each in found
    ]
    missing = (math.nan,) * 3
    return Truth(
        torch.tensor(kinds),
        torch.tensor([float(each.mirrored) for each in found]),
        torch.tensor([[each.colors.get(name, missing) for name in COLORED] for each in found]),
        torch.tensor([[each.places[part] for part in PLACED] for each in found]),
    )


def drawn(path: Path, count: int) -> NDArray[np.uint8]:
    """(count, SIDE, SIDE, 3) portraits of the family, drawn into a file once."""
    if path.exists():
        kept: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        if len(kept) >= count:
            return kept[:count]
    part = path.with_suffix(".part.npy")
    shape = (count, SIDE, SIDE, 3)
    pictures = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
    draw = partial(Portraits(seed=FAMILY).picture, size=(SIDE, SIDE))
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
        found = pool.map(draw, range(count), chunksize=64)
        for index, picture in enumerate(track(found, "drawing portraits", total=count)):
            pictures[index] = picture
    pictures.flush()
    part.replace(path)
    return np.load(path, mmap_mode="r")


class Batch(NamedTuple):
    """What a step learns from.

    Attributes:
        pictures: (B, 3, SIDE, SIDE) in [-1, 1], damaged.
        truth: of the undamaged ones.
        partner, share: (B,) the portrait mixed in, and how much of the first one is left.
        clear: (B,) how much of the drawings can be told in spite of bending, 0 to 1.
        damages: (B, number of damages) how strong each is.
    """

    pictures: Tensor
    truth: Truth
    partner: Truth
    share: Tensor
    clear: Tensor
    damages: Tensor


def damaged(pictures: Tensor, truth: Truth, draw: torch.Generator) -> Batch:
    """Pictures (B, 3, SIDE, SIDE) in [0, 255], mirrored, mixed, bent, reduced, blurred, noised."""
    count = len(pictures)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=draw)

    which = uniform(count) < 0.5
    x = torch.where(which[:, None, None, None], pictures.flip(3), pictures)
    truth = truth.flipped(which)
    other = torch.randperm(count, generator=draw)
    share = torch.where(uniform(count) < MIXED, 0.5 + 0.4 * uniform(count), torch.ones(count))
    x = x.lerp(x[other], 1 - share[:, None, None, None])
    moved = torch.where(uniform(count) < BENT, 8 * uniform(count), torch.zeros(count))
    rows = moved > 0
    if bool(rows.any()):
        x[rows] = bent(x[rows], moved[rows], draw)
    parts, sizes, blurs, noises = [], [], [], []
    for part in x.chunk(GROUPS):
        size = round(32 * 2 ** (2 * float(uniform(1)))) if float(uniform(1)) < 0.75 else SIDE
        small = F.interpolate(part, size=(size, size), mode="area")
        sigma = float(uniform(1)) ** 2 * 3 if float(uniform(1)) < 0.4 else 0.0
        noise = float(uniform(1)) ** 2 * 60 if float(uniform(1)) < 0.3 else 0.0
        small = blurred(small, sigma)
        small = small + noise * torch.randn(small.shape, generator=draw)
        parts.append(seen(small.clamp(0, 255).round()))
        sizes += [math.log2(SIDE / size)] * len(part)
        blurs += [math.log2(1 + sigma)] * len(part)
        noises += [math.log2(1 + noise / 8)] * len(part)
    columns = [*map(torch.tensor, (sizes, blurs, noises)), 4 * (1 - share), moved / 4]
    return Batch(
        pictures=torch.cat(parts).contiguous(memory_format=torch.channels_last),
        truth=truth,
        partner=truth.of(other),
        share=share,
        clear=(1.4 - moved / 5).clamp(0, 1),
        damages=torch.stack(columns, dim=1),
    )


def blurred(x: Tensor, sigma: float) -> Tensor:
    """(B, C, H, W) blurred by a Gaussian of that deviation, in pixels; borders are repeated."""
    if sigma <= 0:
        return x
    reach = max(1, math.ceil(3 * sigma))
    taps = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    kernel = (taps / taps.sum()).to(x)
    channels = x.shape[1]
    x = F.pad(x, (reach,) * 4, mode="replicate")
    x = F.conv2d(x, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(x, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def bent(x: Tensor, pixels: Tensor, draw: torch.Generator) -> Tensor:
    """Each picture moved about smoothly at random, by about so many pixels, finer waves by less."""
    cells = int(torch.randint(5, 20, (1,), generator=draw))
    coarse = torch.randn(len(x), 2, cells, cells, generator=draw)
    coarse = coarse * (pixels * min(1.0, 8 / cells))[:, None, None, None]
    shifts = F.interpolate(coarse, size=x.shape[2:], mode="bicubic", align_corners=False)
    places = F.affine_grid(torch.eye(2, 3).expand(len(x), 2, 3), list(x.shape), align_corners=False)
    moved = places + shifts.movedim(1, 3) * (2 / x.shape[2])
    return F.grid_sample(x, moved, padding_mode="reflection", align_corners=False)


def loss_of(reader: PortraitReader, batch: Batch) -> Tensor:
    """Mean cross-entropy of the drawings, and Huber losses of all numbers."""
    hidden = reader.hidden(batch.pictures)
    alone = ((batch.share == 1) & (batch.damages[:, -1] < 0.5)).float()  # has places and colors
    terms = []
    for k, (part, head) in enumerate(reader.drawings.items()):
        names = len(DRAWINGS[part])
        ours, others = (
            F.one_hot(each.drawings[:, k], names).float() for each in (batch.truth, batch.partner)
        )
        target = ours.lerp(others, 1 - batch.share[:, None])
        target = (1 / names + batch.clear[:, None] * (target - 1 / names)).float()
        terms.append(F.cross_entropy(head(hidden), target))
    drawings = torch.stack(terms).mean()
    mirrored = F.binary_cross_entropy_with_logits(
        reader.mirrored(hidden)[:, 0], batch.truth.mirrored, weight=alone
    )
    colors = (batch.truth.colors / _COLOR - 2).flatten(1)
    places = (batch.truth.places / _PLACE - _MIDDLE / _PLACE).flatten(1)
    numbers = [
        _distance(reader.colors(hidden), colors, alone),
        _distance(reader.places(hidden), places, alone),
        _distance(reader.damages(hidden), batch.damages, torch.ones_like(alone)),
    ]
    return drawings + 0.2 * mirrored + 0.5 * torch.stack(numbers).mean()


def _distance(found: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Mean Huber loss over what is known; 0 where nothing is."""
    known = wanted.isfinite() & (weight[:, None] > 0)
    if not bool(known.any()):
        return found.new_zeros(())
    return F.smooth_l1_loss(found[known], wanted[known])


def train(pictures: NDArray[np.uint8], known: Truth, *, images: int, seed: int) -> PortraitReader:
    """A reader trained on so many pictures, drawn from these with damages."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    reader = PortraitReader().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(reader.parameters(), lr=3e-3, weight_decay=0.01)
    steps = max(images // BATCH, 2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps, pct_start=0.1)
    rounds = range(-(-steps * BATCH // len(pictures)))
    order = torch.cat([torch.randperm(len(pictures), generator=draw) for _ in rounds])
    for step in track(range(steps), "training the reader"):
        rows = order[step * BATCH : (step + 1) * BATCH]
        loss = loss_of(reader, damaged(_picked(pictures, rows), known.of(rows), draw))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}: {loss.detach():.3f}", flush=True)
    return reader.eval().requires_grad_(False)


def _picked(pictures: NDArray[np.uint8], rows: Tensor) -> Tensor:
    """(B, 3, SIDE, SIDE) in 0 .. 255."""
    return torch.from_numpy(pictures[rows.numpy()]).permute(0, 3, 1, 2).float()


def tested(reader: PortraitReader, pictures: NDArray[np.uint8], known: Truth) -> dict[str, Any]:
    """How often it is right at 32, 64 and 128 px, how far off numbers are, and when it is sure."""
    right, off, sure = {}, {}, {}
    for size in (32, 64, SIDE):
        parts = []
        for rows in torch.arange(len(pictures)).split(BATCH):
            small = F.interpolate(_picked(pictures, rows), size=(size, size), mode="area")
            parts.append(reader.hidden(seen(small.round())))
        hidden = torch.cat(parts)
        chances = reader.chances(hidden)
        right[str(size)] = {
            part: _rounded((chances[part].argmax(1) == known.drawings[:, k]).float().mean())
            for k, part in enumerate(DRAWINGS)
        }
        colors = (reader.colors(hidden).unflatten(1, (-1, 3)) + 2) * _COLOR
        places = reader.places(hidden).unflatten(1, (-1, 4)) * _PLACE + _MIDDLE
        off[str(size)] = _off((colors - known.colors).abs(), (places - known.places).abs())
        # In the end those of the largest size.
        sure = {part: _rounded(chances[part].amax(1).quantile(1 - SURE)) for part in DRAWINGS}
    return {"right": right, "off": off, "sure": sure}


def _off(colors: Tensor, places: Tensor) -> dict[str, float]:
    """Mean errors of colors (N, colors, 3), of 255, and of places (N, parts, 4), by name."""
    of_colors = {f"color of {n}": v for n, v in zip(COLORED, colors.nanmean((0, 2)), strict=True)}
    what = ("y of {}", "x of {}", "scale of {}", "degrees of {}")
    names = [each.format(part) for part in PLACED for each in what]
    of_places = dict(zip(names, places.mean(0).flatten(), strict=True))
    return {name: _rounded(value) for name, value in (of_colors | of_places).items()}


def _rounded(value: Tensor) -> float:
    return round(float(value), 4)


def main(
    out: Annotated[Path, typer.Option(help="Folder of the pictures, the weights, the record.")],
    count: Annotated[int, typer.Option(help="Portraits to learn from.")] = 10_000,
    held_out: Annotated[int, typer.Option(help="Further ones to test with.")] = 1_000,
    images: Annotated[int, typer.Option(help="Pictures shown in all.")] = 64_000,
    seed: Annotated[int, typer.Option(help="Of weights, order and damages.")] = 0,
) -> None:
    """Draw, train, test, write."""
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    pictures = drawn(out / "pictures.npy", count + held_out)
    known = truth_of(count + held_out)
    started = time.process_time()
    train_rows, test_rows = torch.arange(count), torch.arange(count, count + held_out)
    reader = train(pictures[:count], known.of(train_rows), images=images, seed=seed)
    spent = time.process_time() - started
    state = {
        name: value.contiguous().half() if value.is_floating_point() else value
        for name, value in reader.state_dict().items()
    }
    save_file(state, out / "model.safetensors")
    reader.load_state_dict(state)  # what is tested is what ships
    packages = ("dicebear-core", "dicebear-styles", "resvg-py", "torch")
    record = {
        "format": "creps portrait reader",
        "script": "reproduce/judge/training.py",
        "seed": seed,
        "portraits": {"family": FAMILY, "art": ART_VERSION, "count": count, "tested": held_out},
        "versions": {name: version(name) for name in packages},
        "images": images,
        "core_seconds": round(spent),
        "credit": portrait_style(DEFAULT_STYLE).credit,
        **tested(reader, pictures[count:], known.of(test_rows)),
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    write_atomically(out / "record.json", text.encode() + b"\n")


if __name__ == "__main__":
    typer.run(main)
