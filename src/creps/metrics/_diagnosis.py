"""What is wrong with a model's pictures, and what to change: waves, symmetry, blobs, stripes,
lattice, blur and noise, each beside real pictures (CREPS, section 4.8; CIPS, sections 4.5, 4.9)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from creps.metrics._cache import SUM, Progress, collect
from creps.metrics._charts import line_chart
from creps.metrics._consistency import ARTIFACTS
from creps.metrics._jobs import Artifacts, Lattice
from creps.metrics._models import ModelRef, Size
from creps.metrics._pages import figure, heading, paragraph, shaded, table, write_page
from creps.metrics._pictures import ModelPictures, RealPictures
from creps.metrics._real_images import Images, Portraits
from creps.metrics._spectra import radial_spectrum, spectrum_difference, whole_plane

Verdict = Literal["none", "slight", "clear"]

SLIGHT, CLEAR = 0.5, 1.0
"""Standard deviations of real pictures that the model's mean lies off theirs."""
LEAST = {"waves": 1.0, "symmetry": 0.1, "blobs": 0.1, "stripes": 0.02, "lattice": 0.1}
"""The least that counts as a standard deviation: real pictures may be all alike."""
TAIL_SLIGHT, TAIL_CLEAR = 1.5, 4.0
"""Decibels of the upper half of the spectrum."""
WORST = 4
"""Samples shown of each artifact."""

ADVICE = {
    "waves": "Ripples and repeated strands come from the sines of the Fourier features: lower "
    "generator.bandwidth, train longer, or refine more (refinement_widths).",
    "symmetry": "Mirror images come from sines that are even around the middle: shift grids in "
    "training, do not train with --mirror where pictures are no mirror images, more levels.",
    "blobs": "Glowing spots out of the domain: raise loss.r1_gamma, set generator.clamp, lower "
    "truncation when drawing, train longer.",
    "stripes": "Exact rows and columns are what thin lines can do: raise thickness or "
    "line_channels, widen decoder_widths, or train longer at the larger scales.",
    "lattice": "A pattern with the period of the training grid: train with sub-pixel shifts of "
    "grid and picture, or at random scales, and with a bandwidth that the training size can hold.",
    "blur": "Fine detail is missing: raise bandwidth, train on patches of larger pictures "
    "(a zoom preset), or longer.",
    "noise": "Too much fine detail, noise or aliasing: lower bandwidth, more regularisation, "
    "shifts and random scales in training; draw with --supersample auto.",
}
"""What to change, for each artifact."""

MEANING = {
    "waves": "strongest wave over its surroundings, dB",
    "symmetry": "detail mirrored at an upright line, 1: all",
    "blobs": "strongest round spot, in contrasts of the picture",
    "stripes": "fine detail along exact rows and columns, share",
    "lattice": "power at the training grid's frequency, 1: none",
    "spectrum": "fine half of the spectrum, dB from real pictures",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One artifact.

    Attributes:
        name: of `ADVICE`; "spectrum" where nothing is wrong with it.
        model, real: means over pictures; real may be NaN.
        off: how far off, in standard deviations of real pictures; decibels for the spectrum.
        verdict: none, slight or clear.
        meaning: what the numbers are.
        advice: what to change; empty where there is nothing.
        worst: seeds that show it most.
    """

    name: str
    model: float
    real: float
    off: float
    verdict: Verdict
    meaning: str
    advice: str
    worst: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All findings, and the spectra they rest on.

    Attributes:
        findings: one for each artifact.
        size: (height, width) of the pictures.
        count: pictures of each set.
        spectra: mean power (H, W // 2 + 1) of "model" and "real" pictures.
        record: as JSON.
    """

    findings: list[Finding]
    size: Size
    count: int
    spectra: dict[str, NDArray[np.float64]]
    record: dict[str, Any]


def diagnose(
    model: ModelRef,
    real: Portraits | Images,
    *,
    count: int = 50,
    size: Size | None = None,
    seed: int = 0,
    cache: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Diagnosis:
    """Compare the typical artifacts of a model with the same measures of real pictures.

    Args:
        model: the model.
        real: pictures to compare with.
        count: pictures of each set, >= 2; of real ones at most as many as are large enough.
        size: of the pictures; None: twice the finest detail it was trained on, but at least four
            times the training grid, so that what lies between the training samples shows.
        seed: the first.
        cache, workers, progress: as for `collect`.
    Raises:
        UsageError, DataError, GridError: for pictures that cannot be made or measured.
    """
    scale = max(2 * model.detail / min(model.size), 4.0)
    size = size or (round(scale * model.size[0]), round(scale * model.size[1]))
    n = count
    if isinstance(real, Images):  # enlarged ones would look blurred, and have a lattice
        n = max(min(count, len(real) - real.smaller_than(size)), 1)
    ours = ModelPictures(model=model, size=size, first=seed)
    theirs = RealPictures(real=real, size=size, enlarged=False)
    period = min(size[0] / model.size[0], size[1] / model.size[1])
    works: dict[str, Any] = {"model": Artifacts(pictures=ours), "real": Artifacts(pictures=theirs)}
    counts = {"model": count, "real": n}
    if period >= 4 and min(size) >= 4 * period:
        works |= {
            "lattice model": Lattice(pictures=ours, period=period),
            "lattice real": Lattice(pictures=theirs, period=period),
        }
        counts |= {"lattice model": count, "lattice real": n}
    columns = collect(works, counts, folder=cache, workers=workers, progress=progress)
    findings = [
        _finding(name, columns["model"][name], columns["real"][name], seed) for name in ARTIFACTS
    ]
    if "lattice model" in columns:
        ours_ratio, real_ratio = (columns[f"lattice {k}"]["ratio"] for k in ("model", "real"))
        findings.append(_finding("lattice", ours_ratio, real_ratio, seed))
    spectra = {kind: columns[kind][f"{SUM}power"] / counts[kind] for kind in ("model", "real")}
    findings.append(_spectrum_finding(spectra, size))
    record = {
        "format": "creps diagnosis",
        "model": {"path": model.path, "weights_id": model.weights_id},
        "data": real.identity(),
        "size": size,
        "counts": counts,
        "seed": seed,
        "findings": [_as_json(each) for each in findings],
    }
    return Diagnosis(findings=findings, size=size, count=count, spectra=spectra, record=record)


def _finding(
    name: str, model: NDArray[np.float64], real: NDArray[np.float64], seed: int
) -> Finding:
    """An artifact of which more is worse."""
    spread = max(float(real.std()), LEAST[name])
    off = float(model.mean() - real.mean()) / spread
    verdict: Verdict = "clear" if off > CLEAR else "slight" if off > SLIGHT else "none"
    return Finding(
        name=name,
        model=float(model.mean()),
        real=float(real.mean()),
        off=off,
        verdict=verdict,
        meaning=MEANING[name],
        advice="" if verdict == "none" else ADVICE[name],
        worst=tuple(seed + int(k) for k in np.argsort(-model, kind="stable")[:WORST]),
    )


def _spectrum_finding(spectra: dict[str, NDArray[np.float64]], size: Size) -> Finding:
    """Blur or noise, by the fine half of the spectrum."""
    radial = {kind: radial_spectrum(power, size[1]).average for kind, power in spectra.items()}
    tail = spectrum_difference(radial["model"], radial["real"]).tail
    far = abs(tail)
    verdict: Verdict = "clear" if far > TAIL_CLEAR else "slight" if far > TAIL_SLIGHT else "none"
    name = "spectrum" if verdict == "none" else "blur" if tail < 0 else "noise"
    return Finding(
        name=name,
        model=tail,
        real=0.0,
        off=tail,
        verdict=verdict,
        meaning=MEANING["spectrum"],
        advice=ADVICE.get(name, ""),
    )


def write_diagnosis(path: Path, model: ModelRef, diagnosis: Diagnosis) -> None:
    """Write the report as one HTML page: findings, spectra, the samples that show most.

    Raises:
        OSError: if it cannot be written.
    """
    rows = [
        [
            each.name,
            f"{each.model:.3g}",
            f"{each.real:.3g}",
            each.verdict,
            each.meaning + (f". {each.advice}" if each.advice else ""),
        ]
        for each in diagnosis.findings
    ]
    height, width = diagnosis.size
    sections = [
        paragraph(
            f"{diagnosis.count} samples of {model.path} at {height}x{width} px beside real "
            "pictures. Clear: the mean is more than one standard deviation of real pictures off."
        ),
        table(["artifact", "model", "real", "verdict", "what it is, and what to change"], rows),
        heading("Spectra"),
        _spectra(diagnosis),
    ]
    for each in diagnosis.findings:
        if each.verdict != "none" and each.worst:
            pictures = ModelPictures(model=model, size=diagnosis.size)
            shown = [figure(pictures.picture(s), f"seed {s}", width=256) for s in each.worst]
            sections.append(heading(f"Most {each.name}") + "".join(shown))
    write_page(path, f"Diagnosis of {Path(model.path).name}", sections)


def spectra_picture(diagnosis: Diagnosis) -> NDArray[np.uint8]:
    """Mean spectra of samples (left) and real pictures (right), 80 dB from black to white.

    Returns:
        (H, 2 W + 8) uint8; frequency 0 in the middle of each half.
    """
    width = diagnosis.size[1]
    halves = [
        10 * np.log10(np.maximum(whole_plane(diagnosis.spectra[kind], width), 1e-6))
        for kind in ("model", "real")
    ]
    high = max(half.max() for half in halves)
    gap = np.full((halves[0].shape[0], 8), high)
    return shaded(np.concatenate([halves[0], gap, halves[1]], axis=1), low=high - 80, high=high)


def _spectra(diagnosis: Diagnosis) -> str:
    """Chart and picture of the spectra."""
    radial = {
        kind: radial_spectrum(power, diagnosis.size[1]) for kind, power in diagnosis.spectra.items()
    }
    lines = {
        kind: 10 * np.log10(np.maximum(each.average[1:], 1e-6)) for kind, each in radial.items()
    }
    chart = line_chart(
        radial["model"].frequency[1:], lines, x_name="cycles a pixel", y_name="power, dB"
    )
    caption = "mean power of samples (left) and real pictures (right), 80 dB from black to white"
    return chart + figure(spectra_picture(diagnosis), caption)


def _as_json(finding: Finding) -> dict[str, Any]:
    numbers = {
        name: value if np.isfinite(value := getattr(finding, name)) else None
        for name in ("model", "real", "off")
    }
    return {
        "name": finding.name,
        **numbers,
        "verdict": finding.verdict,
        "advice": finding.advice,
        "worst": list(finding.worst),
    }
