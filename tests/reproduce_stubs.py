"""A runner whose networks are untrained, whose pictures are noise, whose numbers are made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from creps.config import replace as with_settings
from creps.metrics import Measurement
from creps.metrics._consistency import Consistency
from creps.metrics._measurements import Columns
from creps.metrics._models import ModelRef, model_ref
from creps.networks import Generator, build_generator
from creps.training import TrainConfig, preset
from reproduce.runner import Runner
from reproduce.specs import PAPER, TRIAL, Dataset, Model, Training

SMALL = replace(TRIAL, name="small", pictures=20)
SIDES = {
    "mixed": [32] * 8 + [64, 96, 120, 128],
    "earth-mixed": [64, 90, 130, 190, 256],
    "portraits": [128] * 30,
}
"""Of the pictures of noise of each set; 72 px of others."""
TINY = {
    "resolution": 16, "z_dim": 6, "w_dim": 5, "mapping_layers": 2, "features": 6, "widths": (7, 6),
    "bandwidth": 2.0,
}  # fmt: skip
"""A tiny CIPS."""
_NETWORKS: dict[str, Generator] = {}


def config_of(training: Training) -> TrainConfig:
    """The settings of a run."""
    return with_settings(preset(training.preset), training.settings)


def untrained(model: Model) -> Generator:
    """The small budget's network, untrained; a tiny one in place of CIPS, with the same parts."""
    if model.name not in _NETWORKS:
        training = model.small if isinstance(model.small, Training) else Training(preset="small-32")
        config = config_of(training)
        generator = config.generator
        if config.family == "cips":
            names = ("fourier", "embedding", "connections", "activation", "period")
            generator = TINY | {name: getattr(generator, name) for name in names}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(len(model.name))
            network = build_generator(config.family, generator).eval()
        network.record = {"training": {"resolution": network.config.resolution}}
        _NETWORKS[model.name] = network
    return _NETWORKS[model.name]


class Pretender(Runner):
    """Makes nothing, and measures little."""

    def __init__(
        self,
        folder: Path,
        network: Callable[[Model], Generator] = untrained,
        *,
        number: Callable[[str], float] = lambda name: 1.0,
        paper: bool = False,
        data: Mapping[str, Path] | None = None,
    ) -> None:
        """Open a folder; `number` is what is measured of a model of that name."""
        budget = replace(PAPER, pictures=20, extractor="effnet") if paper else SMALL
        super().__init__(folder, budget, workers=0, data=data, say=lambda line: None)
        self.network, self.number = network, number

    def ref(self, model: Model) -> ModelRef:
        return model_ref(self.network(model))

    def data(self, dataset: Dataset) -> Path:
        if dataset.derive is not None and dataset.name not in SIDES:
            return super().data(dataset)
        path = self.folder / dataset.name
        if not path.exists():
            path.mkdir(parents=True)
            rng = np.random.default_rng(3)
            for k, side in enumerate(SIDES.get(dataset.name, [72] * 8)):
                pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(path / f"{k:02d}.png")
        return path

    def evaluate(
        self, model: Model, data: Dataset, *metrics: str, size: int | None = None
    ) -> dict[str, float]:
        size = size or self.ref(model).size[0]
        names = ("fd", "precision", "recall", "novelty", "copies")
        return {f"{name}_{self.extractor.name}@{size}": self.number(model.name) for name in names}

    def collect(self, works: Mapping[str, Measurement], count: int) -> dict[str, Columns]:
        """Sets of pictures are apart by their places; antialiased pictures agree more."""
        return {label: _made_up(work, k, count) for k, (label, work) in enumerate(works.items())}


def _made_up(work: Measurement, place: int, count: int) -> Columns:
    ramp = np.linspace(-1, 1, count)
    if isinstance(work, Consistency):
        base = 40.0 if work.supersample == 1 else 50.0
        base -= 3 * (work.model.generator().sampling == "corners")
        cost = np.full(count, 1.0 if work.supersample == 1 else 1.4)
        return {"psnr": base + ramp, "ssim": base / 50 + 0 * ramp, "perceptual": ramp, "cost": cost}
    height, width = work.pictures.size  # type: ignore[attr-defined]
    features = np.random.default_rng(0).normal(size=(count, 3)) + place
    return {
        "features": features,
        "sum_radial": np.full(height // 2 + 1, 2.0**place),
        "sum_power": np.random.default_rng(place).uniform(1, 2, (height, width // 2 + 1)),
    }
