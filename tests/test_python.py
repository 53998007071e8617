"""What people who come from Python try first: it works, or says in one line what does."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import creps
from creps.checkpoints import save
from creps.errors import CheckpointError, CrepsError, GridError, UsageError
from creps.networks.base import Generator

ONE = {"seed": 7, "size": (6, 9)}


@pytest.fixture(scope="module")
def model() -> Generator:
    return creps.load("portraits")


@pytest.fixture(scope="module")
def picture(model: Generator) -> Any:
    return creps.render(model, **ONE)


def test_a_single_seed_needs_no_list(model: Generator) -> None:
    assert torch.equal(creps.latents(7, model), creps.latents([7], model))


def test_models_are_taken_by_name_and_path(tmp_path: Path, model: Generator, picture: Any) -> None:
    save(model, tmp_path / "m")
    for named in ("portraits", tmp_path / "m", str(tmp_path / "m")):
        assert np.array_equal(creps.render(named, **ONE), picture)
    assert np.array_equal(creps.Renderer("portraits", seed=7).picture(size=(6, 9)), picture)
    ((_, tile),) = creps.render_tiles("portraits", **ONE)
    assert np.array_equal(tile, picture)


def test_arrays_serve_as_tensors(model: Generator, picture: Any) -> None:
    z = np.random.RandomState(7).randn(1, model.config.z_dim)
    assert np.array_equal(creps.render(model, z=z, size=(6, 9)), picture)
    styles = model.map(z)
    assert torch.equal(styles, model.map(creps.latents(7, model)))
    assert np.array_equal(creps.render(model, styles=styles.numpy(), size=(6, 9)), picture)


def test_several_seeds_are_a_picture_each(model: Generator, picture: Any) -> None:
    both = creps.render(model, seed=[7, 8], size=(6, 9))
    assert both.shape == (2, 6, 9, 3)
    assert np.array_equal(both[0], picture)
    assert np.array_equal(both[1], creps.render(model, seed=8, size=(6, 9)))


def test_grids_are_made_of_lists_and_arrays() -> None:
    grid = creps.AxisGrid([0, 0.5], np.array([0.25, 0.5, 1]))
    assert grid.ys.dtype == torch.float64
    assert grid.ys.tolist() == [0, 0.5]
    assert grid.shape == (2, 3)
    assert creps.AxisGrid([0, 1], [0]).ys.is_floating_point()
    assert creps.PointGrid(np.zeros((2, 3, 2))).shape == (2, 3)
    assert creps.AxisGrid(np.zeros(2, np.float32), [0.0]).ys.dtype == torch.float32


def test_a_canvas_serves_as_a_grid(model: Generator) -> None:
    styles, canvas = model.map(creps.latents(7, model)), creps.Canvas(4, 5)
    drawn = model.synthesize(styles, canvas)
    assert torch.equal(drawn, model.synthesize(styles, canvas.grid()))


def test_models_are_loaded_where_they_are_wanted(model: Generator, picture: Any) -> None:
    for device in ("cpu", "auto", torch.device("cpu")):
        assert creps.load("portraits", device=device).device.type in ("cpu", "cuda")
    assert np.array_equal(creps.render(model, **ONE, device="cpu"), picture)
    assert "creps of 64 px, on cpu" in repr(model)


def test_renderers_say_what_they_are(model: Generator) -> None:
    renderer = creps.Renderer(model, seed=7)
    assert repr(renderer) == "<creps.Renderer: creps of 64 px, 1 style, on cpu>"
    sources = renderer.painter(size=(6, 9)), renderer.foveated(size=(6, 9), share=0.5)
    assert [repr(source) for source in sources] == [
        "<creps.Painter: 6 x 9 pixels, 3 channels>",
        "<creps.FoveatedPainter: 6 x 9 pixels, 3 channels>",
    ]


def test_a_still_view_prints_in_a_line() -> None:
    still = creps.view("portraits", 7, static=True)
    assert len(repr(still)) < 100
    assert still._repr_html_().startswith("<img")


def test_a_seed_may_be_an_array_of_no_dimension(model: Generator, picture: Any) -> None:
    for seed in (torch.tensor(7), np.array(7), np.int64(7)):
        assert np.array_equal(creps.render(model, seed=seed, size=(6, 9)), picture)
        assert torch.equal(creps.latents(seed, model), creps.latents([7], model))


def test_a_run_stands_for_its_model(tmp_path: Path, model: Generator) -> None:
    save(model, tmp_path / "run" / "model")
    assert creps.load(tmp_path / "run").config == model.config
    (tmp_path / "young" / "snapshots").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="a run that has not made its model yet"):
        creps.load(tmp_path / "young")


REFUSED: dict[str, tuple[Callable[[Generator], object], type[CrepsError], str]] = {
    "a seed that is no number": (lambda g: creps.latents("7", g), UsageError, "seed '7'"),
    "half a seed": (lambda g: creps.latents(7.5, g), UsageError, "seed 7.5: expected an integer"),  # type: ignore[arg-type]
    "no seeds": (lambda g: creps.render(g, seed=[], size=4), UsageError, "no seeds given"),
    "a keyword of another call": (
        lambda g: creps.render(g, seeds=[7], size=4),  # type: ignore[call-arg]
        UsageError,
        "keyword 'seeds' is unknown: did you mean seed",
    ),
    "a keyword that a renderer lacks": (
        lambda g: creps.Renderer(g, seeds=[7]),  # type: ignore[call-arg]
        UsageError,
        "keyword 'seeds' is unknown",
    ),
    "a keyword that a view lacks": (
        lambda g: creps.Renderer(g, seed=7).picture(sizes=4),  # type: ignore[call-arg]
        UsageError,
        "keyword 'sizes' is unknown: did you mean size",
    ),
    "lists for styles": (
        lambda g: creps.render(g, styles=[7, 12], size=4),  # type: ignore[arg-type]
        UsageError,
        "styles of type list: expected a recipe",
    ),
    "styles in the place of a latent": (
        lambda g: creps.render(g, "7..12@0.4", size=4),  # type: ignore[arg-type]
        UsageError,
        "expected a Latent; or keywords",
    ),
    "a number for a model": (
        lambda g: creps.render(3, seed=7),  # type: ignore[arg-type]
        UsageError,
        "model of type int: expected one of creps.load",
    ),
    "an unknown name": (
        lambda g: creps.render("portrats", seed=7), CheckpointError, "did you mean portraits"
    ),
    "words for latents": (lambda g: g.map("seven"), UsageError, "latents of type str"),  # type: ignore[arg-type]
    "words for coordinates": (lambda g: creps.AxisGrid(["a"], [0]), GridError, "ys of type list"),  # type: ignore[list-item]
    "a size for a grid": (
        lambda g: g.synthesize(g.map(creps.latents(7, g)), 8),  # type: ignore[arg-type]
        GridError,
        "grid of type int: expected a Canvas",
    ),
    "a device that is not here": (
        lambda g: creps.load("portraits", device="xpu"), UsageError, "device xpu: not here"
    ),
    "an unknown device": (
        lambda g: creps.render(g, seed=7, device="gpu"), UsageError, "device gpu: not here"
    ),
    "a truncation of words": (
        lambda g: creps.render(g, seed=7, truncation="0.5"),  # type: ignore[arg-type]
        UsageError,
        "truncation '0.5': expected a number",
    ),
    "arguments the wrong way round": (
        lambda g: creps.latents(g, 7),  # type: ignore[arg-type]
        UsageError,
        "latents for a int: expected seeds, then the generator",
    ),
    "a name for latents": (
        lambda g: creps.latents(7, "portraits"), UsageError, "latents for a str"  # type: ignore[arg-type]
    ),
    "a path to save": (
        lambda g: creps.save("m", g), UsageError, "a str given: expected a generator"  # type: ignore[arg-type]
    ),
    "a path for a picture": (
        lambda g: creps.save_picture("a.png", creps.render(g, seed=7, size=4)),  # type: ignore[arg-type]
        UsageError,
        "a picture of type str: expected pixels",
    ),
    "arrays for styles": (
        lambda g: g.synthesize(np.zeros((1, 11, 128)), creps.Canvas(4, 5)),  # type: ignore[arg-type]
        UsageError,
        "styles of type ndarray: expected a tensor",
    ),
    "a zoom of words": (
        lambda g: creps.render(g, seed=7, size=4, zoom="4"), UsageError, "zoom ('4',): expected"  # type: ignore[arg-type]
    ),
    "a pan of words": (
        lambda g: creps.render(g, seed=7, size=4, pan="0.5,0.5"),  # type: ignore[arg-type]
        UsageError,
        "pan '0.5,0.5': expected (y, x)",
    ),
    "a pan of one number": (
        lambda g: creps.render(g, seed=7, size=4, pan=0.5), UsageError, "pan 0.5: expected"  # type: ignore[arg-type]
    ),
    "a window of words": (
        lambda g: creps.render(g, seed=7, size=4, window="0,0,1,1"),  # type: ignore[arg-type]
        UsageError,
        "window '0,0,1,1': expected (y0, x0, y1, x1)",
    ),
    "half a window": (
        lambda g: creps.render(g, seed=7, size=4, window=(0, 1)),  # type: ignore[typeddict-item]
        UsageError,
        "window (0, 1): expected",
    ),
    "another fit": (
        lambda g: creps.render(g, seed=7, size=4, fit="cover"),  # type: ignore[typeddict-item]
        UsageError,
        "fit 'cover': expected whole or crop",
    ),
    "a truncation that overflows": (
        lambda g: creps.render(g, seed=7, truncation=1e38), UsageError, "truncation 1e+38"
    ),
    "a tensor to save": (
        lambda g: creps.save(torch.ones(2), "m"),  # type: ignore[arg-type]
        UsageError,
        "a Tensor given: expected a generator",
    ),
    "a model as a pickle": (
        lambda g: creps.save(g, "m.pt"), UsageError, "a name that ends with .safetensors"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_what_does_not_work_says_so_in_one_line(
    case: tuple[Callable[[Generator], object], type[CrepsError], str],
    model: Generator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    call, error, words = case
    with pytest.raises(error) as refused:
        call(model)
    message = str(refused.value)
    assert words in message
    assert "\n" not in message
    assert len(message) < 200
    assert list(tmp_path.iterdir()) == []


def test_commands_that_errors_suggest_can_be_pasted(tmp_path: Path) -> None:
    file = tmp_path / "my models" / "it's.pkl"
    with pytest.raises(CheckpointError) as refused:
        creps.load(file)
    _, command = str(refused.value).split("convert it with ")
    assert shlex.split(command) == ["creps", "convert", str(file), "--out", "DIR"]
