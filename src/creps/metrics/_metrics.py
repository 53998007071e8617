"""What is measured and how: a frozen protocol, and the metrics there are.

A metric is a generator function: it yields the measurements it needs, gets their columns, and
yields named numbers. To add one, put it into `METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, cast

import numpy as np

from creps.data.portraits._styles import DEFAULT_STYLE
from creps.data.portraits._truth import DRAWINGS
from creps.errors import CrepsError, DataError, UsageError, nearest
from creps.metrics._attributes import Drawings, readings_of, total_variation
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
from creps.metrics._real_images import HELD_OUT, Portraits, RealImages
from creps.metrics._spectra import spectrum_difference
from creps.rendering._latents import checked_truncation
from creps.rendering._styles import LAST_SEED
from creps.rendering._view import Samples

Wanted = dict[Measurement, int]
"""Measurements, and how many items of each."""
Found = Mapping[Measurement, Columns]

SUBSETS, SUBSET = 20, 1000
"""Random subsets that the spread of the kernel distance comes from, and their size at most."""
GRID_PERIOD = 8
"""Pixels of a training pixel where its pattern is measured, if the picture is not too large."""
GRID_LARGEST = 1024
GRID_SMALLEST_PERIOD = 4
PATCH_SCALES = 4
"""Largest pictures that patches are parts of by default, in patches."""
MOST = HELD_OUT
"""More pictures of a set than this are taken for a mistake; drawn ones would be those held out."""
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
            refuse_too_few(self.n, name, "pictures requested")
        if self.metrics is not None and not self.metrics:
            raise UsageError(f"no metrics given: expected some of {', '.join(METRICS)}")
        for count, what in ((self.n, "pictures"), (self.probes, "probes")):
            if not 2 <= count <= MOST:
                raise UsageError(f"{count} {what}: expected 2 to {MOST:,}")
        last = LAST_SEED + 1 - max(self.n, PATHS * self.probes)
        if not 0 <= self.seed <= last:
            raise UsageError(f"seed {self.seed}: expected 0 to {last}")
        checked_truncation(self.truncation)
        for size in self.sizes or ():
            if min(size) < 8:
                raise UsageError(f"size {size[0]}x{size[1]}: expected 8 pixels or more a side")
        for smallest, largest in self.patch_sizes or ():
            if not 8 <= smallest <= largest < 10**9:
                raise UsageError(
                    f"patches of pictures of {smallest} to {largest} px: expected 8 or more, the "
                    "smaller size first, below 10^9"
                )
        if self.patch_side is not None and not 8 <= self.patch_side < 10**9:
            raise UsageError(f"patches of {self.patch_side} px: expected 8 or more, below 10^9")


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
        notes: what was left out and why, and other remarks; metrics add to it.
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

    def features(self, pictures: PictureSet) -> Features:
        """Features and spectra of a set of pictures."""
        return Features(pictures=pictures, extractor=self.extractor)

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
        about: one line for reports.
        spread: standard deviation over subsets or probes; None where there is none.
    """

    name: str
    value: float
    better: Literal["lower", "higher", ""]
    about: str
    spread: float | None = None


class Metric(NamedTuple):
    """One kind of numbers about a model.

    Attributes:
        about: one line.
        minimum: pictures it needs of each set; 0 where it needs no real ones.
        run: takes the task, yields the measurements it needs and for how many items, is sent their
            columns, and yields its values. Measurements that are equal are shared by metrics. Where
            the model or the data do not suit, it raises a CrepsError before its first yield: a
            note, or an error if the metric was requested by name.
    """

    about: str
    minimum: int
    run: Callable[[Task], Steps]


Steps = Generator[Wanted | Value, Found, None]


def refuse_too_few(count: int, name: str, what: str) -> None:
    """Raise a UsageError if there are fewer pictures than a metric needs."""
    if count < METRICS[name].minimum:
        raise UsageError(
            f"{count} {what} are too few for {name}: give at least {METRICS[name].minimum}, "
            "2,000 or more for numbers worth comparing"
        )


Distances = Callable[[FeatureRows, FeatureRows, int], Iterator[Value]]
"""Of samples (N, D) and real pictures (M, D), with a seed: names without extractor and size."""


def _frechet(x: FeatureRows, y: FeatureRows, seed: int) -> Iterator[Value]:
    yield Value("fd", frechet_distance(x, y), "lower", "Frechet distance of features")


def _kernel(x: FeatureRows, y: FeatureRows, seed: int) -> Iterator[Value]:
    size = min(SUBSET, len(x) // 2, len(y) // 2)
    spread: float | None = None
    if size >= 2:
        rng = np.random.default_rng(seed)
        _, spread = kernel_distance_subsets(x, y, generator=rng, subsets=SUBSETS, size=size)
    about = "kernel distance of features, unbiased"
    yield Value("kid", kernel_distance(x, y), "lower", about, spread)


def _precision_recall(x: FeatureRows, y: FeatureRows, seed: int) -> Iterator[Value]:
    meanings = (
        "samples that lie among real pictures, k = 3",
        "real pictures that lie among samples, k = 3",
        "precision without the pull of outliers, about 1 for real ones",
        "real pictures with a sample near",
    )
    found = precision_recall(x, y)._asdict()
    for (name, number), about in zip(found.items(), meanings, strict=True):
        yield Value(name, number, "higher", about)


def _novelty(x: FeatureRows, y: FeatureRows, seed: int) -> Iterator[Value]:
    near = novelty(x, y)
    about = (
        "distance to the nearest real picture, over theirs among themselves: 1 or more for new "
        "ones, 0 for copies"
    )
    yield Value("novelty", near.ratio, "", about)
    yield Value(
        "copies", near.copies, "lower", "share of samples at less than half of that distance"
    )


def _distances(
    distances: Distances, task: Task, x: Columns, y: Columns, size: str
) -> Iterator[Value]:
    for value in distances(x["features"], y["features"], task.protocol.seed):
        yield value._replace(name=f"{value.name}_{task.extractor.name}@{size}")


def _whole(task: Task) -> tuple[Wanted, dict[str, tuple[Features, Features]]]:
    """Features of samples and real pictures: how many, and by the name of each size."""
    n, count = task.protocol.n, task.real_count
    if count < n:
        task.note(f"{count} real pictures, all there are, against {n} samples")
    sets: dict[str, tuple[Features, Features]] = {}
    for size in task.sizes:
        real = RealPictures(real=task.real, size=size)
        sets[size_name(size)] = task.features(task.samples(size)), task.features(real)
        if few := task.real.smaller_than(size):
            task.note(f"{few} images are smaller than {size_name(size)} px and were enlarged")
    wanted: Wanted = {}
    for ours, theirs in sets.values():
        wanted |= {ours: n, theirs: count}
    return wanted, sets


RIVALS = {"floor": "other real pictures", "enlarged": "small samples, enlarged"}


def _against_real(distances: Distances, *, rivals: bool = True) -> Callable[[Task], Steps]:
    """The metric of a distance: of the model, and of rivals if references are requested."""

    def run(task: Task) -> Steps:
        wanted, sets = _whole(task)
        others = _rivals(task) if rivals and task.protocol.references else {}
        for (kind, _), features in others.items():
            wanted[features] = task.real_count if kind == "floor" else task.protocol.n
        found = yield wanted
        for size, (ours, theirs) in sets.items():
            yield from _distances(distances, task, found[ours], found[theirs], size)
        for (kind, size), features in others.items():
            real = found[sets[size][1]]
            for value in _distances(distances, task, found[features], real, size):
                about = f"{RIVALS[kind]}: {value.about}"
                yield value._replace(name=f"{kind}_{value.name}", about=about)

    return run


def _rivals(task: Task) -> dict[tuple[str, str], Features]:
    """Features of each rival at each size."""
    real = task.real
    first = HELD_OUT if real.count is None else task.real_count
    found: dict[tuple[str, str], Features] = {}
    for size in task.sizes:
        others = RealPictures(real=real, size=size, first=first)
        found["floor", size_name(size)] = task.features(others)
        if min(size) > min(task.model.size):
            enlarged = ResampledPictures(drawn=task.samples(task.model.size), size=size)
            found["enlarged", size_name(size)] = task.features(enlarged)
    return found


def _spectrum(task: Task) -> Steps:
    wanted, sets = _whole(task)
    found = yield wanted
    for size, pair in sets.items():
        if f"{SUM}radial" not in found[pair[0]]:
            continue
        ours, theirs = (found[each][f"{SUM}radial"] / len(found[each]["features"]) for each in pair)
        apart = spectrum_difference(ours, theirs)
        about = "radial power spectrum, rms dB from real pictures"
        yield Value(f"spectrum_db@{size}", apart.rms, "lower", about)
        about = "its upper half: below 0 blur, above 0 noise or aliasing"
        yield Value(f"spectrum_tail_db@{size}", apart.tail, "", about)


def _attributes(task: Task) -> Steps:
    """What is readable of each part, and how often each drawing of it is there."""
    real = task.real
    if not isinstance(real, Portraits) or real.style != DEFAULT_STYLE:
        raise UsageError(
            "attributes are read in portraits of the default style: expected --data portraits"
        )
    task = replace(task, extractor=ExtractorSpec(name="portraits", device=task.model.device))
    wanted, sets = _whole(task)
    truth = Drawings(seed=real.seed)
    found = yield wanted | {truth: task.real_count}
    for size, pair in sets.items():
        ours, theirs = (readings_of(found[each]["features"]) for each in pair)
        for part, readable in ours.readable.items():
            share = theirs.readable[part].mean()
            about = f"samples whose {part} can be read; real portraits: {share:.2f}"
            yield Value(f"readable_{part}@{size}", readable.mean(), "higher", about)
        whole = [np.all(list(each.readable.values()), axis=0).mean() for each in (ours, theirs)]
        about = f"samples with every part readable; real portraits: {whole[1]:.2f}"
        yield Value(f"readable_all@{size}", whole[0], "higher", about)
        for part, drawn in ours.drawings.items():
            kinds, clear = len(DRAWINGS[part]), drawn[ours.readable[part]]
            apart = total_variation(clear, found[truth][part], kinds)
            about = f"share of readable {part} drawn too often, by kinds; 0: as often as real ones"
            yield Value(f"tv_{part}@{size}", apart, "lower", about)


def patch_plans(task: Task) -> list[PatchPlan]:
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


def _patches(task: Task) -> Steps:
    if task.extractor.name == "portraits":
        raise UsageError("portraits reads whole pictures: patches need another extractor")
    protocol, seen = task.protocol, task.extractor.load().side
    sets: dict[str, tuple[Features, Features]] = {}
    for plan in patch_plans(task):
        first = plan.place(0)  # refuses images that are all too small
        draw(task.model, protocol.seed, size=first.shape, part=first.tile)
        if plan.side != seen:
            name = task.extractor.name
            task.note(f"patches: of {plan.side} px, brought to the {seen} px that {name} sees")
        ours = ModelPatches(drawn=task.samples(task.model.size), plan=plan)
        sets[plan.name] = task.features(ours), task.features(RealPatches(plan=plan))
    found = yield dict.fromkeys((each for pair in sets.values() for each in pair), protocol.n)
    for size, (model, real) in sets.items():
        for distances in (_frechet, _kernel, _precision_recall):
            for value in _distances(distances, task, found[model], found[real], size):
                yield value._replace(name=f"patch_{value.name}")


def _consistency(task: Task) -> Steps:
    """Each size against twice that; small ones plain and antialiased."""
    detail, seed = task.model.detail, task.protocol.seed
    draw(task.model, seed, size=(2 * detail, 2 * detail))  # refuses families of one size
    kinds: list[tuple[int, Samples]] = [(detail // 2, 1), (detail // 2, "auto")]
    pairs = [
        Consistency(
            model=task.model,
            size=size,
            extractor=task.extractor,
            truncation=task.protocol.truncation,
            supersample=samples,
            first=seed,
        )
        for size, samples in [*kinds, (detail, 1), (2 * detail, 1)]
    ]
    found = yield dict.fromkeys(pairs, task.protocol.probes)
    for pair in pairs:
        columns, size, extra = found[pair], pair.size, pair.supersample == "auto"
        mean = {name: float(column.mean()) for name, column in columns.items()}
        end = f"_auto@{size}" if extra else f"@{size}"
        how = f"{size} px against {2 * size} px reduced" + (", antialiased" if extra else "")
        spread = float(columns["psnr"].std())
        yield Value(f"consistency_db{end}", mean["psnr"], "higher", f"PSNR: {how}", spread)
        yield Value(f"consistency_ssim{end}", mean["ssim"], "higher", f"SSIM: {how}")
        if np.isfinite(columns["perceptual"]).all():
            name = f"consistency_pd_{task.extractor.name}{end}"
            yield Value(name, mean["perceptual"], "lower", f"perceptual distance: {how}")
        if extra:
            about = "processor time of antialiasing, over plain pictures"
            median = float(np.median(columns["cost"]))
            yield Value(f"consistency_cost{end}", median, "lower", about)


def _grid(task: Task) -> Steps:
    height, width = task.model.size
    period = max(min(GRID_PERIOD, GRID_LARGEST // min(height, width)), GRID_SMALLEST_PERIOD)
    size = (period * height, period * width)
    draw(task.model, task.protocol.seed, size=size)
    sets: dict[str, PictureSet] = {"model": task.samples(size)}
    if task.data is not None and task.data.count is None:  # images are rarely large enough
        sets["real"] = RealPictures(real=task.data, size=size)
    kinds = {kind: GridArtifact(pictures=each, period=period) for kind, each in sets.items()}
    found = yield dict.fromkeys(kinds.values(), task.protocol.probes)
    for kind, measured in kinds.items():
        ratios = found[measured]["ratio"]
        name = "grid" if kind == "model" else "grid_real"
        about = (
            f"power at the training grid's frequency, {kind} pictures at {min(size)} px; 1: none"
        )
        yield Value(f"{name}@{min(size)}", float(ratios.mean()), "", about, float(ratios.std()))


def _equivariance(task: Task) -> Steps:
    movements: dict[Movement, str] = {"translation": "eq_t", "rotation": "eq_r"}
    names: dict[Equivariance, tuple[str, str]] = {}
    for movement, name in movements.items():
        moves = Equivariance(
            model=task.model,
            movement=movement,
            size=task.model.size,
            truncation=task.protocol.truncation,
            seed=task.protocol.seed,
        )
        try:
            moves.item(0)
        except CrepsError as error:
            if movement == "translation":  # the family paints one fixed grid
                raise
            task.note(f"{name}: left out, {error}")
        else:
            names[moves] = name, f"the plane's {movement} against the picture's, PSNR"
    found = yield dict.fromkeys(names, task.protocol.probes)
    for moves, (name, about) in names.items():
        yield Value(f"{name}_db", equivariance_decibels(found[moves]["error"]), "higher", about)


def _path_length(task: Task) -> Steps:
    task.extractor.layered()  # refuses those without
    paths = {
        space: PathSteps(
            model=task.model,
            space=space,
            size=task.model.size,
            extractor=task.extractor,
            seed=task.protocol.seed,
        )
        for space in "zw"
    }
    found = yield dict.fromkeys(paths.values(), PATHS * task.protocol.probes)
    for space, path in paths.items():
        steps, about = found[path]["step"], f"perceptual path length in {space}"
        name = f"path_{space}_{task.extractor.name}"
        yield Value(name, path_length(steps), "lower", about, float(steps.std()))


METRICS = {
    "fd": Metric("Frechet distance of features to real pictures", 2, _against_real(_frechet)),
    "kid": Metric("kernel distance of features to real pictures", 2, _against_real(_kernel)),
    "pr": Metric(
        "precision, recall, density, coverage by 3 nearest neighbors",
        4,
        _against_real(_precision_recall),
    ),
    "attributes": Metric(
        "parts of drawn portraits: how many are readable, and of which kinds", 2, _attributes
    ),
    "neighbors": Metric(
        "distance to the nearest real picture, beside that among real ones",
        2,
        _against_real(_novelty, rivals=False),
    ),
    "spectrum": Metric("power spectrum beside that of real pictures", 1, _spectrum),
    "patches": Metric("fd, kid, pr of patches at random scales and places", 4, _patches),
    "consistency": Metric("a picture beside itself at twice the size, reduced", 0, _consistency),
    "grid": Metric("a pattern that repeats with the training grid", 0, _grid),
    "equivariance": Metric("EQ-T and EQ-R: does it move with the plane?", 0, _equivariance),
    "path": Metric("perceptual path length in z and w", 0, _path_length),
}
"""All there are by name, in the order they are shown in."""


def plan(task: Task) -> tuple[dict[str, Steps], Wanted]:
    """The metrics that suit a task, begun, and what is to be measured for them.

    Raises:
        UsageError: for too few real pictures, or missing data, if the metric was requested by name.
        DataError: if no image is large enough for the patches.
    """
    asked, real = task.protocol.metrics, task.data
    twice = 0 if real is None else 2 * task.real_count
    if task.protocol.references and real is not None and real.at_most(twice) < twice:
        raise DataError(
            f"a floor needs twice as many real pictures: {real.count} given, expected {twice}; "
            "reduce n"
        )
    begun: dict[str, Steps] = {}
    wanted: Wanted = {}
    for name, metric in METRICS.items():
        if asked is not None and name not in asked:
            continue
        try:
            if metric.minimum and real is None:
                raise UsageError(f"{name} compares with real pictures: say which with --data")
            if metric.minimum:
                refuse_too_few(task.real_count, name, "real pictures")
            steps = metric.run(task)
            asks = cast("Wanted", next(steps))
            if any(wanted.get(each, count) != count for each, count in asks.items()):
                raise UsageError(f"{name} measures as another metric, but for another count")
            wanted |= asks
        except CrepsError as error:
            if asked is not None:
                raise
            task.note(f"{name}: left out, {error}")
        else:
            begun[name] = steps
    if not begun:
        raise UsageError("nothing to measure: " + "; ".join(task.notes))
    n = task.protocol.n
    if ("fd" in begun or "patches" in begun) and n <= task.extractor.load().width:
        task.note(f"fd of {n} pictures is far above that of many: compare with equal n only")
    return begun, wanted


def values_of(steps: Steps, found: Found) -> Iterator[Value]:
    """The numbers of a metric that was begun, from its measurements."""
    with suppress(StopIteration):  # it has no more
        value = cast("Value", steps.send(found))
        while True:
            spread = None if value.spread is None else float(value.spread)
            yield value._replace(value=float(value.value), spread=spread)  # as JSON holds them
            value = cast("Value", next(steps))


def size_name(size: Sequence[int]) -> str:
    """ "64" for a square, "96x128" otherwise."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
