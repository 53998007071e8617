"""`creps video`: every motion makes its film, a stop is one line, and the same command resumes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from creps.checkpoints import load, save
from creps.cli._video import COMMANDS
from creps.coordinates import Canvas
from creps.errors import CheckpointError, CrepsError, DataError, GridError, UsageError
from creps.networks.base import build_generator
from creps.rendering import Renderer, render
from creps.rendering._styles import StyleFile, latents, parse_way, save_styles, styles_of
from creps.rendering.output._images import read_settings
from creps.rendering.video import Film, VideoFile, ZoomMotion, write_film
from creps.rendering.video._motion import cruise

app = typer.Typer()
for command in COMMANDS:
    app.command()(command)


def run(*arguments: object) -> Result:
    """A command; frames are small where nothing else is said."""
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, [*words, *([] if "--size" in words else ["--size", "8"])])


def ran(*arguments: object) -> str:
    """Standard output of a command that went well."""
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result.stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    torch.manual_seed(0)
    config = {"resolution": 8, "channel_base": 64, "w_dim": 6, "z_dim": 5, "bandwidth": 1.5}
    save(build_generator("creps", config), folder, record={"credits": "Art by A"})
    return folder


def frames(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)).astype(int) for path in sorted(folder.glob("*.png"))]


def picture(model: Path, *, seed: int = 7, size=(12, 20), window=None) -> np.ndarray:
    default = (0.0, -1 / 3, 1.0, 4 / 3)  # of 12x20
    return render(load(model), seed=seed, size=size, window=window or default).astype(int)


def test_a_zoom_shows_the_windows_it_should(model, tmp_path):
    out = tmp_path / "clip"
    words = ran(
        "zoom", "--model", model, "--out", out, "--size", "12x20", "--frames", 5,
        "--octaves", 4, "--focus", "0.4,0.6", "--seed", 3,
    )  # fmt: skip
    assert f"{out}: 5 frames of 12x20, " in words
    shown = frames(out)
    assert len(shown) == 5
    zoom = ZoomMotion((0.0, -1 / 3, 1.0, 4 / 3), (0.4, 0.6), 4)
    for k, frame in enumerate(shown):
        window = zoom.at(cruise(k / 4)).window
        assert np.abs(frame - picture(model, seed=3, window=window)).max() <= 1
    assert np.abs(shown[0] - shown[1]).max() > 10


def test_a_zoom_and_a_pan_end_in_the_window_asked_for(model, tmp_path):
    common = "--model", model, "--size", "12x20", "--frames", 3, "--to-window", "0.2,0.3,0.3,0.5"
    for name in ("zoom", "pan"):
        ran(name, *common, "--out", tmp_path / name)
        first, _, last = frames(tmp_path / name)
        assert np.abs(first - picture(model)).max() <= 1
        assert np.abs(last - picture(model, window=(0.2, 0.3, 0.3, 0.5))).max() <= 1


def test_an_endless_zoom_ends_where_it_began(model, tmp_path):
    words = "zoom", "--model", model, "--size", "24x40", "--octaves", 2, "--focus", "0.4,0.6"
    ran(*words, "--endless", "--frames", 8, "--out", tmp_path / "endless")
    shown = frames(tmp_path / "endless")
    motion = ZoomMotion((0.0, -1 / 3, 1.0, 4 / 3), (0.4, 0.6), 2, endless=True)
    film = Film(motion=motion, size=(24, 40), seeds=(7,))
    file = VideoFile(path=tmp_path / "open", count=9)
    write_film(load(model), film, file)
    whole = frames(tmp_path / "open")
    for k in range(8):
        assert np.abs(shown[k] - whole[k]).max() <= 1
    assert np.abs(whole[8] - whole[0]).max() <= 1  # magnified by a copy's octaves it is the same
    assert np.abs(whole[4] - whole[0]).max() > 10
    plain = picture(model, size=(24, 40))
    nest = motion.at(0).nest
    assert nest is not None
    rings, shares = nest.rings(Canvas(24, 40, motion.start))
    own = (rings == 0) & (shares == 1)  # of the first copy alone
    assert own.any()
    assert np.abs(shown[0] - plain)[own].max() <= 1
    inner = np.argwhere(rings >= 1)
    middle = np.array([0.4 * 24, (0.6 + 1 / 3) * 24])
    assert len(inner)
    assert np.abs(inner.mean(0) - middle).max() < 1.5  # copies lie about the focus


def test_an_endless_zoom_outwards_is_the_way_back(model, tmp_path):
    for octaves in (2, -2):
        words = "--octaves", octaves, "--endless", "--frames", 4, "--out", tmp_path / str(octaves)
        ran("zoom", "--model", model, "--size", 24, *words)
    inwards, outwards = frames(tmp_path / "2"), frames(tmp_path / "-2")
    for k in range(4):
        assert np.abs(outwards[k] - inwards[-k % 4]).max() <= 1


def test_films_take_recipes_of_styles(model, tmp_path):
    generator = load(model)
    for recipe in ("7..12@0.25", "7+12:1-2"):
        out = tmp_path / str(len(recipe))
        ran("zoom", "--model", model, "--out", out, "--frames", 2, "--styles", recipe)
        assert np.abs(frames(out)[0] - render(generator, styles=recipe, size=8)).max() <= 1
    out = tmp_path / "way"
    words = "--styles", "7+12:1-2/3..5@0.5", "--frames", 3, "--out", out
    ran("interpolate", "--model", model, *words)
    shown = frames(out)
    ends = [styles_of(recipe, generator) for recipe in ("7+12:1-2", "3..5@0.5")]
    for k, styles in enumerate((ends[0], (ends[0] + ends[1]) / 2, ends[1])):
        assert np.abs(shown[k] - render(generator, styles=styles, size=8)).max() <= 1


def test_films_take_changed_files_of_styles(model, tmp_path):
    generator, file = load(model), tmp_path / "a b.safetensors"
    save_styles(file, generator.map(latents([3], generator)))
    out = tmp_path / "clip"
    words = "--styles", f"{file}+12:1-2/5", "--frames", 2, "--out", out
    ran("interpolate", "--model", model, *words)
    expected = render(generator, styles="3+12:1-2", size=8)
    assert np.abs(frames(out)[0] - expected).max() <= 1


def test_frames_are_cropped_or_say_what_lies_beyond(model, tmp_path):
    words = "rotate", "--model", model, "--frames", 1, "--size", "6x10"
    told = run(*words, "--out", tmp_path / "a").stderr
    assert "40 % of the first frame lies beyond what was trained; --fit crop" in told
    wide = run(*words, "--window=-1,-1,1,1", "--out", tmp_path / "c").stderr
    assert "75 % of the first frame lies beyond" in wide
    assert "--fit" not in wide
    assert "beyond" not in run(*words, "--fit", "crop", "--out", tmp_path / "b").stderr
    expected = render(load(model), seed=7, size=(6, 10), fit="crop", supersample="auto")
    assert np.abs(frames(tmp_path / "b")[0] - expected).max() <= 1


def test_a_pan_to_a_point_keeps_the_scale(model, tmp_path):
    ran(
        "pan", "--model", model, "--out", tmp_path / "clip", "--size", "12x20", "--frames", 3,
        "--from-window", "0,0,0.6,1", "--to", "-0.2,1",
    )  # fmt: skip
    last = frames(tmp_path / "clip")[-1]
    assert np.abs(last - picture(model, window=(-0.5, 0.5, 0.1, 1.5))).max() <= 1


def test_a_turn_comes_round(model, tmp_path):
    ran("rotate", "--model", model, "--out", tmp_path / "a", "--size", 16, "--frames", 5)
    shown = frames(tmp_path / "a")
    for quarter, frame in enumerate(shown):
        assert np.abs(frame - np.rot90(shown[0], quarter)).max() <= 1
    ran("rotate", "--model", model, "--out", tmp_path / "b", "--size", 16, "--frames", 4, "--loop")
    np.testing.assert_array_equal(frames(tmp_path / "b"), shown[:4])


@pytest.mark.slow
@pytest.mark.parametrize("space", ["w", "z"])
def test_a_way_through_seeds_meets_them(model, tmp_path, space):
    common = "--model", model, "--size", "12x20", "--seeds", "5,1,9", "--space", space
    ran("interpolate", *common, "--out", tmp_path / "a", "--frames", 5)
    shown = frames(tmp_path / "a")
    for seed, frame in zip((5, 1, 9), shown[::2], strict=True):
        assert np.abs(frame - picture(model, seed=seed)).max() <= 1
    ran("interpolate", *common, "--out", tmp_path / "b", "--frames", 6, "--loop")
    loop = frames(tmp_path / "b")
    np.testing.assert_array_equal(loop[:5], shown)
    assert np.abs(loop[5] - loop[0]).max() > 2
    assert np.abs(loop[5] - loop[4]).max() > 2


def test_a_warp_ends_whole(model, tmp_path):
    ran(
        "warp", "--model", model, "--out", tmp_path / "clip", "--size", "12x20", "--frames", 3,
        "--warp", "translate:0.25,0.5",
    )  # fmt: skip
    first, half, last = frames(tmp_path / "clip")
    assert np.abs(first - picture(model)).max() <= 1
    assert np.abs(half - picture(model, window=(-0.125, -7 / 12, 0.875, 13 / 12))).max() <= 1
    assert np.abs(last - picture(model, window=(-0.25, -5 / 6, 0.75, 5 / 6))).max() <= 1


def test_the_default_is_four_seconds(model, tmp_path):
    words = ran("pan", "--model", model, "--out", tmp_path / "clip.gif", "--to", "1,1", "--fps", 3)
    assert "12 frames of 8x8" in words
    with Image.open(tmp_path / "clip.gif") as image:
        assert image.size == (8, 8)


def test_frames_say_how_they_were_made(model, tmp_path):
    out = tmp_path / "clip"
    ran(
        "interpolate", "--model", model, "--out", out, "--frames", 2, "--seeds", "0,4",
        "--truncation", 0.5, "--supersample", 2,
    )  # fmt: skip
    settings = read_settings(out / "frame-000001.png")
    assert settings["seeds"] == [0, 4]
    assert settings["motion"]["kind"] == "interpolate"
    assert settings["truncation"] == 0.5
    assert settings["supersample"] == 2
    assert settings["credits"] == "Art by A"
    assert settings["frame"] == 1


def test_a_full_disk_is_one_line_that_says_what_is_kept(model, tmp_path, monkeypatch):
    out = tmp_path / "clip.gif"
    command = ("pan", "--model", model, "--out", out, "--frames", 4, "--to", "0,0")
    synced, left = os.fsync, iter(range(3))  # the settings and two frames

    def full(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        stopped = run(*command).exception
    assert isinstance(stopped, CrepsError)
    assert str(stopped) == (
        f"{out}.frames/frame-000002.png: No space left on device: 2 of 4 frames are in "
        f"{out}.frames, the same command resumes"
    )
    assert "2 of them were there" in ran(*command)


def test_a_zoom_out_is_antialiased_where_the_model_has_finer_detail(model, tmp_path):
    out = tmp_path / "clip"
    ran(
        "zoom", "--model", model, "--out", out, "--frames", 3, "--octaves", -3, "--easing", "linear"
    )
    window = ZoomMotion((0.0, 0.0, 1.0, 1.0), (0.5, 0.5), -3).at(1).window
    plain, smooth = (
        render(load(model), seed=7, size=8, window=window, supersample=n).astype(int)
        for n in (1, "auto")
    )
    last = frames(out)[-1]
    assert np.abs(last - smooth).max() <= 1
    assert np.abs(last - plain).max() > 5


def test_the_same_command_goes_on_and_another_is_refused(model, tmp_path):
    out = tmp_path / "clip"
    command = ("rotate", "--model", model, "--out", out, "--frames", 4, "--degrees", 90)
    ran(*command)
    before = [path.read_bytes() for path in sorted(out.iterdir())]
    (out / "frame-000002.png").unlink()
    assert "3 of them were there" in ran(*command)
    assert [path.read_bytes() for path in sorted(out.iterdir())] == before
    refused = run(*command, "--truncation", 0.5)
    assert isinstance(refused.exception, UsageError)
    assert "was begun with truncation 1.0, not 0.5" in str(refused.exception)
    ran(*command, "--truncation", 0.5, "--overwrite")
    assert json.loads((out / "settings.json").read_text())["truncation"] == 0.5


def test_other_weights_of_the_same_name_are_another_film(model, tmp_path):
    copy = tmp_path / "model"
    command = ("pan", "--model", copy, "--out", tmp_path / "clip", "--frames", 2, "--to", "0,0")
    generator = load(model)
    save(generator, copy)
    ran(*command)
    generator.mapping.average += 1
    save(generator, copy)
    refused = run(*command)
    assert isinstance(refused.exception, UsageError)
    assert "was begun with weights" in str(refused.exception)


def test_an_interruption_is_one_line_that_says_what_is_kept(model, tmp_path, monkeypatch):
    out = tmp_path / "clip.gif"
    command = ("pan", "--model", model, "--out", out, "--frames", 4, "--to", "0,0")
    picture, left = Renderer.picture, iter(range(2))

    def interrupted(*arguments, **options):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return picture(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Renderer, "picture", interrupted)
        stopped = run(*command).exception
    assert isinstance(stopped, CrepsError)
    assert stopped.exit_code == 1
    assert str(stopped) == (
        f"interrupted: 2 of 4 frames are in {out}.frames, the same command resumes"
    )
    assert "2 of them were there" in ran(*command)
    assert {path.name for path in tmp_path.iterdir()} == {"clip.gif"}


HANGS_AT_FRAME_3 = """
import itertools, sys, time
from creps.rendering import Renderer
from test_cli_video import app
picture, frames = Renderer.picture, itertools.count()
def hang(*arguments, **options):
    if next(frames) == 3:
        print("hangs", flush=True)
        time.sleep(3600)
    return picture(*arguments, **options)
Renderer.picture = hang
app(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_film(model, tmp_path):
    def command(name: str) -> list[str]:
        options = ["--size", "24x32", "--frames", "6", "--fps", "25"]
        return ["zoom", "--model", str(model), "--out", str(tmp_path / name), *options]

    search = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", HANGS_AT_FRAME_3, *command("clip.gif")],
        env={**os.environ, "PYTHONPATH": search},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        process.send_signal(signal.SIGKILL)
    assert {path.name for path in tmp_path.iterdir()} == {"clip.gif.frames"}
    assert "3 of them were there" in ran(*command("clip.gif"))
    ran(*command("unbroken.gif"))
    assert (tmp_path / "clip.gif").read_bytes() == (tmp_path / "unbroken.gif").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"clip.gif", "unbroken.gif"}


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ("zoom --octaves 50 --size 256", GridError, "too small for float64"),
        ("zoom --octaves -40", GridError, "expected edges within"),
        ("zoom --octaves nan", GridError, "expected finite numbers"),
        ("zoom --focus 0.5", UsageError, "focus '0.5': expected two numbers Y,X"),
        ("zoom --octaves 2 --to-window 0,0,1,1", UsageError, "leave --octaves and --focus out"),
        ("zoom --from-window 0,0,0,1", GridError, "is empty"),
        ("zoom --endless --to-window 0,0,1,1", UsageError, "has no last window"),
        ("zoom --endless --octaves 0.5", GridError, "expected an octave or more"),
        ("zoom --endless --focus 2,0.5", GridError, "about a point that is seen"),
        ("zoom --seed 3 --styles 7..12@0.5", UsageError, "--seed and --styles given"),
        ("zoom --styles 7/12", UsageError, "expected one picture; creps video interpolate"),
        ("zoom --styles none.safetensors", DataError, "none.safetensors: no such file"),
        ("zoom --styles 7+12", UsageError, "names no layers"),
        ("pan --to 1,1 --fit cover", UsageError, "fit 'cover': expected whole or crop"),
        ("interpolate --styles 7", UsageError, "or recipes joined by /"),
        ("interpolate --styles 7+12:4-8", UsageError, "or recipes joined by /"),
        ("interpolate --styles 7..", UsageError, "way '7..': expected seeds"),
        ("interpolate --space z --styles 7+12:1/3", UsageError, "is no latent"),
        ("zoom --easing smoth", UsageError, "unknown easing 'smoth'"),
        ("zoom --frames 3 --seconds 2", UsageError, "--frames and --seconds given"),
        ("zoom --frames 0", UsageError, "0 frames: expected 1 to 100,000"),
        ("zoom --frames 100001", UsageError, "expected 1 to 100,000"),
        ("zoom --seconds nan", UsageError, "expected finite times"),
        ("zoom --fps 0", UsageError, "0 frames a second"),
        ("zoom --size 0", GridError, "0x0"),
        ("zoom --size 99999 --fps 20", GridError, "memory"),
        ("zoom --seed -1", UsageError, "seed -1"),
        ("zoom --class 3 --frames 2", CrepsError, "unconditional"),
        ("zoom --truncation inf", UsageError, "truncation inf"),
        (
            "zoom --supersample 17",
            UsageError,
            "supersample '17': expected auto, or a number from 1 to 16",
        ),
        ("pan", UsageError, "either --to Y,X or --to-window"),
        ("pan --to 1,1 --to-window 0,0,1,1", UsageError, "either --to Y,X or --to-window"),
        ("rotate --degrees inf", GridError, "expected a finite number"),
        ("rotate --degrees 1e30", GridError, "up to 1,000,000,000 either way"),
        ("interpolate --seeds 3", UsageError, "expected at least 2"),
        ("warp --warp twist:3", UsageError, "unknown warp 'twist'"),
    ],
)
def test_misuse_is_one_line_and_leaves_nothing(model, tmp_path, arguments, error, words):
    name, *options = arguments.split()
    result = run(name, "--model", model, "--out", tmp_path / "new" / "clip", *options)
    assert isinstance(result.exception, error), result.exception
    assert words in str(result.exception)
    assert "\n" not in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_refusals_come_before_the_model_is_looked_for(tmp_path):
    (tmp_path / "clip.gif").write_text("mine")
    result = run("zoom", "--model", tmp_path / "none", "--out", tmp_path / "clip.gif")
    assert isinstance(result.exception, UsageError)
    assert "exists" in str(result.exception)
    result = run("zoom", "--model", tmp_path / "none", "--out", tmp_path / "clip")
    assert isinstance(result.exception, CheckpointError)


def test_odd_sizes_of_mp4_are_refused_before_the_model_is_looked_for(tmp_path):
    pytest.importorskip("av")
    out = tmp_path / "clip.mp4"
    result = run("zoom", "--model", tmp_path / "none", "--out", out, "--size", "31x48")
    assert isinstance(result.exception, GridError)
    assert "even sides such as 32x48" in str(result.exception)


@pytest.mark.parametrize("name", [command.__name__ for command in COMMANDS])
def test_every_motion_has_the_options_of_a_film(name):
    words = ran(name, "--help")
    for option in ("--out", "--model", "--seconds", "--loop", "--overwrite", "--crf"):
        assert option in words
    assert "--film" not in words
    assert "512" in words
    assert "auto" in words


@pytest.mark.parametrize("octaves", ["60", "100", "1000"])
def test_a_zoom_deeper_than_float64_says_so(model, tmp_path, octaves):
    result = run("zoom", "--model", model, "--octaves", octaves, "--out", tmp_path / "deep.mp4")
    assert isinstance(result.exception, GridError)
    assert "zoom in less deep" in str(result.exception)


def test_a_film_leads_through_stored_styles_and_seeds(tmp_path: Path) -> None:
    network = load("portraits")
    folder = tmp_path / "a..b"
    folder.mkdir()
    files = [folder / f"{seed}.safetensors" for seed in (0, 1)]
    for seed, path in enumerate(files):
        save_styles(path, network.map(latents([seed], network)))
    way, frames = f"{files[0]}..12..{files[1]}", tmp_path / "frames"
    assert parse_way(way) == (StyleFile(str(files[0])), 12, StyleFile(str(files[1])))
    command = ["interpolate", "--size", "16", "--frames", "5", "--out", frames]
    ran(*command, "--styles", way)
    pictures = [np.asarray(Image.open(path)) for path in sorted(frames.glob("*.png"))]
    assert len(pictures) == 5
    for index, seed in ((0, 0), (2, 12), (4, 1)):
        expected = render(network, seed=seed, size=16, supersample="auto")
        np.testing.assert_array_equal(pictures[index], expected)
    for words, told in (
        (["--styles", "7..face.png"], "expected seeds and files that end with"),
        (["--styles", "7.."], "expected seeds and files"),
        (["--styles", f"{tmp_path}/none.safetensors..7"], "no such file of styles"),
        (["--styles", way, "--seeds", "3"], "expected one of them"),
        (["--styles", way, "--space", "z"], "is no latent: expected space w"),
    ):
        assert told in str(run(*command, *words).exception)
