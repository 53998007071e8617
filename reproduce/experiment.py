"""What an experiment is: a table or figure of a paper, how to make it here, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from creps.rendering._painter import Picture

if TYPE_CHECKING:
    from reproduce.workshop import Workshop

Cell = float | str | None
PAPERS = {
    "creps": "CREPS (CVPR 2023)",
    "cips": "CIPS (CVPR 2021)",
    "anyres": "Any-resolution GAN (ECCV 2022)",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers by row and column.

    Attributes:
        columns: their names, with units: "time (s)".
        rows: by label, one cell a column; None: not measured, a word: why there is no number.
        caption: one line; may be empty where there is one table.
    """

    columns: tuple[str, ...]
    rows: dict[str, tuple[Cell, ...]]
    caption: str = ""

    def __post_init__(self) -> None:
        for label, cells in self.rows.items():
            if len(cells) != len(self.columns):
                raise ValueError(f"row {label!r}: {len(cells)} cells, {len(self.columns)} columns")


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


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What an experiment found here.

    Attributes:
        tables: in the shape of the paper's.
        figures: in the order to look at them.
        remarks: what the numbers say beside the paper's; worked out from them, not wished.
    """

    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or figure of a paper.

    Attributes:
        paper: a key of `PAPERS`.
        place: where it stands: "Table 2".
        title: what it is about.
        claim: what the paper concludes from it, in a sentence.
        minutes: that the small budget takes on two cores, its models included.
        differences: of the small budget to the paper: data, networks, length, metric.
        published: the paper's numbers; None for figures.
        run: makes it.
    """

    paper: str
    place: str
    title: str
    claim: str
    minutes: float
    differences: tuple[str, ...]
    run: Callable[[Workshop], Findings]
    published: Table | None = None

    @property
    def name(self) -> str:
        """As given to `python -m reproduce`: "creps-table-2", "cips-fig-7"."""
        place = self.place.lower().replace("figure", "fig").replace(".", "").replace(" ", "-")
        return f"{self.paper}-{place}"
