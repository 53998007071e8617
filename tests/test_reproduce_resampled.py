"""Patches of samples that a filter brought to other sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from creps.metrics import real_images
from creps.metrics._models import model_ref
from creps.metrics._pictures import ModelPictures, PatchPlan, ResampledPictures
from reproduce.anyres_paper.scoring import ResampledPatches
from smooth_model import SmoothModel


def test_resampled_patches_are_parts_of_resampled_samples(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "0.png")
    real = real_images(tmp_path)
    drawn = ModelPictures(model=model_ref(SmoothModel()), size=(16, 16))
    where = PatchPlan(real=real, side=10, smallest=12, largest=40, frame=(16, 16))
    patches = ResampledPatches(drawn=drawn, plan=where)
    for index in range(3):
        (height, width), tile = where.place(index).shape, where.place(index).tile
        whole = ResampledPictures(drawn=drawn, size=(height, width)).picture(index)
        expected = whole[tile.top : tile.top + 10, tile.left : tile.left + 10]
        np.testing.assert_array_equal(patches.picture(index), expected)
    assert patches.size == (10, 10)
