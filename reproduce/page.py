"""docs/reproducing.md: the results, next to the papers' numbers.

python -m reproduce.page [NEW_RESULTS]     takes a `results` folder over first
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from creps.errors import CrepsError
from reproduce.catalogue import EXPERIMENTS
from reproduce.chance import repeats
from reproduce.experiment import PAPERS, Experiment, Table, described
from reproduce.results import cell_text, read_result, tables_of

DOCS = Path(__file__).resolve().parent.parent / "docs"
RESULTS, PAGE = DOCS / "reproduced", DOCS / "reproducing.md"
MARK = "<!-- results -->\n"
MOST_COLUMNS = 10
"""Of a table with the paper's numbers next to those found."""
SHARE_APART = 0.03
"""Shares of 1,000 pictures: twice their standard error is 0.03 at most."""


def chance(results: Path) -> dict[str, float]:
    """How far apart distances are by chance: of a paper, or of "PAPER COLUMN"."""
    path = results / f"{repeats.name}.json"
    if not path.exists():
        return {}
    (table,) = tables_of(read_result(path))
    return {label: float(cells[-1] or 0) for label, cells in table.rows.items()}


def told_apart(experiment: Experiment, tables: list[Table], by_chance: Mapping[str, float]) -> bool:
    """Whether at least half of the pairs that a table compares differ by more than chance.

    Chance is `by_chance` for distances, `SHARE_APART` for precision and recall, and nothing for
    what is counted or timed.
    """
    apart, pairs = 0, 0
    for each in experiment.comparisons(tables):
        least = 0.0
        if "fd_" in each.name + tables[0].caption:
            paper = experiment.paper
            least = by_chance.get(f"{paper} {each.name}", by_chance.get(paper, 0.0))
        elif each.name.lower().startswith(("precision", "recall")):
            least = SHARE_APART
        for a, b, _ in each.pairs():
            apart += abs(each.found[a] - each.found[b]) > least
            pairs += 1
    return 2 * apart >= pairs


def page(results: Path, *, link: str) -> str:
    """All experiments in Markdown, by paper.

    Args:
        results: folder of records.
        link: to that folder, as the page has it.
    """
    by_chance, parts = chance(results), []
    for paper in PAPERS:
        sections, undecided, missing = [f"## {described(paper)['title']}"], [], []
        for each in (each for each in EXPERIMENTS if each.paper == paper):
            path = results / f"{each.name}.json"
            if not path.exists():
                missing.append(f"`{each.name}`")
                continue
            record = read_result(path)
            if told_apart(each, tables_of(record), by_chance):
                sections.append(section(each, record, link=link))
            else:
                undecided.append(f"- `{each.name}`: {each.title} ([record]({link}/{path.name}))")
        parts += sections
        if undecided:
            parts += [
                "Measured, and rows not told apart at the small budget:",
                "\n".join(undecided),
            ]
        if missing:
            parts.append(f"Not measured here yet: {', '.join(missing)}.")
    return "\n\n".join(parts) + "\n"


def section(experiment: Experiment, record: dict[str, Any], *, link: str) -> str:
    """One experiment: the paper's claim and numbers, ours, and what differs."""
    parts = [
        f"### {experiment.place}: {experiment.title}",
        f"`{experiment.name}`, {experiment.minutes:g} minutes. {experiment.claim}",
    ]
    tables, published = tables_of(record), experiment.published
    if published is not None and tables and fits_beside(published, tables[0]):
        tables[0] = beside(published, tables[0])
    elif published is not None:
        parts.append(_markdown(published, "the paper"))
    parts += [_markdown(table, table.caption or "here") for table in tables]
    words = [*record["remarks"]]
    if experiment.differences:
        words.append("What differs: " + "; ".join(experiment.differences) + ".")
    images = [f"![{each['caption']}]({link}/{each['file']})" for each in record["figures"]]
    below = [*images, " ".join(words)] if words else images
    return "\n\n".join([*parts, "<br>\n".join(below)] if below else parts)


def fits_beside(published: Table, table: Table) -> bool:
    """Whether a table has a row for each of the paper's, and room for its columns."""
    columns = len(table.columns) + len(published.columns)
    return len(table.rows) == len(published.rows) and columns <= MOST_COLUMNS


def beside(published: Table, table: Table) -> Table:
    """A table with the paper's numbers in the same rows."""
    rows = zip(table.rows.items(), published.rows.values(), strict=True)
    return Table(
        columns=(*table.columns, *(f"paper: {column}" for column in published.columns)),
        rows={label: (*ours, *theirs) for (label, ours), theirs in rows},
        caption=table.caption,
    )


def _markdown(table: Table, title: str) -> str:
    """A table; its title heads the column of labels."""
    head = f"| {title.rstrip('.')} | " + " | ".join(table.columns) + " |"
    lines = [head, "|---|" + "---:|" * len(table.columns)]
    for label, cells in table.rows.items():
        lines.append(f"| {label} | " + " | ".join(cell_text(cell) for cell in cells) + " |")
    return "\n".join(lines)


def text() -> str:
    """The page: its introduction as it is, then the results."""
    introduction, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return f"{introduction}{mark}{page(RESULTS, link=RESULTS.name)}"


def main(new: Path | None) -> None:
    """Take new results over, and write the page."""
    if new is not None:
        for path in sorted(new.iterdir()):
            shutil.copy(path, RESULTS / path.name)
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except CrepsError as error:
        sys.exit(f"reproduce: {error}")
