"""What is measured and how: one frozen protocol for every model, refused early if it makes none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from creps.errors import UsageError, nearest
from creps.rendering._view import Samples

Size = tuple[int, int]


class Measure(NamedTuple):
    """One kind of measurement.

    Attributes:
        minimum: pictures it needs of each set; 0 where it needs none.
        about: one line.
    """

    minimum: int
    about: str


MEASURES = {
    "fd": Measure(2, "Frechet distance of features to real pictures"),
    "kid": Measure(2, "kernel distance of features to real pictures"),
    "pr": Measure(4, "precision, recall, density, coverage by 3 nearest neighbours"),
    "neighbours": Measure(2, "distance to the nearest real picture, beside that among real ones"),
    "spectrum": Measure(1, "power spectrum beside that of real pictures"),
    "patches": Measure(4, "fd, kid, pr of patches at random scales and places"),
    "consistency": Measure(0, "a picture beside itself at twice the size, reduced"),
    "lattice": Measure(0, "a pattern that repeats with the training grid"),
    "equivariance": Measure(0, "EQ-T and EQ-R: does it move and turn with the plane?"),
    "path": Measure(0, "perceptual path length in z and w"),
}
"""All there are, in the order they are shown in."""

OF_WHOLE = ("fd", "kid", "pr", "neighbours", "spectrum")
"""Those that compare whole pictures of each size."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a model is measured; equal protocols give comparable numbers.

    Attributes:
        measures: names of `MEASURES`; None: all that suit the model and the data.
        n: pictures of each set; of real ones all there are, where they are fewer.
        sizes: (height, width) of whole pictures; None: the model's own.
        patch_sizes: shorter side of the pictures that patches are parts of, (smallest, largest),
            one set of patches each; None: one from the patch's own size to four times it, or to
            the image's own size.
        patch_side: pixels a side of patches; None: what the extractor sees. Smaller ones are
            enlarged to that by the extractor: for sets of pictures that are smaller than it.
        probes: seeds of consistency, lattice and equivariance; four times as many of paths.
        seed: the first seed of samples, and of every draw.
        truncation, supersample: as for `render`; consistency is measured without and with "auto".
        references: also measure two rivals: other real pictures, which are what a perfect model
            draws; and samples of the model's own size enlarged with a Lanczos filter, what there
            is without an any-scale model, for larger sizes.
    """

    measures: tuple[str, ...] | None = None
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
        for name in self.measures or ():
            if name not in MEASURES:
                raise UsageError(f"unknown metric {name!r}: {nearest(name, MEASURES)}")
        if self.measures is not None and not self.measures:
            raise UsageError(f"no metrics given: expected some of {', '.join(MEASURES)}")
        refuse_too_few(self.n, self.measures or (), what="pictures asked for")
        if self.n < 2 or self.probes < 2:
            raise UsageError(f"{self.n} pictures and {self.probes} probes: expected 2 or more")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed}: expected 0 or more")
        for size in self.sizes or ():
            if min(size) < 8:
                raise UsageError(f"size {size[0]}x{size[1]}: expected 8 pixels or more a side")

    def wants(self, measure: str) -> bool:
        """Whether it was asked for, by name or by asking for all."""
        return self.measures is None or measure in self.measures

    def insists(self, measure: str) -> bool:
        """Whether it was asked for by name: then it is an error if it cannot be measured."""
        return self.measures is not None and measure in self.measures


def refuse_too_few(count: int, measures: Iterable[str], *, what: str) -> None:
    """Raise if there are fewer pictures than a measure needs.

    Raises:
        UsageError: naming the measure and its minimum.
    """
    for name in measures:
        if count < MEASURES[name].minimum:
            raise UsageError(
                f"{count} {what} are too few for {name}: give at least {MEASURES[name].minimum}, "
                "2,000 or more for numbers worth comparing"
            )


def parse_measures(text: str) -> tuple[str, ...] | None:
    """Names of `fd,kid,pr`, in order, each once; None for `all`.

    Raises:
        UsageError: for an unknown name.
    Example:
        >>> parse_measures("fd, kid")
        ('fd', 'kid')
    """
    names: Sequence[str] = [word.strip() for word in text.split(",") if word.strip()]
    if list(names) == ["all"]:
        return None
    return Protocol(measures=tuple(dict.fromkeys(names)), n=MEASURES["patches"].minimum).measures
