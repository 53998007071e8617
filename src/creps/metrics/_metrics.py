"""What is measured and how: a frozen protocol, and the metrics there are.

A metric says which measurements it needs and turns their columns into named numbers. To add one,
put an object of a subclass of `Metric` into `METRICS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from creps.errors import CrepsError, DataError, UsageError, nearest
from creps.metrics._consistency import Consistency
from creps.metrics._distances import (
    FeatureRows,
    frechet_distance,
    kernel_distance,
    kernel_distance_subsets,
    novelty,
    precision_recall,
)
from creps.metrics._equivariance import Equivariance, Movement, equivariance_decibels
from creps.metrics._extractors import ExtractorSpec
from creps.metrics._measurements import SUM, Columns, Measurement
from creps.metrics._models import ModelRef, Size, draw
from creps.metrics._path_length import PathSteps, path_length
from creps.metrics._pictures import (
    Features,
    GridArtifact,
    ModelPatches,
    ModelPictures,
    PatchPlan,
    PictureSet,
    RealPatches,
    RealPictures,
    ResampledPictures,
)
from creps.metrics._real_images import HELD_OUT, RealImages
from creps.metrics._spectra import spectrum_difference
from creps.rendering._view import Samples

Found = Mapping[Measurement, Columns]

SUBSETS, SUBSET = 20, 1000
"""Random subsets that the spread of the kernel distance comes from, and their size at most."""
GRID_PERIOD = 8
"""Pixels of a training pixel where its pattern is looked for, if the picture is not too large."""
GRID_LARGEST = 1024
GRID_SMALLEST_PERIOD = 4
PATCH_SCALES = 4
"""Largest pictures that patches are parts of by default, in patches."""
PATHS = 4
"""Paths for each probe: they vary more than anything else."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a model is measured; equal protocols give comparable numbers.

    Attributes:
        metrics: names of `METRICS`; None: all that suit the model and the data.
        n: pictures of each set; of real ones all there are, where they are fewer.
        sizes: (height, width) of whole pictures; None: the model's own.
        patch_sizes: shorter side of the pictures that patches are parts of, (smallest, largest),
            one set of patches each; None: one from the patch's own size to four times it, or to
            the image's own size.
        patch_side: pixels a side of patches; None: what the extractor sees. Smaller ones are
            enlarged to that by the extractor: for sets of pictures that are smaller than it.
        probes: seeds of consistency, grid and equivariance; four times as many of paths.
        seed: the first seed of samples, and of every draw.
        truncation, supersample: as for `render`; consistency is measured without and with "auto".
        references: also measure two rivals: other real pictures, which are what a perfect model
            draws; and samples of the model's own size enlarged with a Lanczos filter, what there
            is without an any-scale model, for larger sizes.
    """

    metrics: tuple[str, ...] | None = None
    n: int = 2000
    sizes: tuple[Size, ...] | None = None
    patch_sizes: tuple[tuple[int, int], ...] | None = None
    patch_side: int | None = None
    probes: int = 50
    seed: int = 0
    truncation: float = 1.0
    supersample: Samples = 1
    references: bool = False

    def __post_init__(self) -> None:
        for name in self.metrics or ():
            if name not in METRICS:
                raise UsageError(f"unknown metric {name!r}: {nearest(name, METRICS)}")
            METRICS[name].refuse_too_few(self.n, "pictures asked for")
        if self.metrics is not None and not self.metrics:
            raise UsageError(f"no metrics given: expected some of {', '.join(METRICS)}")
        if self.n < 2 or self.probes < 2:
            raise UsageError(f"{self.n} pictures and {self.probes} probes: expected 2 or more")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: expected 0 or more")
        for size in self.sizes or ():
            if min(size) < 8:
                raise UsageError(f"size {size[0]}x{size[1]}: expected 8 pixels or more a side")


def parse_metrics(text: str) -> tuple[str, ...] | None:
    """Names of `fd,kid,pr`, in order, each once; None for `all`.

    Example:
        >>> parse_metrics("fd, kid")
        ('fd', 'kid')
    """
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    return None if names == ("all",) else names


@dataclass(frozen=True, kw_only=True)
class Task:
    """What metrics are asked to measure.

    Attributes:
        model: the model.
        data: real pictures, or None.
        protocol: how.
        extractor: of features.
        notes: what was left out and why, and what else people should know; metrics add to it.
    """

    model: ModelRef
    data: RealImages | None
    protocol: Protocol
    extractor: ExtractorSpec
    notes: list[str] = field(default_factory=list)

    @property
    def real(self) -> RealImages:
        """The real pictures; metrics with a minimum are asked only where there are some."""
        assert self.data is not None
        return self.data

    @property
    def real_count(self) -> int:
        """How many real pictures are measured: as many as samples, or all there are."""
        return self.real.at_most(self.protocol.n)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """(height, width) of whole pictures."""
        return self.protocol.sizes or (self.model.size,)

    def samples(self, size: Size) -> ModelPictures:
        """Whole samples."""
        protocol = self.protocol
        return ModelPictures(
            model=self.model,
            size=size,
            first=protocol.seed,
            truncation=protocol.truncation,
            supersample=protocol.supersample,
        )

    def real_features(self, size: Size) -> Features:
        """Of whole real pictures."""
        return Features(pictures=RealPictures(real=self.real, size=size), extractor=self.extractor)

    def model_features(self, size: Size) -> Features:
        """Of whole samples."""
        return Features(pictures=self.samples(size), extractor=self.extractor)

    def note(self, line: str) -> None:
        """Add a note, once."""
        if line not in self.notes:
            self.notes.append(line)


class Value(NamedTuple):
    """A number with its name.

    Attributes:
        name: what, extractor and size: "fd_effnet@64".
        value: the number; NaN where there is none.
        better: which way is better; empty where real pictures are the measure.
        about: one line for people.
        spread: standard deviation over subsets or probes; None where there is none.
    """

    name: str
    value: float
    better: Literal["lower", "higher", ""]
    about: str
    spread: float | None = None


class Metric(ABC):
    """One kind of numbers about a model.

    Attributes:
        about: one line.
        minimum: pictures it needs of each set; 0 where it needs no real ones.
    """

    about: ClassVar[str]
    minimum: ClassVar[int] = 0

    @abstractmethod
    def measurements(self, task: Task) -> dict[Measurement, int]:
        """What is to be worked out, and for how many items; equal ones are shared by metrics.

        Raises:
            CrepsError: if the model or the data do not suit. It is an error where the metric was
                asked for by name, and a note where all were.
        """

    @abstractmethod
    def values(self, task: Task, found: Found) -> Iterator[Value]:
        """The numbers, from the columns of the measurements."""

    def refuse_too_few(self, count: int, what: str) -> None:
        """Raise a UsageError if there are fewer pictures than it needs."""
        if count < self.minimum:
            name = next(name for name, metric in METRICS.items() if metric is self)
            raise UsageError(
                f"{count} {what} are too few for {name}: give at least {self.minimum}, "
                "2,000 or more for numbers worth comparing"
            )


class _WholePictures(Metric):
    """Whole pictures of each size against real ones."""

    minimum = 2

    def measurements(self, task: Task) -> dict[Measurement, int]:
        n, count = task.protocol.n, task.real_count
        if count < n:
            task.note(f"{count} real pictures, all there are, against {n} samples")
        wanted: dict[Measurement, int] = {}
        for size in task.sizes:
            wanted |= {task.real_features(size): count, task.model_features(size): n}
            if few := task.real.smaller_than(size):
                task.note(f"{few} images are smaller than {size_name(size)} px and were enlarged")
        return wanted

    def values(self, task: Task, found: Found) -> Iterator[Value]:
        for size in task.sizes:
            model, real = found[task.model_features(size)], found[task.real_features(size)]
            yield from self.compared(task, model, real, size_name(size))

    @abstractmethod
    def compared(self, task: Task, model: Columns, real: Columns, size: str) -> Iterator[Value]:
        """The numbers of one size."""


class _Distance(_WholePictures):
    """How far the features of two sets are apart; rivals are measured like the model."""

    def measurements(self, task: Task) -> dict[Measurement, int]:
        wanted = super().measurements(task)
        for size in task.sizes if task.protocol.references else ():
            rivals = self._rivals(task, size)
            wanted |= {features: task.real_count for _, _, features in rivals[:1]}
            wanted |= {features: task.protocol.n for _, _, features in rivals[1:]}
        return wanted

    def values(self, task: Task, found: Found) -> Iterator[Value]:
        yield from super().values(task, found)
        for size in task.sizes if task.protocol.references else ():
            real = found[task.real_features(size)]
            for kind, what, features in self._rivals(task, size):
                for value in self.compared(task, found[features], real, size_name(size)):
                    yield value._replace(
                        name=f"{kind}_{value.name}", about=f"{what}: {value.about}"
                    )

    def compared(self, task: Task, model: Columns, real: Columns, size: str) -> Iterator[Value]:
        x, y = model["features"], real["features"]
        for value in self.distances(x, y, task.protocol.seed):
            yield value._replace(name=f"{value.name}_{task.extractor.name}@{size}")

    @abstractmethod
    def distances(self, x: FeatureRows, y: FeatureRows, seed: int) -> Iterator[Value]:
        """Of samples (N, D) and real pictures (M, D); names without extractor and size."""

    def _rivals(self, task: Task, size: Size) -> list[tuple[str, str, Features]]:
        """Name, meaning and features of the references: other real pictures come first."""
        real, count = task.real, task.real_count
        if real.count is not None and real.count < 2 * count:
            raise DataError(
                f"a floor needs twice as many real pictures: {real.count} are there, expected "
                f"{2 * count}; ask for a smaller n"
            )
        first = HELD_OUT if real.count is None else count
        others = RealPictures(real=real, size=size, first=first)
        found: list[tuple[str, str, PictureSet]] = [("floor", "other real pictures", others)]
        if min(size) > min(task.model.size):
            enlarged = ResampledPictures(drawn=task.samples(task.model.size), size=size)
            found.append(("enlarged", "small samples, enlarged", enlarged))
        return [
            (kind, what, Features(pictures=pictures, extractor=task.extractor))
            for kind, what, pictures in found
        ]


class _Frechet(_Distance):
    about = "Frechet distance of features to real pictures"

    def measurements(self, task: Task) -> dict[Measurement, int]:
        n = task.protocol.n
        if n <= task.extractor.load().width:
            task.note(f"fd of {n} pictures is far above that of many: compare with equal n only")
        return super().measurements(task)

    def distances(self, x: FeatureRows, y: FeatureRows, seed: int) -> Iterator[Value]:
        yield Value("fd", frechet_distance(x, y), "lower", "Frechet distance of features")


class _Kernel(_Distance):
    about = "kernel distance of features to real pictures"

    def distances(self, x: FeatureRows, y: FeatureRows, seed: int) -> Iterator[Value]:
        size, spread = min(SUBSET, len(x) // 2, len(y) // 2), None
        if size >= 2:
            rng = np.random.default_rng(seed)
            drawn = kernel_distance_subsets(x, y, generator=rng, subsets=SUBSETS, size=size)
            spread = drawn.deviation
        about = "kernel distance of features, unbiased"
        yield Value("kid", kernel_distance(x, y), "lower", about, spread)


class _PrecisionRecall(_Distance):
    about = "precision, recall, density, coverage by 3 nearest neighbours"
    minimum = 4

    _MEANING: ClassVar = {
        "precision": "samples that lie among real pictures, k = 3",
        "recall": "real pictures that lie among samples, k = 3",
        "density": "precision without the pull of outliers, about 1 for real ones",
        "coverage": "real pictures with a sample near",
    }

    def distances(self, x: FeatureRows, y: FeatureRows, seed: int) -> Iterator[Value]:
        for name, value in precision_recall(x, y)._asdict().items():
            yield Value(name, value, "higher", self._MEANING[name])


class _Neighbours(_WholePictures):
    about = "distance to the nearest real picture, beside that among real ones"

    def compared(self, task: Task, model: Columns, real: Columns, size: str) -> Iterator[Value]:
        near, end = novelty(model["features"], real["features"]), f"_{task.extractor.name}@{size}"
        yield Value(
            f"novelty{end}",
            near.ratio,
            "",
            "distance to the nearest real picture, over theirs among themselves: 1 or more for "
            "new ones, 0 for copies",
        )
        about = "share of samples at less than half of that distance"
        yield Value(f"copies{end}", near.copies, "lower", about)


class _Spectrum(_WholePictures):
    about = "power spectrum beside that of real pictures"
    minimum = 1

    def compared(self, task: Task, model: Columns, real: Columns, size: str) -> Iterator[Value]:
        if f"{SUM}radial" not in model:
            return
        ours, theirs = (part[f"{SUM}radial"] / len(part["features"]) for part in (model, real))
        apart = spectrum_difference(ours, theirs)
        about = "radial power spectrum, rms dB from real pictures"
        yield Value(f"spectrum_db@{size}", apart.rms, "lower", about)
        about = "its upper half: below 0 blur, above 0 noise or aliasing"
        yield Value(f"spectrum_tail_db@{size}", apart.tail, "", about)


class Patches(Metric):
    """Patches of samples against patches of real pictures at the same places and scales."""

    about = "fd, kid, pr of patches at random scales and places"
    minimum = 4

    def measurements(self, task: Task) -> dict[Measurement, int]:
        protocol, extractor = task.protocol, task.extractor.load()
        wanted: dict[Measurement, int] = {}
        for plan in self.plans(task):
            first = plan.place(0)  # refuses images that are all too small
            draw(task.model, protocol.seed, size=first.shape, part=first.tile)
            wanted |= dict.fromkeys(self._sets(task, plan), protocol.n)
            if plan.side != extractor.side:
                name, side = task.extractor.name, extractor.side
                task.note(f"patches: of {plan.side} px, brought to the {side} px that {name} sees")
        return wanted

    def values(self, task: Task, found: Found) -> Iterator[Value]:
        for plan in self.plans(task):
            model, real = (found[features] for features in self._sets(task, plan))
            for metric in METRICS.values():
                if isinstance(metric, _Distance):
                    for value in metric.compared(task, model, real, plan.name):
                        yield value._replace(name=f"patch_{value.name}")

    @staticmethod
    def plans(task: Task) -> list[PatchPlan]:
        """Where patches lie, a plan for each set of them."""
        asked, seen = task.protocol.patch_side, task.extractor.load().side
        side = seen if asked is None else asked
        return [
            PatchPlan(
                real=task.real,
                side=side,
                smallest=smallest,
                largest=largest,
                frame=task.model.size,
                seed=task.protocol.seed,
            )
            for smallest, largest in task.protocol.patch_sizes or ((side, PATCH_SCALES * side),)
        ]

    @staticmethod
    def _sets(task: Task, plan: PatchPlan) -> tuple[Features, Features]:
        """Features of the model's patches and of the real ones."""
        ours = ModelPatches(
            model=task.model,
            plan=plan,
            first=task.protocol.seed,
            truncation=task.protocol.truncation,
            supersample=task.protocol.supersample,
        )
        return (
            Features(pictures=ours, extractor=task.extractor),
            Features(pictures=RealPatches(plan=plan), extractor=task.extractor),
        )


class _Consistency(Metric):
    about = "a picture beside itself at twice the size, reduced"

    def measurements(self, task: Task) -> dict[Measurement, int]:
        side = 2 * task.model.detail
        draw(task.model, task.protocol.seed, size=(side, side))  # refuses families of one size
        return dict.fromkeys(self._pairs(task), task.protocol.probes)

    def values(self, task: Task, found: Found) -> Iterator[Value]:
        for pair in self._pairs(task):
            columns = found[pair]
            extra = "" if pair.supersample == 1 else "_auto"
            end = f"{extra}@{pair.size}"
            how = f"{pair.size} px against {2 * pair.size} px reduced"
            how += ", antialiased" if extra else ""
            mean, spread = float(columns["psnr"].mean()), float(columns["psnr"].std())
            yield Value(f"consistency_db{end}", mean, "higher", f"PSNR: {how}", spread)
            mean = float(columns["ssim"].mean())
            yield Value(f"consistency_ssim{end}", mean, "higher", f"SSIM: {how}")
            if np.isfinite(columns["perceptual"]).all():
                name = f"consistency_pd_{task.extractor.name}{end}"
                mean = float(columns["perceptual"].mean())
                yield Value(name, mean, "lower", f"perceptual distance: {how}")
            if extra:
                median = float(np.median(columns["cost"]))
                about = "processor time of antialiasing, over plain pictures"
                yield Value(f"consistency_cost{end}", median, "lower", about)

    @staticmethod
    def _pairs(task: Task) -> list[Consistency]:
        """Each size against twice that; small ones plain and antialiased."""
        detail = task.model.detail
        pairs: list[tuple[int, Samples]] = [
            (detail // 2, 1),
            (detail // 2, "auto"),
            (detail, 1),
            (2 * detail, 1),
        ]
        return [
            Consistency(
                model=task.model,
                size=size,
                extractor=task.extractor,
                truncation=task.protocol.truncation,
                supersample=samples,
                first=task.protocol.seed,
            )
            for size, samples in pairs
        ]


class _Grid(Metric):
    about = "a pattern that repeats with the training grid"

    def measurements(self, task: Task) -> dict[Measurement, int]:
        sets = self._sets(task)
        draw(task.model, task.protocol.seed, size=sets["grid"].pictures.size)
        return dict.fromkeys(sets.values(), task.protocol.probes)

    def values(self, task: Task, found: Found) -> Iterator[Value]:
        for name, measurement in self._sets(task).items():
            ratios, size = found[measurement]["ratio"], min(measurement.pictures.size)
            kind = "model" if name == "grid" else "real"
            about = f"power at the training grid's frequency, {kind} pictures at {size} px; 1: none"
            yield Value(f"{name}@{size}", float(ratios.mean()), "", about, float(ratios.std()))

    @staticmethod
    def _sets(task: Task) -> dict[str, GridArtifact]:
        height, width = task.model.size
        period = max(min(GRID_PERIOD, GRID_LARGEST // min(height, width)), GRID_SMALLEST_PERIOD)
        size = (period * height, period * width)
        found = {"grid": GridArtifact(pictures=task.samples(size), period=period)}
        if task.data is not None and task.data.count is None:  # images are rarely large enough
            pictures = RealPictures(real=task.data, size=size)
            found["grid_real"] = GridArtifact(pictures=pictures, period=period)
        return found


class _Equivariance(Metric):
    about = "EQ-T and EQ-R: does it move and turn with the plane?"

    def measurements(self, task: Task) -> dict[Measurement, int]:
        moved, turned = self._moves(task).values()
        moved.run(0, 1)  # refuses families that paint one fixed grid
        wanted: dict[Measurement, int] = {moved: task.protocol.probes}
        try:
            turned.run(0, 1)
        except CrepsError as error:
            task.note(f"eq_r: left out, {error}")
            return wanted
        return wanted | {turned: task.protocol.probes}

    def values(self, task: Task, found: Found) -> Iterator[Value]:
        for name, moves in self._moves(task).items():
            if moves in found:
                decibels = equivariance_decibels(found[moves]["error"])
                about = f"the plane's {moves.movement} against the picture's, PSNR"
                yield Value(name, decibels, "higher", about)

    @staticmethod
    def _moves(task: Task) -> dict[str, Equivariance]:
        movements: dict[str, Movement] = {"eq_t_db": "translation", "eq_r_db": "rotation"}
        return {
            name: Equivariance(
                model=task.model,
                movement=movement,
                size=task.model.size,
                truncation=task.protocol.truncation,
                seed=task.protocol.seed,
            )
            for name, movement in movements.items()
        }


class _PathLength(Metric):
    about = "perceptual path length in z and w"

    def measurements(self, task: Task) -> dict[Measurement, int]:
        task.extractor.layered()
        return {self._steps(task, space): PATHS * task.protocol.probes for space in "zw"}

    def values(self, task: Task, found: Found) -> Iterator[Value]:
        for space in "zw":
            steps = found[self._steps(task, space)]["step"]
            name, about = (
                f"path_{space}_{task.extractor.name}",
                f"perceptual path length in {space}",
            )
            yield Value(name, path_length(steps), "lower", about, float(steps.std()))

    @staticmethod
    def _steps(task: Task, space: str) -> PathSteps:
        return PathSteps(
            model=task.model,
            space=space,
            size=task.model.size,
            extractor=task.extractor,
            seed=task.protocol.seed,
        )


METRICS: dict[str, Metric] = {
    "fd": _Frechet(),
    "kid": _Kernel(),
    "pr": _PrecisionRecall(),
    "neighbours": _Neighbours(),
    "spectrum": _Spectrum(),
    "patches": Patches(),
    "consistency": _Consistency(),
    "grid": _Grid(),
    "equivariance": _Equivariance(),
    "path": _PathLength(),
}
"""All there are by name, in the order they are shown in."""


def plan(task: Task) -> tuple[dict[str, Metric], dict[Measurement, int]]:
    """The metrics that suit a task, and what is to be measured for them.

    Raises:
        UsageError: for too few real pictures, or data missing, for what is asked for by name.
        DataError: if no image is large enough for the patches asked for.
    """
    asked = task.protocol.metrics
    metrics: dict[str, Metric] = {}
    wanted: dict[Measurement, int] = {}
    for name, metric in METRICS.items():
        if asked is not None and name not in asked:
            continue
        try:
            if metric.minimum and task.data is None:
                raise UsageError(f"{name} compares with real pictures: say which with --data")
            if metric.minimum:
                metric.refuse_too_few(task.real_count, "real pictures")
            wanted |= metric.measurements(task)
        except CrepsError as error:
            if asked is not None:
                raise
            task.note(f"{name}: left out, {error}")
        else:
            metrics[name] = metric
    if not metrics:
        raise UsageError("nothing to measure: " + "; ".join(task.notes))
    return metrics, wanted


def size_name(size: Sequence[int]) -> str:
    """ "64" for a square, "96x128" otherwise."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
