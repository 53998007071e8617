"""Whether what was found is in the paper's order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from reproduce.experiment import Cell, Table


def column(table: Table, name: str) -> dict[str, Cell]:
    """The cells of one column, by row.

    Raises:
        ValueError: for a column that is not there.
    """
    place = table.columns.index(name)
    return {label: cells[place] for label, cells in table.rows.items()}


def numbers(cells: Mapping[str, Cell]) -> dict[str, float]:
    """Those cells that are numbers.

    Example:
        >>> numbers({"a": 1, "b": "OOM"})
        {'a': 1.0}
    """
    return {label: float(c) for label, c in cells.items() if isinstance(c, float | int)}


def swapped(
    published: Mapping[str, Cell], found: Mapping[str, Cell]
) -> tuple[list[tuple[str, str]], int]:
    """Pairs that stand the other way round, and how many pairs can be compared.

    A pair counts if both sides have numbers, and the paper's two are not equal. Two equal numbers
    here where the paper's differ stand the other way round.

    Example:
        >>> swapped({"a": 1, "b": 2, "c": 3}, {"a": 5, "b": 4, "c": "OOM"})
        ([('a', 'b')], 1)
    """
    theirs, ours = numbers(published), numbers(found)
    both = [label for label in theirs if label in ours]
    pairs = [(a, b) for a, b in combinations(both, 2) if theirs[a] != theirs[b]]
    wrong = [(a, b) for a, b in pairs if (theirs[a] - theirs[b]) * (ours[a] - ours[b]) <= 0]
    return wrong, len(pairs)


def order_remark(what: str, published: Mapping[str, Cell], found: Mapping[str, Cell]) -> str:
    """A sentence: does the order of the paper hold, and what is the order here?

    Args:
        what: is in order: "Frechet distance".
        published, found: numbers by row; what is no number is left out.
    """
    wrong, pairs = swapped(published, found)
    if not pairs:
        return f"{what}: nothing to compare with the paper's order."
    if not wrong:
        where = f" in all {pairs} pairs" if pairs > 1 else ""
        return f"{what}: the paper's order holds{where}."
    if len(wrong) == 1:
        return f"{what}: the paper's order holds but for {wrong[0][0]} and {wrong[0][1]}."
    ours = numbers(found)
    order = " < ".join(sorted(ours, key=ours.__getitem__))
    return f"{what}: {len(wrong)} of {pairs} pairs are not in the paper's order; here {order}."
