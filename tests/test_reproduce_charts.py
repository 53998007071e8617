"""Sizes of a set as bars, and points as SVG."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from creps.metrics._pages import standalone
from reproduce.anyres_paper.charts import bars_picture, scatter_chart, size_bars


def test_bars_count_every_picture_once() -> None:
    sides = [32, 45, 46, 64, 90, 91, 128, 4000]
    bars = size_bars(sides)
    assert sum(count for _, _, count in bars) == len(sides)
    assert all(a[1] == b[0] for a, b in pairwise(bars))
    assert len(bars) <= 16
    assert size_bars([64, 64]) == [(64, 65, 2)]


def test_bars_are_as_tall_as_their_counts() -> None:
    picture = bars_picture([(64, 91, 10), (91, 128, 5)], title="set")
    pixels = np.array(picture.convert("RGB")).astype(int)
    blue = (pixels[:, :, 2] - pixels[:, :, 0]) > 60
    assert blue[:, 70].sum() == pytest.approx(2 * blue[:, 130].sum(), rel=0.05)


def test_a_chart_is_a_picture_file_by_itself() -> None:
    text = standalone(scatter_chart(np.array([[1.0, 2.0], [3.0, 5.0]]), x_name="x", y_name="y<"))
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    circles = [each.attrib for each in root if each.tag.endswith("circle")]
    assert float(circles[0]["cx"]) < float(circles[1]["cx"])
    assert float(circles[0]["cy"]) > float(circles[1]["cy"])
    assert root[0].attrib["fill"] == "white"
