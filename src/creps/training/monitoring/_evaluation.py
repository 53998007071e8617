"""How far the samples are from the training set, now and then while a run goes on."""

from __future__ import annotations

from pathlib import Path

from creps.metrics._evaluate import evaluate
from creps.metrics._extractors import extractor_spec
from creps.metrics._metrics import Protocol
from creps.metrics._real_images import real_images
from creps.training._config import TrainConfig
from creps.training._engine import Stats
from creps.training._state import TrainState
from creps.training.monitoring._log import Journal


class Evaluations:
    """The Frechet distance of the averaged generator, every `watch.evaluate_every` steps.

    Args:
        run: its folder; `evaluations` in it keeps the features of the real pictures.
        config: the run.
        data: the training set.
        journal: takes the numbers.
    Raises:
        MissingExtraError: if the packages of the extra `metrics` are missing.
        UsageError: for too few pictures.
    """

    def __init__(self, run: Path, config: TrainConfig, *, data: Path, journal: Journal) -> None:
        self.config, self.journal, self.cache = config, journal, run / "evaluations"
        self.extractor = extractor_spec("effnet")
        self.protocol = Protocol(
            metrics=("fd",), n=config.watch.evaluate_pictures, sizes=(config.size,)
        )
        self.real = real_images(str(data), channels=config.generator.img_channels)

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Measure when due."""
        if state.step % self.config.watch.evaluate_every:
            return
        kept = set(self.cache.glob("*"))
        measured = evaluate(
            state.average,
            self.real,
            self.protocol,
            extractor=self.extractor,
            cache=self.cache,
            workers=0,
        )
        self.journal.write(state.step, {value.name: value.value for value in measured.values})
        if kept:  # the real pictures' features are there: nobody asks for these samples' again
            for path in set(self.cache.glob("*")) - kept:
                path.unlink(missing_ok=True)

    def at_end(self, state: TrainState) -> None:
        """Nothing."""
