"""Models side by side: one protocol, one table, one page with samples of the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from creps.errors import CrepsError, UsageError
from creps.metrics._evaluate import Evaluation, Value
from creps.metrics._models import ModelRef, draw, picture
from creps.metrics._pages import figure, heading, paragraph, table, write_page

SHOWN_AT = 160
"""CSS pixels of a sample on the page."""


def comparison_rows(
    evaluations: Sequence[Evaluation],
) -> list[tuple[Value, list[float | None], int | None]]:
    """Numbers of several models, line by line.

    Returns:
        for each number that any of them has: one of its values (for name and meaning), the
        numbers of all (None where a model has none), and which is best (None where no way is
        better, or only one has it).
    """
    names: dict[str, Value] = {}
    for evaluation in evaluations:
        for value in evaluation.values:
            names.setdefault(value.name, value)
    rows = []
    for name, like in names.items():
        found = [
            next((v.value for v in each.values if v.name == name), None) for each in evaluations
        ]
        rows.append((like, found, _best(found, like)))
    return rows


def _best(numbers: Sequence[float | None], like: Value) -> int | None:
    there = [(n, k) for k, n in enumerate(numbers) if n is not None and np.isfinite(n)]
    if not like.better or len(there) < 2:
        return None
    return (min if like.better == "lower" else max)(there)[1]


def short_names(models: Sequence[str]) -> list[str]:
    """Names to tell models apart by: the last parts of their paths, as many as that takes.

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


def write_comparison(
    path: Path,
    models: Sequence[ModelRef],
    evaluations: Sequence[Evaluation],
    *,
    seeds: Sequence[int],
    size: int | None = None,
    truncation: float = 1.0,
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        models: two or more.
        evaluations: of each; none for samples alone.
        seeds: of the samples, the same for each model.
        size: pixels a side of samples; None: each model's own.
        truncation: as for `render`.
    Raises:
        UsageError: for fewer than two models.
        OSError: if it cannot be written.
    """
    if len(models) < 2:
        raise UsageError(f"{len(models)} models: expected two or more to compare")
    names = short_names([model.path for model in models])
    sections = []
    if evaluations:
        rows = comparison_rows(evaluations)
        cells = [[like.name, *map(number_text, numbers), like.about] for like, numbers, _ in rows]
        best = [None if k is None else k + 1 for *_, k in rows]
        sections.append(heading("Numbers") + table(["", *names, "meaning"], cells, best=best))
        notes = dict.fromkeys(note for each in evaluations for note in each.notes)
        sections.append("".join(paragraph(note, faint=True) for note in notes))
        record = evaluations[0].record
        sections.append(
            paragraph(
                f"{record['protocol']['n']} pictures of each set, features of "
                f"{record['extractor']['name']} ({record['extractor']['resize']}); stressed: the "
                "best of a line.",
                faint=True,
            )
        )
    sections.append(heading("Samples of the same seeds"))
    for name, model in zip(names, models, strict=True):
        side = (size, size) if size else model.size
        sections.append(
            paragraph(f"{name}, {side[0]}x{side[1]} px") + _samples(model, seeds, side, truncation)
        )
    write_page(path, "Models side by side", sections)


def _samples(
    model: ModelRef, seeds: Sequence[int], side: tuple[int, int], truncation: float
) -> str:
    figures = []
    for seed in seeds:
        try:
            image = draw(model, seed, size=side, truncation=truncation)
        except CrepsError as error:  # a family of one size is shown by what it can do
            return paragraph(str(error), faint=True)
        figures.append(figure(picture(image), f"seed {seed}", width=SHOWN_AT))
    return "".join(figures)
