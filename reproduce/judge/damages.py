"""Does the judge order known damages rightly? Real portraits, damaged more and more.

    python -m reproduce.judge.damages --out FOLDER

Each set of `--n` damaged portraits is measured like samples of a model, against others, and so are
the packaged model and Lanczos enlargements of its 32 px pictures. Writes FOLDER/damages.jsonl, a
line for each set; FOLDER/damages.md, the table; FOLDER/damages.webp, a row of pictures for each
damage; FOLDER/looked-at.webp, the samples of the model that lie nearest to real portraits in
features, and those farthest off. What was measured is kept: an interrupted command goes on.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.progress import Progress

from creps._files import cores, write_atomically
from creps.data.portraits._styles import DEFAULT_STYLE
from creps.data.portraits._truth import DRAWINGS
from creps.metrics._attributes import Drawings, Readings, readings_of, total_variation
from creps.metrics._distances import frechet_distance, nearest, precision_recall
from creps.metrics._extractors import ExtractorSpec, extract
from creps.metrics._measurements import Columns, Measurement, measure
from creps.metrics._models import ModelRef, model_ref
from creps.metrics._pictures import (
    Features,
    ModelPictures,
    PictureSet,
    RealPictures,
    ResampledPictures,
    resampled,
)
from creps.metrics._real_images import HELD_OUT, Portraits
from creps.rendering._sheets import Panel, captioned_sheet
from reproduce.judge.training import bent, blurred

Picture = NDArray[np.uint8]
READER = ExtractorSpec(name="portraits")
SMALL = 32
"""Pixels a side of the samples that are enlarged."""
FINEST = 128
"""Pixels a side of the pictures that are shown."""
SHOWN = 6


def _floating(picture: Picture) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()


def _rounded(x: torch.Tensor) -> Picture:
    pixels: Picture = x[0].permute(1, 2, 0).clamp(0, 255).round().to(torch.uint8).numpy()
    return pixels


def _blur(picture: Picture, strength: float, number: int) -> Picture:
    return _rounded(blurred(_floating(picture), strength * len(picture) / FINEST))


def _jpeg(picture: Picture, strength: float, number: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=int(100 - strength))
    return np.asarray(Image.open(file))


def _noise(picture: Picture, strength: float, number: int) -> Picture:
    noise = np.random.default_rng(number).normal(0, strength, picture.shape)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)


def _bend(picture: Picture, strength: float, number: int) -> Picture:
    draw = torch.Generator().manual_seed(number)
    pixels = torch.tensor([strength * len(picture) / FINEST])
    return _rounded(bent(_floating(picture), pixels, draw))


def _reduce(picture: Picture, strength: float, number: int) -> Picture:
    side = round(len(picture) / strength)
    return resampled(resampled(picture, (side, side)), picture.shape[:2])


@lru_cache(maxsize=256)
def plain(number: int, size: tuple[int, int], style: str = DEFAULT_STYLE) -> Picture:
    """A portrait as it should be; the last few are kept, for one damage after another."""
    return Portraits(style=style).picture(number, size)


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A way to spoil pictures.

    Attributes:
        about: what it is, with the unit of its strength.
        strengths: growing.
        picture: of a portrait's number, a size and a strength.
    """

    about: str
    strengths: tuple[float, ...]
    picture: Callable[[int, tuple[int, int], float], Picture]


def _applied(how: Callable[[Picture, float, int], Picture]) -> Callable[..., Picture]:
    def picture(number: int, size: tuple[int, int], strength: float) -> Picture:
        return how(plain(number, size), strength, number)

    return picture


def _some(number: int, percent: float) -> bool:
    """Whether this picture is one of so many percent of all."""
    return bool(np.random.default_rng(number).uniform(0, 100) < percent)


def _styled(number: int, size: tuple[int, int], percent: float) -> Picture:
    return plain(number, size, "adventurer" if _some(number, percent) else DEFAULT_STYLE)


def _halved(number: int, size: tuple[int, int], percent: float) -> Picture:
    picture = plain(number, size)
    if not _some(number, percent):
        return picture
    left = plain(number + HELD_OUT, size)
    half = size[1] // 2
    return np.concatenate([left[:, :half], picture[:, half:]], axis=1)


def _same_hair(number: int, size: tuple[int, int], percent: float) -> Picture:
    """In so many percent of the pictures the hair is of one kind: the next portrait that has it."""
    if _some(number, percent):
        while Drawings(seed=0).item(number)["hair"]:
            number += 10 * HELD_OUT
    return plain(number, size)


DAMAGES = {
    "blur": Damage(
        about="Gaussian, deviation in pixels at 128 px",
        strengths=(0.5, 1, 2),
        picture=_applied(_blur),
    ),
    "reduced": Damage(
        about="reduced so many times, and enlarged again (Lanczos)",
        strengths=(1.5, 2, 4),
        picture=_applied(_reduce),
    ),
    "noise": Damage(about="deviation, of 255", strengths=(4, 10, 25), picture=_applied(_noise)),
    "bent": Damage(
        about="moved about smoothly, pixels at 128 px",
        strengths=(0.5, 1, 3),
        picture=_applied(_bend),
    ),
    "JPEG": Damage(
        about="100 - quality: 100 is worst", strengths=(40, 70, 90), picture=_applied(_jpeg)
    ),
    "halves": Damage(
        about="percent whose left half is of another portrait",
        strengths=(10, 30, 100),
        picture=_halved,
    ),
    "one hair": Damage(
        about="percent whose hair is of one kind", strengths=(10, 30, 100), picture=_same_hair
    ),
    "style": Damage(
        about="percent drawn in another style", strengths=(2, 10, 100), picture=_styled
    ),
}
"""What is done to portraits. The reader saw the first four in training, and never the others."""


@dataclass(frozen=True, kw_only=True)
class DamagedFeatures(Measurement):
    """The judge's features of real portraits under every damage, a column of (N, D) for each.

    Attributes:
        size: (height, width).
        first: number of the first portrait.
    """

    size: tuple[int, int]
    first: int
    chunk: ClassVar[int] = 25

    @property
    def seconds(self) -> float:
        return 0.3

    def run(self, first: int, count: int) -> Columns:
        portraits = range(self.first + first, self.first + first + count)
        network, columns = READER.load(), {}
        for kind, damage in DAMAGES.items():
            for strength in damage.strengths:
                pictures = (damage.picture(n, self.size, strength) for n in portraits)
                columns[f"{kind}/{strength:g}"] = extract(pictures, network).astype(np.float32)
        return columns


def numbers(
    features: NDArray[np.float64], real: NDArray[np.float64], truth: dict[str, NDArray[np.int64]]
) -> dict[str, float]:
    """The judge's numbers of a set."""
    read = readings_of(features)
    return {
        "fd": frechet_distance(features, real),
        **precision_recall(features, real)._asdict(),
        "readable": float(np.mean(list(read.readable.values()))),
        "readable_all": float(np.all(list(read.readable.values()), axis=0).mean()),
        "tv": _mean_variation(read, truth),
    }


def _mean_variation(read: Readings, truth: dict[str, NDArray[np.int64]]) -> float:
    return float(
        np.mean(
            [
                total_variation(read.drawings[part][read.readable[part]], truth[part], len(names))
                for part, names in DRAWINGS.items()
            ]
        )
    )


WORDS = ("damage", "strength")
NUMBERS = ("fd", "precision", "recall", "density", "coverage", "readable", "readable_all", "tv")


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table."""
    lines = ["| " + " | ".join(WORDS + NUMBERS) + " |"]
    lines.append("|---" * len(WORDS) + "|---:" * len(NUMBERS) + "|")
    for row in rows:
        cells = [row["damage"], f"{row['strength']:g}" if row["strength"] else ""]
        cells += [f"{row[k]:.4g}" if k == "fd" else f"{row[k]:.2f}" for k in NUMBERS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def shown(size: tuple[int, int]) -> Picture:
    """One portrait, which even the rarest damage hits, with each damage, growing."""
    number = HELD_OUT
    while not (_some(number, 2) and Drawings(seed=0).item(number)["hair"]):
        number += 1
    rows = []
    for kind, damage in DAMAGES.items():
        row = [Panel(plain(number, size), kind, damage.about)]
        for strength in damage.strengths:
            row.append(Panel(damage.picture(number, size, strength), f"{strength:g}"))
        rows.append(row)
    return captioned_sheet(rows, heading="What is done to portraits")


def looked_at(
    model: ModelRef,
    size: tuple[int, int],
    features: NDArray[np.float64],
    real: NDArray[np.float64],
) -> Picture:
    """Samples nearest to a real portrait, and those farthest from all, by distance in features."""
    far = nearest(features, real)[1][:, 0]
    own = float(np.median(nearest(real, real, count=2)[1][:, 1]))
    order = np.argsort(far)
    drawn = ModelPictures(model=model, size=size)
    rows = []
    middle = len(order) // 2
    picks = {
        "nearest": order[:SHOWN],
        "middle": order[middle : middle + SHOWN],
        "farthest": order[-SHOWN:],
    }
    for title, picked in picks.items():
        notes = [f"{title}: seed {seed}" for seed in picked]
        rows.append(
            [
                Panel(drawn.picture(int(seed)), note, f"{far[seed] / own:.2f}")
                for seed, note in zip(picked, notes, strict=True)
            ]
        )
    heading = "Distance to the nearest real portrait; among real ones: 1"
    return captioned_sheet(rows, heading=heading)


def main(
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    model: Annotated[str, typer.Option(help="A model to measure beside.")] = "portraits",
    size: Annotated[int, typer.Option(help="Pixels a side.")] = FINEST,
    n: Annotated[int, typer.Option("--n", help="Pictures of each set.")] = 2000,
    workers: Annotated[int, typer.Option(help="Processes.")] = cores(),
) -> None:
    """Damage, measure, write."""
    out.mkdir(parents=True, exist_ok=True)
    square, ref = (size, size), model_ref(model)
    sets: dict[str, PictureSet] = {
        "real": RealPictures(real=Portraits(), size=square),
        "none": RealPictures(real=Portraits(), size=square, first=HELD_OUT),
        f"model {model}": ModelPictures(model=ref, size=square),
    }
    if size > SMALL:
        small = ModelPictures(model=ref, size=(SMALL, SMALL))
        sets[f"its {SMALL} px, enlarged"] = ResampledPictures(drawn=small, size=square)
    measured = {name: Features(pictures=each, extractor=READER) for name, each in sets.items()}
    damaged, known = DamagedFeatures(size=square, first=HELD_OUT), Drawings(seed=0)
    with Progress() as bar:
        task = bar.add_task("measuring")
        found = measure(
            dict.fromkeys([*measured.values(), damaged, known], n),
            workers=workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    features = {name: found[each]["features"].astype(float) for name, each in measured.items()}
    real, truth = features.pop("real"), found[known]
    spoilt = {name: column.astype(float) for name, column in found[damaged].items()}
    rows = []
    for name, each in {"none": features.pop("none"), **spoilt, **features}.items():
        kind, _, strength = name.partition("/")
        row = {"damage": kind, "strength": float(strength or 0), "size": size, "n": n}
        rows.append(row | numbers(each, real, truth))
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write_atomically(out / "damages.jsonl", lines.encode())
    write_atomically(out / "damages.md", markdown(rows).encode())
    Image.fromarray(shown(square)).save(out / "damages.webp", quality=80)
    samples = features[f"model {model}"]
    Image.fromarray(looked_at(ref, square, samples, real)).save(out / "looked-at.webp", quality=80)
    print(markdown(rows))


if __name__ == "__main__":
    typer.run(main)
