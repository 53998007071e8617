"""xarray opens pictures by address: the same pixels, at places of the plane."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import creps
from creps.errors import CrepsError, LabelError
from creps.rendering import Renderer
from tiny_creps import tiny_creps

xr = pytest.importorskip("xarray")

from creps.rendering.arrays._xarray import CrepsBackend  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "tiny"
    creps.save(tiny_creps().float(), place)
    return place


def opened(model: Path, words: str, **options: Any) -> Any:
    return xr.open_dataset(f"creps://{model}?{words}", engine=CrepsBackend, **options)


def test_it_is_the_picture_at_places_of_the_plane(model: Path) -> None:
    dataset = opened(model, "seed=7&size=24x37")
    expected = creps.render(creps.load(model), seed=7, size=(24, 37))
    pixels = dataset.pixels
    assert pixels.dims == ("c", "y", "x")
    assert list(dataset.c.values) == ["red", "green", "blue"]
    np.testing.assert_array_equal(pixels.transpose("y", "x", "c").values, expected)
    canvas = Renderer(creps.load(model), seed=7).painter(size=(24, 37)).canvas
    np.testing.assert_array_equal(dataset.y, canvas.rows())
    np.testing.assert_array_equal(dataset.x, canvas.columns())
    assert json.loads(dataset.attrs["creps"])["seed"] == 7


def test_places_choose_pixels(model: Path) -> None:
    dataset = opened(model, "seed=7&size=24x48")
    corner = dataset.pixels.sel(y=slice(0.0, 0.25), x=slice(-0.5, 0.0))
    assert corner.shape == (3, 6, 12)
    near = dataset.pixels.sel(y=0.5, x=[0.1, 0.9], method="nearest")
    whole = dataset.pixels.load()
    np.testing.assert_array_equal(near, whole.sel(near.coords))


def test_nothing_is_drawn_before_it_is_read(model: Path) -> None:
    dataset = opened(model, "seed=7&size=1048576")
    assert dataset.pixels.nbytes == 3 * 2**40
    part = dataset.pixels[:, 2**19 : 2**19 + 2, ::-1][:, :, 5]
    assert part.shape == (3, 2)
    expected = creps.open_zarr(model, seed=7, size=2**20)["0"][:, 2**19 : 2**19 + 2, 2**20 - 6]
    np.testing.assert_array_equal(part, expected)


def test_any_index_of_xarray(model: Path) -> None:
    lazy = opened(model, "seed=7&size=9x14&chunk=4").pixels
    whole = lazy.copy(deep=True).load()
    lazy = opened(model, "seed=7&size=9x14&chunk=4").pixels
    places = xr.DataArray([1, 8, 3], dims="p"), xr.DataArray([0, 13, 13], dims="p")
    for index in (
        {"y": [5, 1, 1]},
        {"y": [2, 7], "x": slice(None, None, -3)},
        {"y": places[0], "x": places[1]},
        {"c": 1, "y": -1},
        {"x": slice(5, 5)},
    ):
        np.testing.assert_array_equal(lazy.isel(index), whole.isel(index))


def test_dask_takes_its_chunks(model: Path) -> None:
    pytest.importorskip("dask")
    chunked = opened(model, "seed=7&size=24x37&chunk=16", chunks={}).pixels
    assert chunked.chunks == ((3,), (16, 8), (16, 16, 5))
    expected = creps.render(creps.load(model), seed=7, size=(24, 37)).mean()
    assert float(chunked.mean()) == pytest.approx(expected, abs=0.01)  # float32 rounds by tile


def test_levels(model: Path) -> None:
    dataset = opened(model, "seed=7&size=32x64&chunk=16", level=1)
    assert dataset.pixels.shape == (3, 16, 32)
    full = opened(model, "seed=7&size=32x64&chunk=16")
    np.testing.assert_allclose(dataset.y, full.y.values.reshape(-1, 2).mean(1))


def test_words_of_an_address(model: Path) -> None:
    words = "styles=7..12@0.4&truncation=0.7&size=20x31&window=0.1,0.2,0.5,0.9&warp=rotate:30"
    options: Any = {"styles": "7..12@0.4", "truncation": 0.7, "size": (20, 31)}
    options |= {"window": (0.1, 0.2, 0.5, 0.9), "warp": "rotate:30", "supersample": 2}
    expected = creps.render(creps.load(model), **options)
    pixels = opened(model, f"{words}&supersample=2").pixels
    np.testing.assert_array_equal(pixels.transpose("y", "x", "c"), expected)


def test_a_class_goes_by_its_name_or_number(tmp_path: Path) -> None:
    generator = tiny_creps(label_dim=3, class_from_latent=True).float()
    creps.save(generator, tmp_path / "kinds", record={"classes": ["bun", "long hair", "a,b & ☃"]})
    expected = creps.render(generator, seed=7, size=16, label=2)
    for word in ("2", "a%2Cb+%26%20%E2%98%83"):
        pixels = opened(tmp_path / "kinds", f"seed=7&size=16&class={word}").pixels
        np.testing.assert_array_equal(pixels.transpose("y", "x", "c"), expected)
    for word, told in (("bum", "did you mean bun"), ("3", "0 to 2"), ("-1", "0 to 2"), ("", "bun")):
        with pytest.raises(LabelError, match=told):
            opened(tmp_path / "kinds", f"seed=7&class={word}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "say which picture"),
        ("size=64", "say which picture"),
        ("seed=seven", "seed 'seven'"),
        ("seed=-1", "seed"),
        ("seed=99999999999", "seed"),
        ("seed=7&size=0", "at least 1 pixel"),
        ("seed=7&size=", "size ''"),
        ("seed=7&size=10x", "size '10x'"),
        ("seed=7&chunk=0", "chunk 0"),
        ("seed=7&sed=8", "did you mean seed"),
        ("seed=7&seed=8", "seed is given twice"),
        ("seed=7&styles=8", "expected one of"),
        ("seed=7&zoom=nan", "zoom nan"),
        ("seed=7&zoom=x", "zoom 'x'"),
        ("seed=7&supersample=1.5", "supersample"),
        ("seed=7&warp=spin:3", "spin"),
        ("seed=7&dtype=int8", "int8"),
        ("seed=7&size=4x4&window=0,0,1", "window"),
    ],
)
def test_what_an_address_cannot_say_is_one_line(model: Path, words: str, told: str) -> None:
    with pytest.raises(CrepsError, match=told) as refusal:
        opened(model, words)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("address", ["creps://", "creps://?seed=7", "creps:portraits?seed=7"])
def test_an_address_without_a_model_is_one_line(address: str) -> None:
    with pytest.raises(CrepsError, match="expected creps://MODEL"):
        xr.open_dataset(address, engine=CrepsBackend)


def test_unknown_models_and_levels_are_one_line(model: Path) -> None:
    with pytest.raises(CrepsError, match="did you mean portraits"):
        xr.open_dataset("creps://portrats?seed=7", engine=CrepsBackend)
    with pytest.raises(CrepsError, match="level 9: expected 0 to 0"):
        opened(model, "seed=7", level=9)


def test_xarray_finds_it_by_its_name() -> None:
    engines = xr.backends.list_engines()
    assert isinstance(engines["creps"], CrepsBackend)
    dataset = xr.open_dataset("creps://portraits?seed=7&size=65536", engine="creps")
    assert dataset.sizes == {"c": 3, "y": 65536, "x": 65536}
    assert xr.open_dataset("creps://portraits?seed=7&size=16").pixels.shape == (3, 16, 16)
