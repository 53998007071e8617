"""Samples beside the real pictures most like them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from creps.errors import UsageError
from creps.metrics import real_images
from creps.metrics._models import ModelRef, model_ref
from creps.metrics._pictures import ModelPictures
from creps.metrics._real_images import Images, Portraits
from metric_stubs import stub
from reproduce.cips_paper.neighbour_sheet import neighbour_sheet
from tiny_creps import tiny_creps

SIZE = (16, 20)
COPIED = 2
"""Seed whose sample is among the real pictures."""


@pytest.fixture
def model() -> ModelRef:
    return model_ref(tiny_creps().float())


@pytest.fixture
def real(tmp_path: Path, model: ModelRef) -> Images:
    """Noise, and one picture that the model paints."""
    copied = ModelPictures(model=model, size=SIZE).picture(COPIED)
    others = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3), dtype=np.uint8)
    folder = tmp_path / "real"
    folder.mkdir()
    for k, pixels in enumerate([*others, copied]):
        Image.fromarray(pixels).save(folder / f"{k}.png")
    found = real_images(str(folder))
    assert isinstance(found, Images)
    return found


def places(sheet: NDArray[np.uint8], picture: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """(top, left) of each place of a sheet where a picture is."""
    windows = sliding_window_view(sheet, picture.shape)[:, :, 0]
    found = np.argwhere((windows == picture).all((2, 3, 4)))
    return [(int(top), int(left)) for top, left in found]


def test_a_copy_stands_beside_its_sample(
    tmp_path: Path, model: ModelRef, real: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = neighbour_sheet(
        model,
        real,
        extractor=stub(monkeypatch),
        samples=3,
        neighbours=2,
        size=SIZE,
        cache=tmp_path / "cache",
        workers=0,
    )
    sample = ModelPictures(model=model, size=SIZE).picture(COPIED)
    (row, left), (same_row, right) = places(sheet, sample)
    assert row == same_row
    assert 0 < right - left < 2 * SIZE[1] + 20
    other = ModelPictures(model=model, size=SIZE).picture(0)
    assert len(places(sheet, other)) == 1


def test_pictures_may_be_shown_at_another_size(
    tmp_path: Path, model: ModelRef, real: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = neighbour_sheet(
        model,
        real,
        extractor=stub(monkeypatch),
        samples=1,
        neighbours=1,
        shown=(30, 44),
        cache=tmp_path / "cache",
        workers=0,
    )
    assert len(places(sheet, ModelPictures(model=model, size=(30, 44)).picture(0))) == 1


def test_endless_pictures_need_a_number(model: ModelRef, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"endless: say how many to look through \(searched\)"):
        neighbour_sheet(model, Portraits(), extractor=stub(monkeypatch), workers=0)


def test_more_neighbours_than_pictures_are_refused(
    tmp_path: Path, model: ModelRef, real: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="7 neighbours among 6 samples"):
        neighbour_sheet(
            model,
            real,
            extractor=stub(monkeypatch),
            neighbours=7,
            cache=tmp_path / "cache",
            workers=0,
        )
