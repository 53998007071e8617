"""From a protocol to the works it takes: which sets, which sizes, and what does not suit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from creps.errors import CrepsError, DataError, UsageError
from creps.metrics._cache import Work
from creps.metrics._extractor_names import ExtractorSpec
from creps.metrics._jobs import (
    Consistency,
    Equivariance,
    Features,
    Lattice,
    PathSteps,
    layered,
)
from creps.metrics._models import ModelRef, Size, draw
from creps.metrics._pictures import (
    ModelPatches,
    ModelPictures,
    PatchPlan,
    PictureSet,
    RealPatches,
    RealPictures,
)
from creps.metrics._protocol import MEASURES, OF_WHOLE, Protocol, refuse_too_few
from creps.metrics._real_images import HELD_OUT, Images, Portraits
from creps.metrics._resampled import ResampledPictures

LATTICE_PERIOD = 8
"""Pixels of a training pixel where a lattice is looked for, if the picture is not too large."""
LATTICE_LARGEST = 1024
LATTICE_SMALLEST_PERIOD = 4
PATCH_SCALES = 4
"""Largest pictures that patches are parts of by default, in patches."""
PATHS = 4
"""Paths for each probe: they vary more than anything else."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is measured, against what, how, and with which extractor."""

    model: ModelRef
    real: Portraits | Images | None
    protocol: Protocol
    extractor: ExtractorSpec


@dataclass
class Plan:
    """What is to be worked out.

    Attributes:
        works, counts: for `collecting.collect`, by names such as "model 64x64".
        sizes: of whole pictures.
        patches: where patches lie, a plan for each set of them.
        measures: what is measured in the end.
        notes: what was left out and why, and what else people should know.
        lattice: rendered size and period, where it is looked for.
    """

    works: dict[str, Work] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    sizes: tuple[Size, ...] = ()
    patches: list[PatchPlan] = field(default_factory=list)
    measures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lattice: tuple[int, float] | None = None

    def add(self, name: str, work: Work, count: int) -> None:
        """One more work."""
        self.works[name], self.counts[name] = work, count


def plan(task: Task) -> Plan:
    """Decide what is worked out; what does not suit is refused if asked for by name, else noted.

    Raises:
        UsageError: for too few real pictures, or data missing, for what is asked for by name.
        DataError: if no image is large enough for the patches asked for.
    """
    model, real, protocol = task.model, task.real, task.protocol
    made = Plan(sizes=protocol.sizes or (model.size,))
    for name in MEASURES:
        if not protocol.wants(name):
            continue
        if MEASURES[name].minimum and real is None:
            if protocol.insists(name):
                raise UsageError(f"{name} compares with real pictures: say which with --data")
            made.notes.append(f"{name}: left out, no --data to compare with")
            continue
        try:
            if real is not None:
                refuse_too_few(real_count(real, protocol.n), [name], what="real pictures")
            _ADD.get(name, _add_nothing)(made, task)
        except CrepsError as error:
            if protocol.insists(name):
                raise
            made.notes.append(f"{name}: left out, {error}")
        else:
            made.measures.append(name)
    if real is not None and any(name in OF_WHOLE for name in made.measures):
        _add_whole(made, task)
    if not made.works or not made.measures:
        raise UsageError("nothing to measure: " + "; ".join(made.notes))
    return made


def _add_whole(made: Plan, task: Task) -> None:
    """Whole pictures of each size, of the model and real."""
    real, n = _real(task), task.protocol.n
    count = real_count(real, n)
    if count < n:
        made.notes.append(f"{count} real pictures, all there are, against {n} samples")
    for size in made.sizes:
        name = size_name(size)
        made.add(
            f"real {name}",
            Features(pictures=RealPictures(real=real, size=size), extractor=task.extractor),
            count,
        )
        made.add(
            f"model {name}",
            Features(pictures=_samples(task.model, size, task.protocol), extractor=task.extractor),
            task.protocol.n,
        )
        if task.protocol.references:
            if min(size) > min(task.model.size):
                small = _samples(task.model, task.model.size, task.protocol)
                enlarged = ResampledPictures(drawn=small, size=size)
                made.add(
                    f"enlarged {name}", Features(pictures=enlarged, extractor=task.extractor), n
                )
            made.add(
                f"floor {name}",
                Features(pictures=_held_out(real, size, count), extractor=task.extractor),
                count,
            )
        if isinstance(real, Images) and (few := real.smaller_than(size)):
            made.notes.append(f"{few} images are smaller than {name} px and were enlarged")


def _add_patches(made: Plan, task: Task) -> None:
    seen = task.extractor.load().side
    asked = task.protocol.patch_side
    side = seen if asked is None else asked
    for smallest, largest in task.protocol.patch_sizes or ((side, PATCH_SCALES * side),):
        where = PatchPlan(
            real=_real(task),
            side=side,
            smallest=smallest,
            largest=largest,
            frame=task.model.size,
            seed=task.protocol.seed,
        )
        first = where.place(0)  # refuses images that are all too small
        draw(task.model, task.protocol.seed, size=first.shape, part=first.tile)
        ours = ModelPatches(
            model=task.model,
            plan=where,
            first=task.protocol.seed,
            truncation=task.protocol.truncation,
            supersample=task.protocol.supersample,
        )
        made.patches.append(where)
        for kind, pictures in (("real", RealPatches(plan=where)), ("model", ours)):
            work = Features(pictures=pictures, extractor=task.extractor)
            made.add(f"{kind} patches {where.name}", work, task.protocol.n)
    if side != seen:
        name = task.extractor.name
        made.notes.append(f"patches: of {side} px, brought to the {seen} px that {name} sees")


def _add_consistency(made: Plan, task: Task) -> None:
    detail = task.model.detail
    # Refuses families that paint one size.
    draw(task.model, task.protocol.seed, size=(2 * detail, 2 * detail))
    for size in (detail // 2, detail, 2 * detail):
        for samples in (1, "auto") if size < detail else (1,):
            made.add(
                consistency_name(size, samples),
                Consistency(
                    model=task.model,
                    size=size,
                    extractor=task.extractor,
                    truncation=task.protocol.truncation,
                    supersample="auto" if samples == "auto" else 1,
                    first=task.protocol.seed,
                ),
                task.protocol.probes,
            )


def _add_lattice(made: Plan, task: Task) -> None:
    grid = min(task.model.size)
    period = min(LATTICE_PERIOD, LATTICE_LARGEST // grid)
    if period < LATTICE_SMALLEST_PERIOD:
        period = LATTICE_SMALLEST_PERIOD
    size = (period * task.model.size[0], period * task.model.size[1])
    draw(task.model, task.protocol.seed, size=size)
    made.lattice = min(size), float(period)
    sets: dict[str, PictureSet] = {"model": _samples(task.model, size, task.protocol)}
    if isinstance(task.real, Portraits):  # images are rarely large enough
        sets["real"] = RealPictures(real=task.real, size=size)
    for name, pictures in sets.items():
        made.add(f"lattice {name}", Lattice(pictures=pictures, period=period), task.protocol.probes)


def _add_equivariance(made: Plan, task: Task) -> None:
    for movement in ("translation", "rotation"):
        work = Equivariance(
            model=task.model,
            movement="rotation" if movement == "rotation" else "translation",
            size=task.model.size,
            truncation=task.protocol.truncation,
            seed=task.protocol.seed,
        )
        try:
            work.run(0, 1)
        except CrepsError as error:
            if movement == "translation":  # the family paints one fixed grid
                raise
            made.notes.append(f"eq_r: left out, {error}")
            continue
        made.add(f"equivariance {movement}", work, task.protocol.probes)


def _add_path(made: Plan, task: Task) -> None:
    layered(task.extractor)
    for space in ("z", "w"):
        made.add(
            f"path {space}",
            PathSteps(
                model=task.model,
                space=space,
                size=task.model.size,
                extractor=task.extractor,
                seed=task.protocol.seed,
            ),
            PATHS * task.protocol.probes,
        )


def _add_nothing(made: Plan, task: Task) -> None:
    """For what is measured on sets that others share."""


_ADD: dict[str, Callable[[Plan, Task], None]] = {
    "patches": _add_patches,
    "consistency": _add_consistency,
    "lattice": _add_lattice,
    "equivariance": _add_equivariance,
    "path": _add_path,
}


def size_name(size: Size) -> str:
    """ "64" for a square, "96x128" otherwise."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def consistency_name(size: int, samples: object) -> str:
    """Name of the work that compares `size` with twice that."""
    return f"consistency {size} {samples}"


def _samples(model: ModelRef, size: Size, protocol: Protocol) -> ModelPictures:
    return ModelPictures(
        model=model,
        size=size,
        first=protocol.seed,
        truncation=protocol.truncation,
        supersample=protocol.supersample,
    )


def real_count(real: Portraits | Images, n: int) -> int:
    """How many of n real pictures there are."""
    return n if real.count is None else min(n, real.count)


def _real(task: Task) -> Portraits | Images:
    assert task.real is not None  # `plan` leaves out what compares with nothing
    return task.real


def _held_out(real: Portraits | Images, size: Size, count: int) -> RealPictures:
    """As many other real pictures."""
    if real.count is None:
        return RealPictures(real=real, size=size, first=HELD_OUT)
    if real.count < 2 * count:
        raise DataError(
            f"a floor needs twice as many real pictures: {real.count} are there, expected "
            f"{2 * count}; ask for a smaller n"
        )
    return RealPictures(real=real, size=size, first=count)
