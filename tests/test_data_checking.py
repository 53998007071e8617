"""What a check finds: broken files, equal and similar pictures, sizes, advice."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from creps.data import open_images
from creps.data._checking import (
    advise,
    check,
    cpu_hours,
    look_of,
    same_pictures,
    similar_pictures,
)
from creps.errors import DataError
from image_files import noise, png, png_16


def _photo(seed, size=96):
    """A smooth picture, as photographs are."""
    small = Image.fromarray(noise(6, 6, seed=seed))
    return np.array(small.resize((size, size), Image.Resampling.BICUBIC))


def _jpeg(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", **options)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Pictures of two classes: two equal ones, two that look alike, a broken one, a deep one."""
    root = tmp_path / "set"
    for name in ("cats", "dogs"):
        (root / name).mkdir(parents=True)
    (root / "cats" / "a.png").write_bytes(png(_photo(1)))
    (root / "cats" / "b.bmp").write_bytes(_bmp(_photo(1)))
    (root / "cats" / "c.jpg").write_bytes(_jpeg(_photo(2), quality=90))
    (root / "dogs" / "d.jpg").write_bytes(_jpeg(_photo(2)[::2, ::2], quality=60))
    (root / "dogs" / "e.png").write_bytes(png(_photo(3, 40)))
    (root / "dogs" / "f.png").write_bytes(png(_photo(4))[:-200])
    (root / "dogs" / "g.png").write_bytes(b"nothing")
    (root / "dogs" / "h.png").write_bytes(
        png_16(np.random.default_rng(5).integers(0, 65536, (30, 50, 3)))
    )
    return root


def _bmp(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "bmp")
    return buffer.getvalue()


def test_a_check_tells_what_is_there(folder):
    seen = []
    report = check(folder, progress=lambda done, total: seen.append((done, total)))
    assert report.images == 7 == len(open_images(folder))
    assert report.classes == {"cats": 3, "dogs": 4}
    assert sorted(report.sizes) == [(30, 50), (40, 40), (48, 48), (96, 96), (96, 96), (96, 96)]
    assert report.formats == {"PNG": 3, "JPEG": 2, "BMP": 1}
    assert report.modes == {"RGB, 8 bits": 5, "RGB, 16 bits": 1}
    assert report.broken == {"dogs/g.png": "no picture of a known format"}
    assert report.cut_short.keys() == {"dogs/f.png"}
    assert "truncated" in report.cut_short["dogs/f.png"]
    assert report.same == [["cats/a.png", "cats/b.bmp"]]
    assert report.similar == [["cats/c.jpg", "dogs/d.jpg"]]
    assert not report.clean
    assert report.decode_rate > 0
    assert seen[-1] == (7, 7)
    assert json.loads(json.dumps(report.document()))["sizes"]["96x96"] == 3


def test_several_at_once_find_the_same(folder):
    alone = check(folder, workers=1)
    together = check(folder, workers=2)
    assert together.document() | {"decode_rate": 0} == alone.document() | {"decode_rate": 0}


def test_a_set_without_classes_says_why(tmp_path):
    (tmp_path / "a.png").write_bytes(png(noise(8, 9)))
    report = check(tmp_path)
    assert report.classes == {}
    assert "no class labels" in report.labels_problem
    assert report.clean


def test_a_set_of_nothing_but_broken_pictures_is_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(png(noise(40, 40))[:-3000])
    with pytest.raises(DataError, match=r"none of 1 images in .* can be decoded"):
        check(tmp_path)


def test_similar_are_reductions_brightenings_and_recompressions_but_not_other_pictures():
    photo = _photo(1)
    brighter = np.clip(photo.astype(int) + 2, 0, 255).astype(np.uint8)
    smaller = np.array(Image.fromarray(photo).resize((61, 61), Image.Resampling.LANCZOS))
    packed = np.array(Image.open(io.BytesIO(_jpeg(photo, quality=40))))
    recolored = photo[:, :, ::-1].copy()
    others = [_photo(seed) for seed in range(2, 60)]
    looks = [look_of(p) for p in (photo, brighter, smaller, packed, recolored, photo, *others)]
    assert same_pictures(looks) == [[0, 5]]
    assert similar_pictures(looks) == [[0, 1, 2, 3]]


def test_plain_pictures_are_not_taken_for_each_other():
    looks = [look_of(np.full((20, 30, 3), value, np.uint8)) for value in range(100, 103)]
    assert similar_pictures(looks) == []
    assert similar_pictures([]) == []


@pytest.mark.parametrize(
    ("sides", "resolution", "gamma", "levels"),
    [
        ([256] * 20, 256, 0.82, 7),
        ([1500] * 20, 1024, 52, 9),
        ([70] * 18 + [10] * 2, 64, 0.026, 5),
        ([20], 32, 0.0064, 4),
    ],
)
def test_advice_follows_the_sizes(sides, resolution, gamma, levels):
    advice = advise(sides)
    assert (advice.resolution, advice.levels) == (resolution, levels)
    assert advice.r1_gamma == pytest.approx(gamma, rel=0.02)


def test_large_pictures_cost_a_gpu():
    assert cpu_hours(32, 108_000) == pytest.approx(1)
    assert cpu_hours(1024, 1) is None
