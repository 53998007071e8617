"""Makes data sets, models and measurements in one folder, each once.

FOLDER/data/NAME.zip     pictures that were made
FOLDER/models/NAME/      runs of `creps train`; interrupted ones resume
FOLDER/features/         what was computed from pictures
FOLDER/results/          what was found: NAME.json with its pictures
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from creps._devices import find_device
from creps.errors import CrepsError, UsageError
from creps.metrics import Measurement, PictureSet, Protocol, RealImages, evaluate, real_images
from creps.metrics._extractors import ExtractorSpec, extractor_spec
from creps.metrics._measurements import Columns, Progress, measure
from creps.metrics._models import ModelRef, model_ref
from creps.metrics._pictures import Features
from creps.training._config import stored_settings
from creps.training._state import snapshots, step_of
from reproduce.specs import Budget, Dataset, Model, Training


def run_command(arguments: Sequence[str]) -> int:
    """Run `creps ARGUMENTS` in its own process, its progress on this terminal.

    An interruption is passed on once and waited for: a training saves its state before it ends.
    """
    command = [sys.executable, "-m", "creps", *arguments]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


class Runner:
    """Makes what experiments ask for.

    Args:
        folder: made if missing; each budget gets its own subfolder.
        budget: how much is spent.
        data: own pictures in place of those that would be made, by name.
        weights: of the extractor, where it needs a file.
        device: where to train, draw and take features; "auto": a GPU if there is one.
        workers, progress: for what measures, as `evaluate` takes them.
        say: called with each line of progress.
        run: runs a `creps` command and returns its exit code.
    Attributes:
        commands: those that make the requested data and models, as one would type them.
        reused: names of those that existed already.
    """

    def __init__(
        self,
        folder: Path,
        budget: Budget,
        *,
        data: Mapping[str, Path] | None = None,
        weights: Path | None = None,
        device: str = "auto",
        workers: int = 1,
        say: Callable[[str], None] = print,
        progress: Progress | None = None,
        run: Callable[[Sequence[str]], int] = run_command,
    ) -> None:
        self.folder, self.budget = folder / budget.name, budget
        self.commands: list[str] = []
        self.reused: list[str] = []
        self.workers, self.say, self.progress = workers, say, progress
        self._data, self._weights, self._run = dict(data or {}), weights, run
        self._asked, self.device = device, str(find_device(device))

    @property
    def paper(self) -> bool:
        """Whether the paper's networks and data are requested."""
        return self.budget.name == "paper"

    @property
    def cache(self) -> Path:
        """Folder where features are kept."""
        return self.folder / "features"

    @property
    def extractor(self) -> ExtractorSpec:
        """The budget's features."""
        spec = extractor_spec(self.budget.extractor, weights=self._weights)
        return replace(spec, device=self.device)

    @property
    def fd(self) -> str:
        """The name of Frechet distances of these features: "fd_effnet"."""
        return f"fd_{self.extractor.name}"

    def data(self, dataset: Dataset) -> Path:
        """The path of its pictures, which are made if need be.

        Raises:
            UsageError: at the paper's budget, if they were not given.
        """
        path = self._path(dataset)
        if dataset.name in self._data:
            return path
        if self.paper:
            raise UsageError(
                f"the paper's budget needs --data {dataset.name}=PATH: {dataset.paper}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (there := path.exists()):
            self.say(f"making the pictures {dataset.name}")
        if dataset.derive is None:
            count = str(self.budget.capped(dataset.count))
            words = ("data", *dataset.command, "--count", count, "--out", str(path))
            self._make(dataset.name, words, there=there)
        elif there:
            self._reuse(dataset.name)
        else:
            dataset.derive(self, path)
        return path

    def real(self, dataset: Dataset) -> RealImages:
        """Its pictures as what is measured compares with them."""
        return real_images(str(self.data(dataset)))

    def model(self, model: Model) -> str:
        """A trained model as `creps.load` takes it: a folder or packaged name; trained if need be.

        Raises:
            CrepsError: if its training fails or is stopped; it resumes the next time.
        """
        training = model.training(self.budget)
        if isinstance(training, str):
            return training
        run, there, data = self._run_of(model), self._is_made(model), self._path(model.data)
        # What a finished model was made from is noted, but not made again if it is gone.
        if not there or data.exists():
            self.data(model.data)
        if model.start is not None and (not there or self._is_made(model.start)):
            self.model(model.start)
        words = ["train", "--preset", training.preset, "--data", str(data), "--out", str(run)]
        if (images := self._images(training)) is not None:
            words += ["--images", str(images)]
        if model.start is not None:
            words += ["--from", str(self._run_of(model.start))]
        for setting in training.settings:
            words += ["--set", setting]
        if self._asked != "auto":  # which is what `creps train` takes by itself
            words += ["--device", self._asked]
        if not there:
            self.say(f"training {model.name}")
        self._make(model.name, words, there=there)
        if not self._is_made(model):
            raise CrepsError(f"training {model.name} was stopped: the same command resumes")
        return str(run / "model")

    def ref(self, model: Model) -> ModelRef:
        """A trained model as `draw` and the measures take it."""
        return model_ref(self.model(model), device=self.device)

    def evaluate(
        self, model: Model, data: Dataset, *metrics: str, size: int | None = None
    ) -> dict[str, float]:
        """Numbers of `evaluate` by name, such as "fd_effnet@32".

        Args:
            model: to be trained if need be.
            data: to compare with.
            metrics: as `Protocol` names them.
            size: of square pictures; the model's own by default.
        """
        protocol = Protocol(
            metrics=metrics,
            n=self.budget.pictures,
            probes=self.budget.probes,
            sizes=None if size is None else ((size, size),),
        )
        ref, real = self.ref(model), self.real(data)
        self.say(f"measuring {model.name}")
        found = evaluate(
            ref,
            real,
            protocol,
            extractor=self.extractor,
            cache=self.cache,
            workers=self.workers,
            progress=self.progress,
        )
        return {value.name: value.value for value in found.values}

    def distance(self, model: Model, data: Dataset, *, size: int | None = None) -> float:
        """Frechet distance of a model's pictures to those of a data set."""
        size = size or self.ref(model).size[0]
        return self.evaluate(model, data, "fd", size=size)[f"{self.fd}@{size}"]

    def features(
        self, sets: Mapping[str, PictureSet], *, count: int | None = None
    ) -> dict[str, Columns]:
        """Features and spectra of sets of pictures, by their labels; see `Features`."""
        works = {
            label: Features(pictures=pictures, extractor=self.extractor)
            for label, pictures in sets.items()
        }
        return self.collect(works, count or self.budget.pictures)

    def collect(self, works: Mapping[str, Measurement], count: int) -> dict[str, Columns]:
        """Results of several measurements, kept next to the features; see `measure`."""
        self.say(f"measuring {', '.join(works)}")
        found = measure(
            dict.fromkeys(works.values(), count),
            cache=self.cache,
            workers=self.workers,
            progress=self.progress,
        )
        return {name: found[work] for name, work in works.items()}

    def _make(self, name: str, words: Sequence[str], *, there: bool) -> None:
        """Run a `creps` command unless its result exists, and note it.

        Raises:
            CrepsError: if it fails; its own message was shown.
        """
        shown = shlex.join(["creps", *words]).replace(f"{self.folder}/", "")
        if there:
            self._reuse(name)
        elif code := self._run(words):
            raise CrepsError(f"`{shown}` ended with exit code {code}: fix the problem, then resume")
        if shown not in self.commands:
            self.commands.append(shown)

    def _reuse(self, name: str) -> None:
        if name not in self.reused:
            self.reused.append(name)

    def _path(self, dataset: Dataset) -> Path:
        """Where its pictures are, or will be."""
        return self._data.get(dataset.name, self.folder / "data" / f"{dataset.name}.zip")

    def _run_of(self, model: Model) -> Path:
        """Where it is, or will be, trained."""
        return self.folder / "models" / model.name

    def _images(self, training: Training) -> int | None:
        """How many pictures it shows; None: as its preset has it."""
        return None if training.images is None else self.budget.capped(training.images)

    def _is_made(self, model: Model) -> bool:
        """Whether it is trained, for as long as it is now; a shorter run resumes."""
        training = model.training(self.budget)
        if isinstance(training, str):
            return True
        return is_finished(self._run_of(model), images=self._images(training))


def is_finished(folder: Path, *, images: int | None = None) -> bool:
    """Whether a run exists and has done all its steps.

    Args:
        folder: of the run.
        images: the length it should have been set to; None: any number.
    """
    kept = snapshots(folder / "snapshots")
    if not kept or not (folder / "config.json").exists():
        return False
    config, _ = stored_settings(folder)
    return images in (None, config.images) and step_of(kept[-1]) >= config.steps
