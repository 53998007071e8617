"""Where experiments work: a folder of data sets, trained models and features that they share.

FOLDER/data/NAME.zip     pictures that were made
FOLDER/models/NAME/      runs of `creps train`, interrupted ones go on
FOLDER/features/         what was worked out of pictures
FOLDER/results/          what was found: NAME.json with its pictures
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from creps.errors import CrepsError, UsageError
from creps.metrics._cache import Columns, Progress, Work, collect
from creps.metrics._evaluate import evaluate
from creps.metrics._extractor_names import ExtractorSpec, extractor_spec
from creps.metrics._models import ModelRef, model_ref
from creps.metrics._protocol import Protocol
from creps.metrics._real_images import open_reality
from creps.training._run import is_finished
from reproduce.budgets import Budget
from reproduce.ingredients import Dataset, Model, Training

Runner = Callable[[Sequence[str]], int]


def run_command(arguments: Sequence[str]) -> int:
    """Run `creps ARGUMENTS` in a process of its own, its progress on this terminal.

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


class Workshop:
    """Makes what experiments ask for, once.

    Attributes:
        folder: where everything lies.
        budget: how much is spent.
        commands: what makes the data and the models that were asked for, as one would type it.
        reused: names of those that were there already.
        workers, progress: for what measures, as `evaluate` takes them.
        say: takes lines that tell what is done now.
    """

    def __init__(
        self,
        folder: Path,
        budget: Budget,
        *,
        data: Mapping[str, Path] | None = None,
        weights: Path | None = None,
        workers: int = 1,
        say: Callable[[str], None] = print,
        progress: Progress | None = None,
        run: Runner = run_command,
    ) -> None:
        """Open a workshop.

        Args:
            folder: made if it is not there; budgets get subfolders of their own.
            budget: how much is spent.
            data: own pictures in place of those that would be made, by name.
            weights: of the extractor, where it needs a file.
            workers: processes that measure; see `evaluate`.
            say: takes lines that tell what is done now.
            progress: takes (done, total) while measuring.
            run: runs a `creps` command and returns its exit code.
        """
        self.folder = folder / budget.name
        self.budget = budget
        self.commands: list[str] = []
        self.reused: list[str] = []
        self._data, self._weights, self.workers = dict(data or {}), weights, workers
        self.say, self.progress, self._run = say, progress, run

    @property
    def paper(self) -> bool:
        """Whether the paper's networks and data are asked for."""
        return self.budget.name == "paper"

    def data(self, dataset: Dataset) -> Path:
        """The path of its pictures, which are made if need be.

        Raises:
            UsageError: at the paper's budget, if they were not given.
        """
        if dataset.name in self._data:
            return self._data[dataset.name]
        if self.paper:
            raise UsageError(
                f"the paper's budget needs --data {dataset.name}=PATH: {dataset.paper}"
            )
        path = self._place(dataset)
        count = str(self.budget.capped(dataset.count))
        words = ("data", *dataset.command, "--count", count, "--out", str(path))
        if path.exists():
            self._reuse(dataset.name, () if dataset.derive else words)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.say(f"making the pictures {dataset.name}")
        if dataset.derive is None:
            self.command(*words)
        else:
            dataset.derive(self, path)
        return path

    def model(self, model: Model) -> str:
        """A trained model as `creps.load` takes it: a folder or packaged name; trained if need be.

        Raises:
            CrepsError: if its training fails or is stopped; it goes on the next time.
        """
        training = model.paper if self.paper else model.small
        if isinstance(training, str):
            return training
        run, images, there = self._run_of(model), self._images(training), self._is_made(model)
        data = self._place(model.data)
        # What a finished model was made from is noted, but not made again if it is gone.
        if not there or data.exists():
            self.data(model.data)
        if model.start is not None and (not there or self._is_made(model.start)):
            self.model(model.start)
        words = ["train", "--preset", training.preset, "--data", str(data), "--out", str(run)]
        if images is not None:
            words += ["--images", str(images)]
        if model.start is not None:
            words += ["--from", str(self._run_of(model.start))]
        for setting in training.settings:
            words += ["--set", setting]
        if there:
            self._reuse(model.name, words)
            return str(run / "model")
        self.say(f"training {model.name}")
        self.command(*words)
        if not self._is_made(model):
            raise CrepsError(f"training {model.name} was stopped: the same command goes on")
        return str(run / "model")

    def ref(self, model: Model) -> ModelRef:
        """A trained model as `draw` and the measures take it."""
        return model_ref(self.model(model))

    def measured(
        self, model: Model | str, data: Dataset | str | None, protocol: Protocol
    ) -> dict[str, float]:
        """Numbers of `evaluate` by name, such as "fd_effnet@32".

        Args:
            model: to be trained, or a path or packaged name.
            data: to be made, a word of `open_reality`, or None.
            protocol: its `n` and `probes` are the budget's to give: see `protocol`.
        """
        path = self.model(model) if isinstance(model, Model) else model
        real = None
        if data is not None:
            real = open_reality(str(self.data(data)) if isinstance(data, Dataset) else data)
        self.say(f"measuring {model.name if isinstance(model, Model) else model}")
        found = evaluate(
            model_ref(path),
            real,
            protocol,
            extractor=self.extractor(),
            cache=self.features,
            workers=self.workers,
            progress=self.progress,
        )
        return {value.name: value.value for value in found.values}

    def columns(self, works: Mapping[str, Work], counts: Mapping[str, int]) -> dict[str, Columns]:
        """What works find, picture by picture, kept beside the features; see `collect`.

        Args:
            works: by name.
            counts: items of each.
        """
        return collect(
            works, counts, folder=self.features, workers=self.workers, progress=self.progress
        )

    def protocol(
        self, *measures: str, sizes: Sequence[int] = (), truncation: float = 1.0
    ) -> Protocol:
        """A protocol with the budget's number of pictures and probes.

        Args:
            measures: as `Protocol` names them.
            sizes: of square pictures; the model's own by default.
            truncation: of samples.
        """
        return Protocol(
            measures=measures,
            n=self.budget.pictures,
            probes=self.budget.probes,
            sizes=tuple((size, size) for size in sizes) or None,
            truncation=truncation,
        )

    def extractor(self) -> ExtractorSpec:
        """The budget's features."""
        return extractor_spec(self.budget.extractor, weights=self._weights)

    @property
    def features(self) -> Path:
        """Folder where features are kept."""
        return self.folder / "features"

    def command(self, *arguments: str) -> None:
        """Run a `creps` command and note it.

        Raises:
            CrepsError: if it fails; its own message was shown.
            KeyboardInterrupt: if it was interrupted.
        """
        code = self._run(arguments)
        if code != 0:
            shown = self._shown(arguments)
            raise CrepsError(f"`{shown}` ended with exit code {code}: mend that and go on")
        self._note(arguments)

    def _shown(self, arguments: Sequence[str]) -> str:
        """A command as one would type it in the folder."""
        return shlex.join(["creps", *arguments]).replace(f"{self.folder}/", "")

    def _note(self, arguments: Sequence[str]) -> None:
        if (shown := self._shown(arguments)) not in self.commands:
            self.commands.append(shown)

    def _place(self, dataset: Dataset) -> Path:
        """Where its pictures are, or will be."""
        return self._data.get(dataset.name, self.folder / "data" / f"{dataset.name}.zip")

    def _run_of(self, model: Model) -> Path:
        """Where it is, or will be, trained."""
        return self.folder / "models" / model.name

    def _images(self, training: Training) -> int | None:
        """How many pictures it shows; None: as its preset has it."""
        return None if training.images is None else self.budget.capped(training.images)

    def _is_made(self, model: Model) -> bool:
        """Whether it is trained, for as long as it is now; a run that was shorter goes on."""
        training = model.paper if self.paper else model.small
        if isinstance(training, str):
            return True
        return is_finished(self._run_of(model), images=self._images(training))

    def _reuse(self, name: str, arguments: Sequence[str]) -> None:
        """Note what is there already, and the command that made it, if one did."""
        if name not in self.reused:
            self.reused.append(name)
        if arguments:
            self._note(arguments)
