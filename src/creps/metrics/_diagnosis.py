"""What is wrong with a model's pictures, and what to change: waves, symmetry, blobs, stripes, a
grid, blur and noise, each next to real pictures (CREPS, section 4.8; CIPS, sections 4.5, 4.9)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from creps._devices import Device
from creps.errors import UsageError
from creps.metrics._artifacts import ARTIFACTS
from creps.metrics._evaluate import finite_or_none
from creps.metrics._measurements import SUM, Measurement, Progress, identity, measure
from creps.metrics._models import ModelRef, Size, model_ref
from creps.metrics._pages import (
    figure,
    heading,
    line_chart,
    paragraph,
    shaded,
    table,
    write_page,
)
from creps.metrics._pictures import Artifacts, GridArtifact, ModelPictures, PictureSet, RealPictures
from creps.metrics._real_images import RealImages, real_images
from creps.metrics._spectra import radial_spectrum, spectrum_difference, whole_plane
from creps.networks.base import Generator
from creps.rendering._styles import LAST_SEED, checked_seed

Verdict = Literal["none", "slight", "clear"]

SLIGHT, CLEAR = 0.5, 1.0
"""Standard deviations of real pictures that the model's mean lies off theirs."""
LEAST = {"waves": 1.0, "symmetry": 0.1, "blobs": 0.1, "stripes": 0.02, "grid": 0.1}
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
    "grid": "A pattern with the period of the training grid: train with sub-pixel shifts of "
    "grid and picture, or at random scales, and with a bandwidth that the training size can hold.",
    "blur": "Fine detail is missing: raise bandwidth, train on patches of larger pictures "
    "(a zoom preset), or longer.",
    "noise": "Too much fine detail, noise or aliasing: lower bandwidth, more regularization, "
    "shifts and random scales in training; draw with --supersample auto.",
}
"""What to change, for each artifact."""

MEANING = {
    "waves": "strongest wave over its surroundings, dB",
    "symmetry": "detail mirrored at an upright line, 1: all",
    "blobs": "strongest round spot, in contrasts of the picture",
    "stripes": "fine detail along exact rows and columns, share",
    "grid": "power at the training grid's frequency, 1: none",
    "spectrum": "fine half of the spectrum, dB from real pictures",
}


@dataclass(frozen=True, kw_only=True)
class ArtifactFinding:
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
class ModelDiagnosis:
    """All findings, and the spectra they rest on.

    Attributes:
        model: which it is of.
        findings: one for each artifact.
        size: (height, width) of the pictures.
        count: samples.
        spectra: mean power (H, W // 2 + 1) of "model" and "real" pictures.
        record: as JSON.
    """

    model: ModelRef
    findings: list[ArtifactFinding]
    size: Size
    count: int
    spectra: dict[str, NDArray[np.float64]]
    record: dict[str, Any]

    def write_page(self, path: str | Path) -> None:
        """Write findings, spectra, and the samples that show most, as one HTML file.

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
            for each in self.findings
        ]
        height, width = self.size
        radial = {kind: radial_spectrum(power, width) for kind, power in self.spectra.items()}
        chart = line_chart(
            radial["model"].frequency[1:],
            {kind: _decibels(each.average[1:]) for kind, each in radial.items()},
            x_name="cycles a pixel",
            y_name="power, dB",
        )
        caption = "mean power of samples (left) and real pictures (right), 80 dB, black to white"
        sections = [
            paragraph(
                f"{self.count} samples of {self.model.path} at {height}x{width} px beside real "
                "pictures. Clear: the mean is more than one standard deviation of real pictures "
                "off."
            ),
            table(["artifact", "model", "real", "verdict", "what it is, and what to change"], rows),
            heading("Spectra") + chart + figure(self.spectra_picture(), caption),
        ]
        pictures = ModelPictures(model=self.model, size=self.size)
        for each in self.findings:
            if each.verdict != "none" and each.worst:
                shown = [figure(pictures.picture(s), f"seed {s}", width=256) for s in each.worst]
                sections.append(heading(f"Most {each.name}") + "".join(shown))
        write_page(path, f"Diagnosis of {Path(self.model.path).name}", sections)

    def spectra_picture(self) -> NDArray[np.uint8]:
        """Mean spectra of samples and of real pictures, (H, 2 W + 8), frequency 0 in the middles.

        80 dB from black to white.
        """
        ours, theirs = (
            _decibels(whole_plane(self.spectra[kind], self.size[1])) for kind in ("model", "real")
        )
        high = max(ours.max(), theirs.max())
        gap = np.full((len(ours), 8), high)
        return shaded(np.concatenate([ours, gap, theirs], axis=1), low=high - 80, high=high)


def diagnose(
    model: Generator | ModelRef | str | Path,
    data: RealImages | str | Path,
    *,
    count: int = 50,
    size: Size | None = None,
    seed: int = 0,
    device: Device = None,
    cache: str | Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> ModelDiagnosis:
    """Compare the typical artifacts of a model with the same measures of real pictures.

    Args:
        model: as for `evaluate`.
        data: real pictures, as for `evaluate`.
        count: pictures of each set, >= 2; of real ones at most as many as are large enough.
        size: of the pictures; None: twice the finest detail it was trained on, but at least four
            times the training grid, so that what lies between the training samples shows.
        seed: the first.
        device, cache, workers, progress: as for `evaluate`.
    Raises:
        UsageError, DataError, GridError: for pictures that cannot be made or measured.
    """
    model = model_ref(model, device=device)
    real = real_images(data, channels=model.channels)
    scale = max(2 * model.detail / min(model.size), 4.0)
    size = size or (round(scale * model.size[0]), round(scale * model.size[1]))
    if min(size) < 8:
        raise UsageError(f"size {size[0]}x{size[1]}: expected 8 pixels or more a side")
    if checked_seed(seed) + count > LAST_SEED:
        raise UsageError(f"seed {seed} and {count} from it: expected none above {LAST_SEED}")
    n = count
    if real.count is not None:  # enlarged ones would look blurred, and have a grid
        n = max(min(count, real.count - real.smaller_than(size)), 1)
    sets: dict[str, tuple[PictureSet, int]] = {
        "model": (ModelPictures(model=model, size=size, first=seed), count),
        "real": (RealPictures(real=real, size=size, enlarged=False), n),
    }
    artifacts = {kind: Artifacts(pictures=pictures) for kind, (pictures, _) in sets.items()}
    wanted: dict[Measurement, int] = {artifacts[kind]: n for kind, (_, n) in sets.items()}
    period = min(size[0] / model.size[0], size[1] / model.size[1])
    grids: dict[str, GridArtifact] = {}
    if period >= 4 and min(size) >= 4 * period:
        grids = {k: GridArtifact(pictures=p, period=period) for k, (p, _) in sets.items()}
        wanted |= {grids[kind]: n for kind, (_, n) in sets.items()}
    found = measure(wanted, cache=cache, workers=workers, progress=progress)
    ours, theirs = found[artifacts["model"]], found[artifacts["real"]]
    findings = [_finding(name, ours[name], theirs[name], seed) for name in ARTIFACTS]
    if grids:
        ratios = {kind: found[grid]["ratio"] for kind, grid in grids.items()}
        findings.append(_finding("grid", ratios["model"], ratios["real"], seed))
    spectra = {"model": ours[f"{SUM}power"] / count, "real": theirs[f"{SUM}power"] / n}
    findings.append(_spectrum_finding(spectra, size))
    record = {
        "format": "creps diagnosis",
        "model": {"path": model.path, **model.identity()},
        "data": identity(real),
        "size": size,
        "counts": {"model": count, "real": n},
        "seed": seed,
        "findings": [_as_json(each) for each in findings],
    }
    return ModelDiagnosis(
        model=model, findings=findings, size=size, count=count, spectra=spectra, record=record
    )


def _finding(
    name: str, model: NDArray[np.float64], real: NDArray[np.float64], seed: int
) -> ArtifactFinding:
    """An artifact of which more is worse."""
    spread = max(float(real.std()), LEAST[name])
    off = float(model.mean() - real.mean()) / spread
    verdict: Verdict = "clear" if off > CLEAR else "slight" if off > SLIGHT else "none"
    return ArtifactFinding(
        name=name,
        model=float(model.mean()),
        real=float(real.mean()),
        off=off,
        verdict=verdict,
        meaning=MEANING[name],
        advice="" if verdict == "none" else ADVICE[name],
        worst=tuple(seed + int(k) for k in np.argsort(-model, kind="stable")[:WORST]),
    )


def _spectrum_finding(spectra: dict[str, NDArray[np.float64]], size: Size) -> ArtifactFinding:
    """Blur or noise, by the fine half of the spectrum."""
    radial = {kind: radial_spectrum(power, size[1]).average for kind, power in spectra.items()}
    tail = spectrum_difference(radial["model"], radial["real"]).tail
    far = abs(tail)
    verdict: Verdict = "clear" if far > TAIL_CLEAR else "slight" if far > TAIL_SLIGHT else "none"
    name = "spectrum" if verdict == "none" else "blur" if tail < 0 else "noise"
    return ArtifactFinding(
        name=name,
        model=tail,
        real=0.0,
        off=tail,
        verdict=verdict,
        meaning=MEANING["spectrum"],
        advice=ADVICE.get(name, ""),
    )


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    decibels: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-6))
    return decibels


def _as_json(finding: ArtifactFinding) -> dict[str, Any]:
    numbers = {name: finite_or_none(getattr(finding, name)) for name in ("model", "real", "off")}
    return {**asdict(finding), **numbers}
