"""Diagnoses and pages: artifacts are named with advice, and pages are whole in themselves."""

from __future__ import annotations

import math
import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from creps.coordinates import AxisGrid
from creps.errors import DataError, UsageError, printable
from creps.metrics._comparison import Comparison, compare
from creps.metrics._diagnosis import ADVICE, MEANING, diagnose
from creps.metrics._models import model_ref
from creps.metrics._pages import figure, line_chart, shaded, standalone, table
from creps.metrics._real_images import Images, real_images
from smooth_model import SmoothModel


@pytest.fixture
def real(tmp_path: Path) -> Images:
    folder = tmp_path / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128))
    frequency[0, 0] = 1
    for k in range(6):
        white = rng.normal(size=(128, 128))
        cloud = np.fft.irfft2(np.fft.rfft2(white) / frequency**1.5, s=(128, 128))
        pixels = (128 + 40 * cloud / cloud.std()).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).convert("RGB").save(folder / f"{k}.png")
    found = real_images(str(folder))
    assert isinstance(found, Images)
    return found


class Clouds(SmoothModel):
    """Clouds like the real ones, marked or not."""

    def __init__(self, *, lattice: float = 0.0, grain: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("marks", torch.tensor([lattice, grain]))

    def synthesize(self, styles: Tensor, grid) -> Tensor:
        assert isinstance(grid, AxisGrid)
        y, x = grid.ys, grid.xs
        draw = torch.Generator().manual_seed(int(1e4 * styles[0, 0, 0].abs()))
        image = torch.zeros(len(y), len(x), dtype=torch.float64)
        for _ in range(200):
            length = 48 ** float(torch.rand(1, generator=draw))
            angle, phase = (6.3 * float(torch.rand(1, generator=draw)) for _ in range(2))
            turns = length * (np.cos(angle) * y[:, None] + np.sin(angle) * x[None])
            image += torch.sin(6.2832 * turns + phase) / length**0.8
        image *= 0.3 / image.std()
        lattice, grain = self.marks.tolist()
        image += lattice * (torch.cos(6.2832 * 32 * y)[:, None] + torch.cos(6.2832 * 32 * x))
        image += grain * torch.randn(image.shape, generator=draw, dtype=torch.float64)
        return image.expand(1, 3, -1, -1).float()


def findings(model, real: Images, cache: Path) -> dict[str, tuple[float, str]]:
    found = diagnose(model_ref(model), real, count=6, size=(128, 128), cache=cache, workers=0)
    return {each.name: (each.model, each.verdict) for each in found.findings}


@pytest.mark.slow
def test_a_grid_and_grain_are_found_and_advised_upon(real: Images, tmp_path: Path) -> None:
    plain = findings(Clouds(), real, tmp_path)
    marked = findings(Clouds(lattice=0.1), real, tmp_path)
    assert marked["grid"][0] > 2 * plain["grid"][0]
    assert marked["grid"][1] == "clear"
    grainy = findings(Clouds(grain=0.2), real, tmp_path)
    assert grainy["noise"][1] == "clear"
    assert "noise" not in plain


def test_blur_is_found(real: Images, tmp_path: Path) -> None:
    found = diagnose(
        model_ref(SmoothModel()), real, count=3, size=(64, 64), cache=tmp_path, workers=0
    )
    blur = next(each for each in found.findings if each.name == "blur")
    assert blur.verdict == "clear"
    assert blur.advice == ADVICE["blur"]
    assert found.record["counts"] == {"model": 3, "real": 3}


def test_images_that_are_too_small_to_compare_with_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k, side in enumerate((40, 64, 80, 50)):
        pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    real = real_images(str(folder))
    assert isinstance(real, Images)
    model = model_ref(SmoothModel())
    found = diagnose(model, real, count=9, size=(64, 64), cache=tmp_path, workers=0)
    assert found.record["counts"] == {"model": 9, "real": 2}
    with pytest.raises(DataError, match=r"no image .* is 96 px or larger"):
        diagnose(model, real, count=9, size=(96, 96), cache=tmp_path, workers=0)


def test_the_page_is_whole_in_itself(real: Images, tmp_path: Path) -> None:
    model = model_ref(SmoothModel())
    found = diagnose(model, real, count=3, size=(128, 128), cache=tmp_path, workers=0)
    found.write_page(tmp_path / "page.html")
    text = unescape((tmp_path / "page.html").read_text())
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert text.count("<svg") == text.count("</svg>") == 1
    for each in found.findings:
        assert each.meaning in text
    assert found.spectra_picture().shape == (128, 2 * 128 + 8)


def test_everything_has_advice_and_a_meaning() -> None:
    assert set(MEANING) - {"spectrum"} <= set(ADVICE)


def test_a_comparison_shows_the_same_seeds_of_each_model(tmp_path: Path) -> None:
    models = [model_ref(SmoothModel(waves=waves)) for waves in (1, 3)]
    Comparison(models=models).write_page(tmp_path / "page.html", seeds=[4, 5, 6])
    text = (tmp_path / "page.html").read_text()
    assert text.count("<img") == 6
    assert text.count("seed 5</figcaption>") == 2
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    with pytest.raises(UsageError, match="two or more"):
        compare(models[:1])


def test_words_in_pages_are_escaped() -> None:
    found = table(["a<b", "n"], [["<script>", "1.5"]], best=[1])
    assert "<script>" not in found
    assert '<td class="number best">1.5</td>' in found
    assert "<i>" not in figure(np.zeros((2, 3, 1), np.uint8), "<i>")


def test_charts_keep_lines_within_their_frame() -> None:
    x = np.linspace(0, 1, 5)
    chart = line_chart(x, {"a": x**2, "b": -x}, x_name="x", y_name="y")
    points = re.findall(r'points="([^"]+)"', chart)
    assert len(points) == 2
    places = np.array([p.split(",") for line in points for p in line.split()], float)
    assert (places >= 0).all()
    assert (places <= (640, 320)).all()
    flat = line_chart(x, {"a": 0 * x}, x_name="x", y_name="y")
    assert "nan" not in flat


def test_names_of_many_lines_stay_within_the_frame_above_the_lines() -> None:
    x = np.linspace(0, 1, 5)
    names = [f"a recipe with a name, seed {k}" for k in range(6)]
    chart = line_chart(x, {name: x + k for k, name in enumerate(names)}, x_name="x", y_name="y")
    places = [
        (float(left), float(base))
        for left, base in re.findall(r'<text x="([^"]+)" y="([^"]+)" style', chart)
    ]
    assert len(set(places)) == len(names)
    assert all(left + 8 * len(names[0]) <= 640 for left, _ in places)
    points = " ".join(re.findall(r'points="([^"]+)"', chart)).split()
    assert min(float(each.split(",")[1]) for each in points) > max(base for _, base in places)


NAMES = ["n" * 300, "many words " * 30, "漢字" * 40, "a<b>&\"'\x00\x1b[31m\n", ""]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_curve_is_whole_xml_within_the_frame(name: str) -> None:
    x = np.linspace(0, 1, 5)
    chart = line_chart(x, {name: x, "b": -x}, x_name="x", y_name="y")
    found = [
        each for each in ElementTree.fromstring(standalone(chart)).iter() if each.get("style")
    ][1:]
    assert len(found) == 2
    for text in found:
        letter = 8 if name.isascii() else 13
        assert float(text.get("x", "nan")) + letter * len(text.text or "") <= 640
    whole = "".join(found[0].itertext())
    assert whole.endswith(printable(name))  # also where its middle is not shown


def test_lines_of_one_color_differ_by_their_dashes() -> None:
    x = np.linspace(0, 1, 5)
    chart = line_chart(x, {str(k): x + k for k in range(20)}, x_name="x", y_name="y")
    pens = re.findall(r'<polyline points="[^"]+" fill="none" (stroke=[^/]+)/>', chart)
    assert len(set(pens)) == len(pens) == 20
    assert re.findall(r'<path d="[^"]+" (stroke=[^/]+)/>', chart) == pens  # before the names


def test_values_that_are_no_numbers_are_gaps_and_one_between_them_is_a_dot() -> None:
    nothing, x = math.nan, np.linspace(0, 1, 7)
    line = np.array([0.0, 1.0, nothing, 2.0, -math.inf, 3.0, 4.0])
    chart = line_chart(x, {"a": line, "b": x}, x_name="x", y_name="y")
    assert not re.search("nan|inf", chart)
    assert [len(each.split()) for each in re.findall(r'points="([^"]+)"', chart)] == [2, 2, 7]
    assert chart.count("<circle") == 1


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan, math.inf], [3.0]])
def test_a_chart_of_next_to_nothing_is_drawn(values: list[float]) -> None:
    line = np.array(values, dtype=np.float64)
    chart = line_chart(np.arange(len(line)) * 1.0, {"a": line}, x_name="x", y_name="y")
    ElementTree.fromstring(standalone(chart))
    assert not re.search("nan|inf|polyline", chart)
    assert chart.count("<circle") == (values == [3.0])


def test_shades_run_from_low_to_high() -> None:
    assert shaded(np.array([0.0, 1.0, 2.0])).tolist() == [0, 128, 255]
    assert shaded(np.array([5.0, 5.0])).tolist() == [0, 0]
