"""RUN/report.html: how a run is doing, in one file without scripts or outside requests."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from creps.config import to_dict
from creps.metrics._pages import figure, heading, line_chart, paragraph, table, write_page
from creps.training._config import TrainConfig, flat_settings
from creps.training._engine import Stats
from creps.training._run import Callback, Run, Timer
from creps.training.monitoring._doctor import NETWORKS, RunDiagnosis, RunFinding, diagnose_run
from creps.training.monitoring._previews import MAGNIFICATIONS

_CHARTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "Losses",
        "loss",
        {
            "generator": "loss/generator",
            "discriminator": "loss/discriminator",
            "projected": "loss/projected",
        },
    ),
    ("Logits", "mean logit", {"real": "logits/real", "generated": "logits/fake"}),
    ("Distance of pictures", "distance", {"real": "spread/real", "generated": "spread/fake"}),
    ("Nearest pictures", "distance", {"real": "nearest/real", "generated": "nearest/fake"}),
    (
        "Moments of features",
        "distance",
        {"wholes": "moments/wholes", "windows": "moments/windows"},
    ),
    ("Gradient penalties", "squared norm", {"R1": "penalty/r1", "R2": "penalty/r2"}),
    ("Path length", "length", {"path length": "path_length"}),
    *(
        (f"Gradient of the {name}", "norm", {name: f"gradient/{network}"})
        for network, name in NETWORKS.items()
    ),
    ("Samples since the preview before", "change", {"change": "preview/change"}),
    ("Augmentation", "strength", {"ADA": "augment/strength"}),
    ("Pace", "images/s", {"pace": "images_per_second"}),
    ("Memory", "GB", {"memory": "memory_gb"}),
)
"""Title, name of the upward axis, and the numbers of the log by the names of their curves."""
_POINTS = 200
"""Of a curve at most: longer ones are averaged."""
_MOMENTS = 6
"""Previews that show how the same latents came along."""
_SHOWN_WIDTH = 720
"""CSS pixels of sample sheets, at most."""
_REFRESH_SECONDS = 30
"""After which an open page looks whether there is a newer one."""
_SIGNS = {"fine": "✓", "note": "•", "problem": "✗"}


class Reports(Callback):
    """Writes the report at each preview, and opens it in the browser; `train` writes the last."""

    def __init__(self, run: Run, *, log: Callable[[str], None]) -> None:
        self._timer = Timer()
        path = write_report(run.folder, refresh=_REFRESH_SECONDS)
        if not webbrowser.open(path.resolve().as_uri()):
            log(f"no browser was found: open {path}")

    def after_step(self, run: Run, stats: Stats) -> None:
        """Write when a preview was due."""
        every = run.config.preview_every
        if every and (run.state.step % every == 0 or self._timer.due()):
            write_report(run.folder, refresh=_REFRESH_SECONDS)
            self._timer.done()


def write_report(run: Path, *, out: Path | None = None, refresh: int | None = None) -> Path:
    """Write the report of a run, running or not.

    Args:
        run: its folder.
        out: the page; RUN/report.html by default.
        refresh: seconds after which an open page looks again; None: never.
    Raises:
        CheckpointError: if the folder holds no run.
    """
    found = diagnose_run(run)
    path = run / "report.html" if out is None else out
    sections = [
        _summary(found),
        _findings(found.findings),
        *_pictures(run, found.config),
        *_curves(found),
        _settings(found),
    ]
    write_page(path, f"Run {run.resolve().name}", sections, refresh=refresh)
    return path


def _summary(found: RunDiagnosis) -> str:
    config = found.config
    height, width = config.size
    shown = found.data.get("count", 0) // (1 + config.data.mirror)
    mirrored = " and their mirror images" if config.data.mirror else ""
    words = (
        f"{config.family}, {height} x {width} px, {shown:,} pictures{mirrored} from "
        f"{found.data.get('name', 'an unknown set')}"
    )
    return paragraph(words, faint=True)


def _findings(findings: Sequence[RunFinding]) -> str:
    rows = "".join(
        f'<tr class="{finding.level}"><td>{_SIGNS[finding.level]}</td>'
        f"<td>{escape(finding.topic)}</td><td>{escape(finding.text)}"
        + (f"<br><em>Try {escape(finding.advice)}.</em>" if finding.advice else "")
        + "</td></tr>"
        for finding in findings
    )
    colors = ".problem td:first-child{color:#d55e00}.fine td:first-child{color:#009e73}"
    style = f"<style>{colors}.note td:first-child{{color:#e69f00}}</style>"
    return f'{style}{heading("How it is doing")}<div class="wide"><table>{rows}</table></div>'


def _pictures(run: Path, config: TrainConfig) -> Iterator[str]:
    """The newest samples, the zoom, and how the first row came along."""
    sheets = sorted(p for p in (run / "previews").glob("*.png") if p.stem.isdigit())
    if not sheets:
        yield heading("Samples") + paragraph("No preview yet.", faint=True)
        return
    newest = sheets[-1]
    images = int(newest.stem)
    yield heading("Samples") + _shown(newest, f"averaged generator after {images:,} images")
    zoom = newest.with_name(f"{newest.stem}-zoom.png")
    if zoom.exists():
        times = ", ".join(str(times) for times in MAGNIFICATIONS)
        caption = f"windows at {times} times the training size, drawn, not enlarged"
        yield heading("Zoom") + _shown(zoom, caption)
    if len(sheets) > 1:
        places = np.linspace(0, len(sheets) - 1, min(_MOMENTS, len(sheets))).round().astype(int)
        height = config.size[0]
        rows = [_shown(sheets[k], f"{int(sheets[k].stem):,} images", rows=height) for k in places]
        yield heading("The same latents over time") + "".join(rows)


def _shown(path: Path, caption: str, *, rows: int | None = None) -> str:
    """A preview, or its uppermost rows of pixels alone."""
    try:
        with Image.open(path) as file:
            picture = np.asarray(file)[:rows]
    except OSError:
        return paragraph(f"{path.name} cannot be read", faint=True)
    enlarged = max(_SHOWN_WIDTH // picture.shape[1], 1)
    return figure(picture, caption, width=min(enlarged * picture.shape[1], _SHOWN_WIDTH))


def _curves(found: RunDiagnosis) -> Iterator[str]:
    charts = list(_CHARTS)
    distances = {name: name for name in found.history.names() if name.startswith("fd_")}
    if distances:
        charts.insert(0, ("Distance to the training set", "Frechet distance", distances))
    drawn = []
    for title, y_name, names in charts:
        x, lines = {}, {}
        for shown, name in names.items():  # each from where it begins
            images, (values,) = (each.T for each in found.history.series(name))
            keep = np.isfinite(values)
            if keep.sum() > 1:
                x[shown], lines[shown] = _averaged(images[keep], values[keep])
        if not lines:
            continue
        chart = line_chart(x, lines, x_name="images seen", y_name=y_name, size=(240, 480))
        drawn.append(f"<figure><figcaption>{escape(title)}</figcaption>{chart}</figure>")
    if drawn:
        yield heading("Curves") + "".join(drawn)


def _averaged(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over neighbors, so that no more than _POINTS are left, without outliers.

    What lies far beyond almost all others is moved to the edge: one spike at the start would
    flatten all that follows.
    """
    parts = np.array_split(np.arange(len(x)), min(_POINTS, len(x)))
    x, y = np.array([x[p].mean() for p in parts]), np.array([y[p].mean() for p in parts])
    low, high = np.quantile(y, [0.02, 0.98])
    return x, y.clip(low - (high - low), high + (high - low))


def _settings(found: RunDiagnosis) -> str:
    rows = [[name, str(value)] for name, value in flat_settings(to_dict(found.config))]
    body = table(["setting", "value"], rows)
    return f"{heading('Settings')}<details><summary>all {len(rows)}</summary>{body}</details>"
