"""`creps render`: files hold what `creps.render` shows, stops go on, shares make the whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

import creps
from creps.checkpoints import load, save, weights_id
from creps.cli import app
from creps.errors import CheckpointError, CrepsError, GridError, LabelError, UsageError
from creps.networks.base import build_generator
from creps.rendering._painter import Painter
from creps.rendering._styles import styles_of
from creps.rendering.output import _save as writing
from creps.rendering.output._images import UNFINISHED, read_settings
from test_rendering_renderer import TINY, differ

SIZE = (70, 90)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine chunks a picture, which counts as a large one."""
    monkeypatch.setattr(writing, "SMALL", 0)
    monkeypatch.setattr(writing, "CHUNK", 32)
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(2)
    generator = build_generator("creps", TINY)
    generator.to_rgb.weight.mul_(8)
    save(generator, folder, record={"credits": "Art by A"})
    return folder


def run(*arguments: object) -> Result:
    """The command; errors of the user are raised, as `main` sees them."""
    result = CliRunner().invoke(app, ["render", *map(str, arguments)])
    if result.exception:
        raise result.exception
    return result


def drawn(model: Path, out: Path, *arguments: object) -> np.ndarray:
    """The picture that the command writes."""
    run("--model", model, "--size", "70x90", "--out", out, *arguments)
    return pixels(out)


def pixels(path: Path) -> np.ndarray:
    if path.suffix == ".tif":
        return tifffile.imread(path)
    if path.suffix == ".zarr":
        return np.moveaxis(np.asarray(zarr.open_group(path, mode="r")["0"]), 0, 2)
    with Image.open(path) as image:
        return np.asarray(image)


def stopping_after(count: int) -> Callable[..., np.ndarray]:
    """`Painter.pixels` that is interrupted after so many chunks."""
    paint, left = Painter.pixels, iter(range(count))

    def interrupted(*arguments, **options):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return paint(*arguments, **options)

    return interrupted


@pytest.mark.parametrize("suffix", [".tif", ".png", ".zarr"])
def test_the_file_holds_what_python_shows(model, tmp_path, suffix) -> None:
    out = tmp_path / "new" / f"a{suffix}"
    picture = drawn(model, out, "--seed", 3, "--truncation", 0.5, "--cutoff", 2)
    expected = creps.render(load(model), seed=3, size=SIZE, truncation=0.5, truncation_cutoff=2)
    assert differ(picture, expected) <= 1
    assert picture.std() > 5
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_last_line_says_where_and_how_large(model, tmp_path) -> None:
    out = tmp_path / "a.png"
    result = run("--model", model, "--out", out)
    assert result.stdout.startswith(f"{out}: 16x16 pixels, {out.stat().st_size / 1e3:.1f} kB, ")
    assert "all pixels are rendered, writing a.png" in result.stderr


def test_the_file_says_how_it_was_made(model, tmp_path) -> None:
    out = tmp_path / "a.png"
    drawn(model, out, "--warp", "rotate:30", "--supersample", 2, "--window", "0,0,1,2")
    settings = read_settings(out)
    assert settings["seed"] == 7
    assert settings["size"] == [70, 90]
    assert settings["window"] == [0, 0, 1, 2]
    assert settings["warp"] == "rotate:30"
    assert settings["supersample"] == 2
    assert settings["credits"] == "Art by A"
    assert settings["weights"] == weights_id(load(model))
    assert "maps" not in settings


@pytest.mark.parametrize("warp", ["identity", "rotate:360"])
def test_warps_that_change_nothing_leave_every_bit(model, tmp_path, warp) -> None:
    plain = drawn(model, tmp_path / "plain.png")
    assert np.array_equal(drawn(model, tmp_path / "warped.png", "--warp", warp), plain)


@pytest.mark.slow
@pytest.mark.parametrize("samples", ["2", "auto"])
def test_warps_samples_and_recipes_are_those_of_python(model, tmp_path, samples) -> None:
    picture = drawn(
        model, tmp_path / "a.png", "--warp", "rotate:30+barrel:0.2", "--styles", "7..12@0.4",
        "--supersample", samples, "--window", "-1,-1,2,2.5",
    )  # fmt: skip
    generator = load(model)
    expected = creps.render(
        generator,
        styles=styles_of("7..12@0.4", generator),
        size=SIZE,
        window=(-1, -1, 2, 2.5),
        warp="rotate:30+barrel:0.2",
        supersample=2 if samples == "2" else "auto",
    )
    assert differ(picture, expected) <= 1


def test_supersampled_pixels_are_means_of_a_larger_picture(model, tmp_path) -> None:
    means = creps.render(load(model), seed=7, size=(140, 180)).reshape(70, 2, 90, 2, 3)
    picture = drawn(model, tmp_path / "a.png", "--supersample", 2)
    assert np.abs(picture - means.mean((1, 3))).max() <= 1


def test_an_interruption_is_one_line_and_the_same_command_goes_on(
    model, tmp_path, monkeypatch
) -> None:
    out = tmp_path / "a.tif"
    with monkeypatch.context() as patch:
        patch.setattr(Painter, "pixels", stopping_after(2))
        with pytest.raises(CrepsError) as stopped:
            drawn(model, out)
    assert stopped.value.exit_code == 1
    assert str(stopped.value) == (
        f"interrupted: 33% of the pixels are in {out}.part, the same command resumes"
    )
    with monkeypatch.context() as patch:
        patch.setattr(Painter, "pixels", stopping_after(7))  # enough for what is left
        with pytest.raises(UsageError, match="was begun with seed 7, not 8"):
            drawn(model, out, "--seed", 8)
        picture = drawn(model, out)
    assert np.array_equal(picture, drawn(model, tmp_path / "unbroken.tif"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "unbroken.tif"]


def test_work_that_is_done_is_not_done_again(model, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Painter, "pixels", stopping_after(7))
        with pytest.raises(CrepsError, match="94%"):  # 2 rows of chunks, and 6x32
            drawn(model, tmp_path / "a.png")
    monkeypatch.setattr(Painter, "pixels", stopping_after(2))
    assert drawn(model, tmp_path / "a.png").shape == (*SIZE, 3)


@pytest.mark.parametrize("by_environment", [False, True])
def test_shares_make_the_whole(model, tmp_path, monkeypatch, by_environment) -> None:
    out = tmp_path / "a.png"

    def share(number: int) -> str:
        if not by_environment:
            options = ["--shard", f"{number}/2"]
        else:
            monkeypatch.setenv("RANK", str(number - 1))
            monkeypatch.setenv("WORLD_SIZE", "2")
            options = []
        return run("--model", model, "--size", "70x90", "--out", out, *options).stdout

    assert share(1).startswith(f"{out}: share 1/2 is done, 5 of 9 chunks are left to others, ")
    assert not out.exists()
    assert share(2).startswith(f"{out}: 70x90 pixels")
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert np.array_equal(pixels(out), drawn(model, tmp_path / "whole.png"))


def test_other_weights_or_maps_of_the_same_name_are_another_picture(
    model, tmp_path, monkeypatch
) -> None:
    copy, out, places = tmp_path / "model", tmp_path / "a.png", tmp_path / "map.npy"
    generator = load(model)
    save(generator, copy)
    np.save(places, np.random.RandomState(0).rand(3, 4, 2))
    with monkeypatch.context() as patch:
        patch.setattr(Painter, "pixels", stopping_after(1))
        with pytest.raises(CrepsError, match="interrupted"):
            drawn(copy, out, "--warp", f"rotate:30+map:{places}")
    np.save(places, np.random.RandomState(1).rand(3, 4, 2))
    with pytest.raises(UsageError, match="begun with maps"):
        drawn(copy, out, "--warp", f"rotate:30+map:{places}")
    np.save(places, np.random.RandomState(0).rand(3, 4, 2))
    generator.mapping.average += 1
    save(generator, copy)
    with pytest.raises(UsageError, match="begun with weights"):
        drawn(copy, out, "--warp", f"rotate:30+map:{places}")


def test_a_file_that_is_there_is_replaced_only_if_asked(model, tmp_path) -> None:
    out = tmp_path / "a.png"
    out.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        drawn(model, out)
    assert out.read_text() == "mine"
    assert drawn(model, out, "--overwrite").shape == (*SIZE, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "zarr", "dzi"])
def test_a_picture_of_the_same_settings_is_complete(model, tmp_path, suffix) -> None:
    """So loops that try again end; other settings are in the way, and --overwrite draws again."""
    out = tmp_path / f"a.{suffix}"
    command = ["render", "--model", str(model), "--size", "20x30", "--out", str(out)]
    runner = CliRunner()
    assert runner.invoke(app, command).exit_code == 0
    before = out.stat().st_mtime_ns
    again = runner.invoke(app, command)
    assert (again.exit_code, out.stat().st_mtime_ns) == (0, before)
    assert "is complete, of the same settings" in again.output
    chunks, theirs = out.with_name(f"{out.name}.part"), read_settings(out)
    for settings, stays in ((theirs, False), (theirs | {"seed": 8}, True)):
        chunks.mkdir()  # as a process leaves them that is killed when the picture is there
        (chunks / UNFINISHED).write_text(json.dumps({"settings": settings}))
        assert "is complete" in runner.invoke(app, command).output
        assert chunks.exists() == stays
    shutil.rmtree(chunks)
    with pytest.raises(UsageError, match="exists"):
        runner.invoke(app, [*command, "--seed", "8"], catch_exceptions=False)
    os.utime(out, (2e9, 2e9))  # of the future
    assert runner.invoke(app, [*command, "--overwrite"]).exit_code == 0
    assert out.stat().st_mtime < 2e9


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ("--out a.bmp", UsageError, "unknown picture format"),
        ("--out a.webp --size 20000", GridError, "at most 16383 pixels"),
        ("--size 0", GridError, "at least 1 pixel"),
        ("--size 1x2x3", UsageError, "HEIGHTxWIDTH"),
        ("--window 0,0,0,1", GridError, "empty"),
        ("--truncation nan", UsageError, "truncation nan"),
        ("--cutoff -1", UsageError, "cutoff -1"),
        ("--seed -1", UsageError, "seed -1"),
        ("--seed 1 --styles 2", UsageError, "--seed and --styles given"),
        ("--styles 7..12", UsageError, "styles '7..12'"),
        ("--warp twist:3", UsageError, "unknown warp 'twist'"),
        ("--warp map:none.npy", GridError, "none.npy cannot be read"),
        ("--supersample 0", UsageError, "supersample '0': expected auto"),
        ("--supersample 17", UsageError, "from 1 to 16"),
        ("--shard 3/2", UsageError, "shard 3/2"),
    ],
)
def test_misuse_is_told_before_the_model_is_looked_for(
    tmp_path, monkeypatch, arguments, error, words
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as told:
        run("--model", "none", "--out", "a.png", *arguments.split())
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_what_only_the_model_can_tell_leaves_nothing(model, tmp_path) -> None:
    out = tmp_path / "new" / "a.png"
    with pytest.raises(LabelError, match="unconditional"):
        run("--model", model, "--out", out, "--class", 1)
    with pytest.raises(UsageError, match="layer"):
        run("--model", model, "--out", out, "--styles", "7+12:400")
    with pytest.raises(CheckpointError):
        run("--model", tmp_path / "none", "--out", out)
    assert list(tmp_path.iterdir()) == []


def test_the_tolerance_is_recorded_and_its_effect_told(tmp_path: Path) -> None:
    view = ("--size", "256x300", "--zoom", 20, "--pan", "0.4,0.5")
    told = run(*view, "--out", tmp_path / "some.png").output
    assert float(told.split(" % of the pixels evaluated")[0].split()[-1]) < 60
    assert read_settings(tmp_path / "some.png")["tolerance"] == 0.5
    told = run(*view, "--tolerance", 0, "--out", tmp_path / "all.png").output
    assert "100 % of the pixels evaluated" in told
    assert "tolerance" not in read_settings(tmp_path / "all.png")
    assert differ(pixels(tmp_path / "some.png"), pixels(tmp_path / "all.png")) <= 1


@pytest.mark.parametrize("tolerance", ["-1", "nan", "inf", "65"])
def test_impossible_tolerances_are_refused(tmp_path: Path, tolerance: str) -> None:
    with pytest.raises(UsageError, match=r"tolerance .* expected 0"):
        run("--tolerance", tolerance, "--out", tmp_path / "a.png")


def test_another_tolerance_does_not_continue_a_picture(tmp_path: Path) -> None:
    view = ("--size", 520, "--zoom", 9, "--out", tmp_path / "a.tif")
    run(*view, "--shard", "1/2")
    with pytest.raises(UsageError, match=r"begun with tolerance 0\.5, not 0\.2"):
        run(*view, "--shard", "2/2", "--tolerance", 0.2)


def test_what_lies_beyond_the_training_is_said(model: Path, tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        return run("--model", model, "--out", tmp_path / "a.png", "--overwrite", *arguments).stderr

    assert "40 % of this lies beyond what was trained; --fit crop shows" in said("--size", "30x50")
    assert "--fit" not in said("--size", "8", "--window=-1,-1,1,1")
    assert "75 % of this lies beyond" in said("--size", "8", "--window=-1,-1,1,1")
    turned = said("--size", "30x50", "--warp", "rotate:45")
    assert "beyond" in turned
    assert "--fit" not in turned
    assert "--fit" not in said("--size", "30x50", "--zoom", "0.5")
    for inside in (["--size", "8"], ["--size", "30x50", "--fit", "crop"], ["--size", "8x9"]):
        beyond = "beyond" in said(*inside)
        assert beyond == (inside[1] == "8x9")
    sheet = ["generate", "--model", str(model), "--seeds", "0-1", "--size", "6x10"]
    result = CliRunner().invoke(app, [*sheet, "--out", str(tmp_path)])
    assert result.stderr.count("40 % of this lies beyond what was trained") == 1


def test_a_crop_is_a_part_of_the_square(model: Path, tmp_path: Path) -> None:
    cropped = drawn(model, tmp_path / "a.png", "--fit", "crop", "--exact")
    edge = (1 - 70 / 90) / 2
    part = drawn(model, tmp_path / "b.png", "--window", f"{edge},0,{1 - edge},1", "--exact")
    assert differ(cropped, part) <= 1
    with pytest.raises(UsageError, match="--window given with --zoom, --pan or --fit"):
        run("--fit", "crop", "--window", "0,0,1,1", "--out", tmp_path / "c.png")
    with pytest.raises(UsageError, match="fit 'cover': expected whole or crop"):
        run("--fit", "cover", "--out", tmp_path / "c.png")


@pytest.fixture(scope="module")
def texture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texture")
    torch.manual_seed(2)
    save(build_generator("creps", {**TINY, "period": [1, 1]}), folder)
    return folder


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.zarr"])
def test_tiles_close_on_themselves_in_files_and_shards(
    texture: Path, tmp_path: Path, name: str
) -> None:
    """A period of 35x30 pixels has other borders than the chunks of 32."""
    out, words = tmp_path / name, ["--model", texture, "--size", "70x90", "--tile", "2x3"]
    for shard in ("1/2", "2/2"):
        run(*words, "--out", out, "--shard", shard)
    picture = pixels(out)
    assert picture.std() > 0
    np.testing.assert_array_equal(picture, np.tile(picture[:35, :30], (2, 3, 1)))
    np.testing.assert_array_equal(
        picture, creps.render(texture, seed=7, size=(70, 90), tile=(2, 3))
    )


def test_a_tile_of_one_number_is_as_high(texture: Path, tmp_path: Path) -> None:
    run("--model", texture, "--size", "40", "--tile", "2x3", "--out", tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").shape[:2] == (40, 60)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tile", "2x"], "expected whole periods, DOWNxACROSS such as 2x3"),
        (["--tile", "0"], "expected whole periods"),
        (["--tile", "2", "--zoom", "2"], "--tile and --zoom given"),
        (["--tile", "2", "--window", "0,0,1,1"], "--tile and --window given"),
        (["--tile", "2", "--styles", "7/12", "--blend", "gradient"], "--tile and --blend given"),
        (["--tile", "2", "--foveated", "0.5"], "--tile and --foveated given"),
        (["--tile", "4x4", "--size", "70x90"], "such as 72x88"),
    ],
)
def test_tiles_that_cannot_be_are_refused(
    texture: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    out = tmp_path / "a.png"
    with pytest.raises(CrepsError, match=message):
        run("--model", texture, "--out", out, *words)
    assert not out.exists()


def test_models_that_do_not_repeat_have_no_tiles(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"do not repeat.* creps train --tile"):
        run("--model", model, "--size", "64", "--tile", "2", "--out", tmp_path / "a.png")
