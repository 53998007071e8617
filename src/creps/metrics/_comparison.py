"""Models side by side: one protocol, one table, one page with samples of the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from creps._devices import Device
from creps.errors import CrepsError, UsageError
from creps.metrics._evaluate import Evaluation, evaluate
from creps.metrics._extractors import ExtractorSpec
from creps.metrics._measurements import Progress
from creps.metrics._metrics import Protocol, Value
from creps.metrics._models import ModelRef, Size, draw, model_ref
from creps.metrics._pages import figure, heading, paragraph, table, write_page
from creps.metrics._real_images import RealImages
from creps.networks.base import Generator
from creps.rendering._painter import to_uint8

SHOWN_AT = 160
"""CSS pixels of a sample on the page."""


class Row(NamedTuple):
    """A number of several models.

    Attributes:
        like: one of its values, for name and meaning.
        numbers: of all; None where a model has none.
        best: which is best; None where no way is better, or only one has it.
    """

    like: Value
    numbers: list[float | None]
    best: int | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several models, measured alike.

    Attributes:
        models: two or more.
        evaluations: of each; none for samples alone.
    """

    models: Sequence[ModelRef]
    evaluations: Sequence[Evaluation] = ()

    @property
    def size(self) -> Size | None:
        """(height, width) at which all are shown; None where their own sizes are equal."""
        return common_size(self.models)

    @property
    def names(self) -> list[str]:
        """Distinct names of the models."""
        return short_names([model.path for model in self.models])

    @property
    def rows(self) -> list[Row]:
        """Every number that any of them has."""
        found = [{value.name: value for value in each.values} for each in self.evaluations]
        rows = []
        for name, like in {name: v for each in found for name, v in each.items()}.items():
            numbers = [each[name].value if name in each else None for each in found]
            there = [(n, k) for k, n in enumerate(numbers) if n is not None and np.isfinite(n)]
            pick = min if like.better == "lower" else max
            best = pick(there)[1] if like.better and len(there) > 1 else None
            rows.append(Row(like, numbers, best))
        return rows

    def write_page(
        self,
        path: str | Path,
        *,
        seeds: Sequence[int],
        size: int | None = None,
        truncation: float = 1.0,
    ) -> None:
        """Write the numbers, and samples of the same seeds, as one HTML file.

        Args:
            path: of the file.
            seeds: of the samples.
            size: pixels a side of samples; None: the models' own, or their `size`.
            truncation: as for `render`.
        Raises:
            OSError: if it cannot be written.
        """
        sections = []
        if self.evaluations:
            cells = [
                [row.like.name, *map(number_text, row.numbers), row.like.about] for row in self.rows
            ]
            best = [None if row.best is None else row.best + 1 for row in self.rows]
            sections.append(
                heading("Numbers") + table(["", *self.names, "meaning"], cells, best=best)
            )
            notes = dict.fromkeys(note for each in self.evaluations for note in each.notes)
            record = self.evaluations[0].record
            extractor = record["extractor"]
            lines = [
                *notes,
                f"{record['protocol']['n']} pictures of each set, features of {extractor['name']} "
                f"({extractor['resize']}); stressed: the best of a line.",
            ]
            sections.append("".join(paragraph(line, faint=True) for line in lines))
        sections.append(heading("Samples of the same seeds"))
        for name, model in zip(self.names, self.models, strict=True):
            height, width = (size, size) if size else self.size or model.size
            samples = _samples(model, seeds, (height, width), truncation)
            sections.append(paragraph(f"{name}, {height}x{width} px") + samples)
        write_page(path, "Models side by side", sections)


def compare(
    models: Sequence[Generator | ModelRef | str | Path],
    data: RealImages | str | Path | None = None,
    protocol: Protocol | None = None,
    *,
    extractor: ExtractorSpec | str = "effnet",
    weights: str | Path | None = None,
    device: Device = None,
    cache: str | Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Measure several models by one protocol, and at one size.

    Where their own sizes differ and the protocol names none, that is their `common_size`.

    Args:
        models: two or more.
        data, protocol, extractor, weights, device, cache, workers, progress: as for `evaluate`.
    Raises:
        UsageError: for fewer than two models; and as `evaluate`.
    """
    if len(models) < 2:
        raise UsageError(f"models to compare: {len(models)} given, expected two or more")
    refs = [model_ref(model, device=device) for model in models]
    protocol = Protocol() if protocol is None else protocol
    common = common_size(refs)
    if protocol.sizes is None and common is not None:
        protocol = replace(protocol, sizes=(common,))
    found = [
        evaluate(
            ref,
            data,
            protocol,
            extractor=extractor,
            weights=weights,
            cache=cache,
            workers=workers,
            progress=progress,
        )
        for ref in refs
    ]
    return Comparison(models=refs, evaluations=found)


def common_size(models: Sequence[ModelRef]) -> Size | None:
    """(height, width) that models of different natural sizes can all be measured at.

    The largest of them; where families paint one size alone, the smallest of theirs. None if all
    are of one size.
    """
    sizes = [model.size for model in models]
    if len(set(sizes)) == 1:
        return None
    fixed = [model.size for model in models if not model.generator().tileable]
    return min(fixed) if fixed else max(sizes)


def short_names(models: Sequence[str]) -> list[str]:
    """Distinct names of models: the last parts of their paths, as many as that takes.

    Example:
        >>> short_names(["runs/a/model", "runs/b/model"])
        ['a/model', 'b/model']
    """
    parts = [Path(model).parts or (model,) for model in models]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(set(models)):
            return names
    return list(models)


def number_text(value: float | None) -> str:
    """A number as tables show it, four digits."""
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _samples(
    model: ModelRef, seeds: Sequence[int], side: tuple[int, int], truncation: float
) -> str:
    figures = []
    for seed in seeds:
        try:
            image = draw(model, seed, size=side, truncation=truncation)
        except CrepsError as error:  # a family of one size is shown by what it can do
            return paragraph(str(error), faint=True)
        figures.append(figure(to_uint8(image), f"seed {seed}", width=SHOWN_AT))
    return "".join(figures)
