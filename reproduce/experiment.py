"""What an experiment is: a table or figure of a paper, how to make it here, and what came out."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from creps.rendering import Panel, Picture, captioned_sheet
from reproduce.runner import Runner

Cell = float | str | None
PAPERS = ("small", "creps", "cips", "anyres")
"""Each with a file of what its tables and figures say, papers/NAME.toml."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers by row and column.

    Attributes:
        columns: their names, with units: "time (s)".
        rows: by label, one cell a column; None: not measured, a text: why not.
        caption: one line; may be empty where there is one table.
    """

    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for label, cells in self.rows.items():
            if len(cells) != len(self.columns):
                raise ValueError(f"row {label!r}: {len(cells)} cells, {len(self.columns)} columns")

    def turned(self) -> Table:
        """Rows as columns."""
        cells = zip(*self.rows.values(), strict=True)
        return Table(
            columns=tuple(self.rows),
            rows=dict(zip(self.columns, cells, strict=True)),
            caption=self.caption,
        )


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture, or a chart.

    Attributes:
        name: ends its file's name: "residuals".
        caption: what is to be seen.
        picture: (H, W, 3) uint8, or the text of an SVG.
    """

    name: str
    caption: str
    picture: Picture | str


def sheet(name: str, caption: str, rows: Sequence[Sequence[Panel]], *, heading: str) -> Figure:
    """A figure of captioned panels."""
    return Figure(name=name, caption=caption, picture=captioned_sheet(rows, heading=heading))


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an experiment found here.

    Attributes:
        tables: the first one in the shape of the paper's.
        figures: in reading order.
        remarks: what the tables do not show; whether the paper's order holds is added to them.
    """

    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    remarks: tuple[str, ...] = ()


def one_table(
    columns: Sequence[str],
    rows: Mapping[str, Sequence[Cell]],
    *figures: Figure,
    caption: str = "",
    remarks: tuple[str, ...] = (),
) -> Result:
    """A result of one table, and of figures."""
    table = Table(columns=tuple(columns), rows=rows, caption=caption)
    return Result(tables=(table,), figures=figures, remarks=remarks)


class Comparison(NamedTuple):
    """Numbers of the paper and of here whose order is compared, by the labels of here."""

    name: str
    published: Mapping[str, float]
    found: Mapping[str, float]

    def pairs(self) -> Iterator[tuple[str, str, bool]]:
        """Each two labels with both numbers, unequal in the paper: does their order hold here?

        Two equal numbers here where the paper's differ stand the other way round.
        """
        for a, b in combinations([label for label in self.found if label in self.published], 2):
            theirs = self.published[a] - self.published[b]
            if theirs:
                yield a, b, theirs * (self.found[a] - self.found[b]) > 0

    def sentence(self) -> str:
        """Does the order of the paper hold, and what is the order here?"""
        pairs = list(self.pairs())
        wrong = [f"{a} and {b}" for a, b, holds in pairs if not holds]
        if not pairs:
            return f"{self.name}: nothing to compare with the paper's order."
        if not wrong:
            return f"{self.name}: the paper's order holds."
        if len(wrong) == 1:
            return f"{self.name}: the paper's order holds but for {wrong[0]}."
        order = " < ".join(sorted(self.found, key=self.found.__getitem__))
        return (
            f"{self.name}: {len(wrong)} of {len(pairs)} pairs are not in the paper's order; "
            f"here {order}."
        )


Compare = Callable[[Table, Table], list[Comparison]]


def by_column(published: Table, found: Table) -> list[Comparison]:
    """Each column with the paper's at the same place; rows go by place, too."""
    comparisons = []
    for place, name in enumerate(found.columns[: len(published.columns)]):
        theirs = [cells[place] for cells in published.rows.values()]
        ours = {label: cells[place] for label, cells in found.rows.items()}
        comparisons.append(
            Comparison(name, _numbers(dict(zip(ours, theirs, strict=True))), _numbers(ours))
        )
    return [each for each in comparisons if any(each.pairs())]


def by_row(published: Table, found: Table) -> list[Comparison]:
    """Each row with the paper's at the same place."""
    return by_column(published.turned(), found.turned())


def _numbers(cells: Mapping[str, Cell]) -> dict[str, float]:
    """Those cells that are numbers."""
    return {label: float(c) for label, c in cells.items() if isinstance(c, float | int)}


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or figure of a paper.

    Attributes:
        name: as given to `python -m reproduce`: "creps-table-2", "cips-fig-7".
        title: what it is about.
        claim: what the paper concludes from it, in a sentence.
        minutes: that the small budget takes on two cores, its models included.
        differences: of the small budget to the paper: data, networks, length, metric.
        published: the paper's numbers; None for figures without.
        compare: which of them the first table found compares with; None: with none.
        run: makes it.
    """

    name: str
    title: str
    claim: str
    minutes: float
    differences: tuple[str, ...]
    published: Table | None
    compare: Compare | None
    run: Callable[[Runner], Result]

    @property
    def paper(self) -> str:
        """One of `PAPERS`."""
        return self.name.partition("-")[0]

    @property
    def place(self) -> str:
        """Where it stands: "Table 2"."""
        words = self.name.partition("-")[2].replace("fig-", "figure-")
        return words.replace("-", " ").capitalize()

    def comparisons(self, tables: Sequence[Table]) -> list[Comparison]:
        """The paper's numbers next to those of the first table."""
        if self.compare is None or self.published is None or not tables:
            return []
        return self.compare(self.published, tables[0])


def experiment(
    name: str, *, compare: Compare | None = None
) -> Callable[[Callable[[Runner], Result]], Experiment]:
    """Make the function below it the experiment that its paper's file describes."""
    paper, _, place = name.partition("-")
    about, shared = described(paper)[place], described(paper).get("shared", {})

    def made(run: Callable[[Runner], Result]) -> Experiment:
        return Experiment(
            name=name,
            title=about["title"],
            claim=about["claim"],
            minutes=about["minutes"],
            differences=tuple(
                shared[words[1:]] if words.startswith("@") else words
                for words in about.get("differences", ())
            ),
            published=published(name) if "published" in about else None,
            compare=compare,
            run=run,
        )

    return made


def published(name: str) -> Table:
    """The paper's numbers of an experiment; an empty text says that there is none."""
    paper, _, place = name.partition("-")
    table = described(paper)[place]["published"]
    return Table(
        columns=tuple(table["columns"]),
        rows={
            label: tuple(None if cell == "" else cell for cell in cells)
            for label, cells in table["rows"].items()
        },
        caption=table.get("caption", ""),
    )


@cache
def described(paper: str) -> dict[str, Any]:
    """What a paper's tables and figures say: papers/NAME.toml."""
    path = Path(__file__).parent / "papers" / f"{paper}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))
