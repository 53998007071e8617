"""Views, prints, several styles, foveation on the command line, and its words of refusal."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import creps
from creps.checkpoints import load, save
from creps.cli._options import joined_size, parse_dpi, parse_size, print_size
from creps.cli._progress import report
from creps.errors import CrepsError, DataError, GridError, UsageError
from creps.networks.base import build_generator
from creps.rendering._view import view_window
from creps.rendering._words import parse_point
from creps.rendering.output import _save as writing
from creps.rendering.output._images import read_settings
from test_cli_render import pixels, run
from test_rendering_renderer import TINY, differ


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(2)
    generator = build_generator("creps", TINY)
    generator.to_rgb.weight.mul_(8)
    save(generator, folder)
    return folder


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def made(model: Path, out: Path, *arguments: object) -> np.ndarray:
    run("--model", model, "--out", out, *arguments)
    return pixels(out)


# Sizes and views


@pytest.mark.parametrize(
    ("text", "dpi", "pixels"),
    [
        ("1024", None, (1024, 1024)),
        (" 768 X 1280 ", 300, (768, 1280)),
        ("768x1280px", None, (768, 1280)),
        ("8x10in", 300, (2400, 3000)),
        ("25.4mm", 150, (150, 150)),
        ("30x40cm", 300, (3543, 4724)),
        ("1.5×2in", 100, (150, 200)),
    ],
)
def test_sizes_in_pixels_and_on_paper(text, dpi, pixels) -> None:
    assert parse_size(text, dpi=dpi) == pixels


@pytest.mark.parametrize(
    "text", ["", "x", "12x", "1x2x3", "12.5", "1.5x2", "10 x 15 ft", "cm", "-3cm", "1e3", "nan"]
)
def test_other_sizes_are_refused(text) -> None:
    with pytest.raises(UsageError, match="HEIGHTxWIDTH as 768x1280, or a print size"):
        parse_size(text, dpi=300)


def test_a_length_needs_a_resolution() -> None:
    with pytest.raises(UsageError, match="is a length: say how many pixels an inch too"):
        parse_size("30x40cm")
    for text in ("0", "nan", "-300", "70000", "fine"):
        with pytest.raises(UsageError, match="expected pixels an inch, 1 to 65535"):
            parse_dpi(text)
    with pytest.raises(UsageError, match=r"pan '0\.5': expected two numbers Y,X"):
        parse_point("0.5", "pan")


def test_a_view_is_the_window_it_says(model, tmp_path) -> None:
    words = "--size", "18x24", "--zoom", 4, "--pan", "0.3,0.6"
    window = view_window(18, 24, zoom=4, pan=(0.3, 0.6))
    expected = creps.render(load(model), seed=7, size=(18, 24), window=window)
    assert np.array_equal(made(model, tmp_path / "a.png", *words), expected)
    run_generate(model, tmp_path, "--seeds", 7, *words)
    assert np.array_equal(pixels(tmp_path / "seed0007.png"), expected)
    assert read_settings(tmp_path / "a.png")["window"] == list(window)


def test_a_view_that_changes_nothing_leaves_every_bit(model, tmp_path) -> None:
    plain = made(model, tmp_path / "a.png", "--size", "18x24")
    viewed = made(model, tmp_path / "b.png", "--size", "18x24", "--zoom", 1, "--pan", "0.5,0.5")
    assert np.array_equal(viewed, plain)


@pytest.mark.parametrize("command", ["render", "generate"])
def test_prints_note_their_resolution(model, tmp_path, command) -> None:
    words = "--size", "0.5x0.75in", "--dpi", 40
    if command == "render":
        run("--model", model, "--out", tmp_path / "seed0007.png", *words)
    else:
        run_generate(model, tmp_path, "--seeds", 7, *words)
    with Image.open(tmp_path / "seed0007.png") as image:
        assert image.size == (30, 20)
        assert image.info["dpi"] == pytest.approx((40, 40), rel=1e-3)
    assert read_settings(tmp_path / "seed0007.png")["dpi"] == 40


def run_generate(model: Path, out: Path, *arguments: object) -> None:
    from typer.testing import CliRunner

    from creps.cli import app

    words = ["generate", "--model", model, "--out", out, *arguments]
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception:
        raise result.exception


# Several styles, and foveation


def test_a_hard_panorama_is_pictures_side_by_side(model, tmp_path) -> None:
    words = "--styles", "7/12/7..3@0.5", "--blend", "panorama:0"
    strip = made(model, tmp_path / "a.png", *words, "--size", 12)
    assert strip.shape == (12, 36, 3)
    for k, recipe in enumerate(("7", "12", "7..3@0.5")):
        own = made(model, tmp_path / f"{k}.png", "--styles", recipe, "--size", 12)
        assert differ(strip[:, 12 * k : 12 * k + 12], own) <= 1
    settings = read_settings(tmp_path / "a.png")
    assert settings["styles"] == "7/12/7..3@0.5"
    assert settings["blend"] == "panorama:overlap=0"
    assert settings["window"] == [0, 0, 1, 3]


def test_a_panoramas_own_size_is_a_square_for_each_style(model, tmp_path) -> None:
    strip = made(model, tmp_path / "a.png", "--styles", "7/12", "--blend", "ring")
    assert strip.shape == (16, 32, 3)


def test_a_ring_meets_itself(model, tmp_path) -> None:
    words = "--styles", "7/12", "--blend", "ring:0.8", "--size", "12x400"
    ring = made(model, tmp_path / "a.png", *words, "--window", "0,0,1,2").astype(int)
    inside = np.abs(np.diff(ring, axis=1)).max()
    assert np.abs(ring[:, 0] - ring[:, -1]).max() <= inside


def test_a_mask_puts_styles_where_it_is_painted(model, tmp_path) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    words = "--styles", "7/12", "--blend", f"mask:{tmp_path}/mask.png", "--size", 16
    picture = made(model, tmp_path / "a.png", *words)
    for seed, columns in ((7, slice(0, 7)), (12, slice(9, 16))):
        own = creps.render(load(model), seed=seed, size=16)
        assert differ(picture[:, columns], own[:, columns]) <= 1
    assert len(read_settings(tmp_path / "a.png")["mask"]) == 16


def test_supersampled_blends_resume_as_every_picture(model, tmp_path, monkeypatch) -> None:
    words = "--styles", "7/12", "--blend", "gradient", "--size", "12x20", "--supersample", 2
    plain = made(model, tmp_path / "a.png", *words)
    monkeypatch.setattr(writing, "SMALL", 0)
    assert np.array_equal(made(model, tmp_path / "b.png", *words), plain)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_foveated_picture_is_that_of_python(model, tmp_path, suffix) -> None:
    words = "--size", "20x30", "--foveated", 0.3, "--gaze", "0.2,0.9"
    picture = made(model, tmp_path / f"a{suffix}", *words)
    generator = load(model)
    with torch.inference_mode():
        renderer = creps.Renderer(generator, seed=7)
        expected = renderer.foveated(size=(20, 30), share=0.3, gaze=(0.2, 0.9))
    assert differ(picture, expected.pixels()) <= 1
    settings = read_settings(tmp_path / f"a{suffix}")
    assert (settings["foveated"], settings["gaze"]) == (0.3, [0.2, 0.9])


def test_all_pixels_of_a_foveated_picture_are_the_picture(model, tmp_path) -> None:
    plain = made(model, tmp_path / "a.png", "--size", 16)
    assert differ(made(model, tmp_path / "b.png", "--size", 16, "--foveated", 1), plain) <= 1


# How it is made


def test_precision_and_exact_lines_change_pixels_by_rounding_only(model, tmp_path) -> None:
    words = "--size", "18x24", "--warp", "rotate:30"
    plain = made(model, tmp_path / "a.png", *words)
    exact = "--exact", "--dtype", "float64", "--device", "cpu"
    assert differ(made(model, tmp_path / "b.png", *words, *exact), plain) <= 1
    settings = read_settings(tmp_path / "b.png")
    assert (settings["exact"], settings["dtype"]) == (True, "float64")
    run_generate(model, tmp_path, "--seeds", 7, "--size", "18x24", "--dtype", "float64")
    plain = creps.render(load(model), seed=7, size=(18, 24))
    assert differ(pixels(tmp_path / "seed0007.png"), plain) <= 1


def test_sheets_of_thumbnails_are_antialiased(model, tmp_path) -> None:
    run_generate(model, tmp_path, "--seeds", 7, "--size", 5, "--supersample", 3)
    expected = creps.render(load(model), seed=7, size=5, supersample=3)
    assert np.array_equal(pixels(tmp_path / "seed0007.png"), expected)
    assert read_settings(tmp_path / "seed0007.png")["supersample"] == 3


@pytest.mark.parametrize("words", ["--device abacus", "--dtype float8", "--device cuda:99"])
@pytest.mark.parametrize("command", ["render", "generate"])
def test_machines_that_are_not_there_leave_nothing(model, tmp_path, command, words) -> None:
    words = words.split()
    make = {
        "render": lambda: run("--model", model, "--out", tmp_path / "new" / "a.png", *words),
        "generate": lambda: run_generate(model, tmp_path / "new", *words),
    }
    with pytest.raises(UsageError, match=words[1]):
        make[command]()
    assert list(tmp_path.iterdir()) == []


# Refusals and accidents


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ("--zoom 2 --window 0,0,1,1", UsageError, "window given with --zoom, --pan or --fit"),
        ("--pan 0,0 --window 0,0,1,1", UsageError, "window given with --zoom, --pan or --fit"),
        ("--zoom 0", GridError, "zoom 0: expected"),
        ("--zoom nan", GridError, "zoom nan"),
        ("--zoom 1e-9", GridError, "expected edges within"),
        ("--zoom 1e15 --size 512", GridError, "too small for float64"),
        ("--pan 1", UsageError, "pan '1': expected two numbers"),
        ("--pan inf,0", GridError, "pan inf,0"),
        ("--size 30cm", UsageError, "such as --dpi 300"),
        ("--size 30cm --dpi 0", UsageError, "dpi '0'"),
        ("--size 0.1mm --dpi 20", GridError, "at least 1 pixel"),
        ("--styles 7/12", UsageError, "2 styles: say how they share the picture"),
        ("--styles 7/", UsageError, "invalid walk ''"),
        ("--blend gradient", UsageError, "blend gradient of one style"),
        ("--styles 7/12 --blend mix", UsageError, "unknown blend 'mix'"),
        ("--styles 7/12 --blend mask:none.png", DataError, "none.png: no such mask"),
        ("--styles 7/12 --blend radial --warp polar", UsageError, "--blend and --warp given"),
        ("--gaze 0,0", UsageError, "--gaze is for foveated pictures"),
        ("--foveated 0.5 --warp polar --shard 1/2", UsageError, "--warp and --shard given"),
        ("--foveated 0.5 --exact", UsageError, "--foveated and --exact given"),
        ("--styles 7/12 --blend radial --dtype float64", UsageError, "--blend and --dtype given"),
        ("--warp map:flat.npy", GridError, "flat.npy"),
    ],
)
def test_misuse_is_told_before_the_model_is_looked_for(
    tmp_path, monkeypatch, arguments, error, words
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("flat.npy", np.zeros((4, 5)))
    with pytest.raises(error) as told:
        run("--model", "none", "--out", "a.png", *arguments.split())
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["flat.npy"]


@pytest.mark.parametrize(
    "arguments", ["--foveated 0", "--foveated 1.5", "--foveated .5 --gaze nan,0"]
)
def test_impossible_foveation_leaves_nothing(model, tmp_path, arguments) -> None:
    with pytest.raises(UsageError):
        run("--model", model, "--out", tmp_path / "new" / "a.png", *arguments.split())
    assert list(tmp_path.iterdir()) == []


def test_huge_foveated_pictures_are_refused(model, tmp_path) -> None:
    with pytest.raises(GridError, match="of memory"):
        run("--model", model, "--out", tmp_path / "a.tif", "--foveated", 0.1, "--size", 40_000)


def full_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes so many files."""
    synced, left = os.fsync, iter(range(count))

    def full(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(descriptor)

    monkeypatch.setattr("os.fsync", full)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(model, tmp_path, monkeypatch) -> None:
    out, words = tmp_path / "a.tif", ("--size", "600x700")
    with monkeypatch.context() as patch:
        patch.setattr("creps.rendering.output._chunks.SECONDS", 0)
        full_after(3, patch)  # one of the store itself, two of its four chunks
        with pytest.raises(CrepsError) as told:
            made(model, out, *words)
    assert str(told.value).startswith(f"{out}.part: No space left on device")
    assert "No space left on device: 85% of the pixels are in " in str(told.value)
    assert str(told.value).endswith(f"{out}.part, the same command resumes")
    assert np.array_equal(made(model, out, *words), made(model, tmp_path / "b.tif", *words))


def test_a_full_disk_leaves_no_small_file(model, tmp_path, monkeypatch) -> None:
    full_after(0, monkeypatch)
    with pytest.raises(OSError, match="No space left") as told:
        made(model, tmp_path / "a.png")
    assert told.value.filename == str(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_log_file_gets_no_empty_lines(capsys) -> None:
    with report("rendering") as told:
        told(1, 2)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_long_work_tells_a_log_file_how_far_it_is(capsys, monkeypatch) -> None:
    monkeypatch.setattr("creps.cli._progress.LOG_EVERY", 0)
    with report("rendering") as told:
        told(0, 4_000_000)
        told(1_000_000, 4_000_000)
    assert capsys.readouterr().err.startswith("rendering: 25%, ")


def test_work_without_a_unit_tells_no_pace(capsys, monkeypatch) -> None:
    monkeypatch.setattr("creps.cli._progress.LOG_EVERY", 0)
    for unit, facts in ((None, 2), ("steps", 3)):
        with report("measuring", unit=unit, per_unit=1) as told:
            told(0.0, 10.0)
            told(2.5, 10.0)
        said = capsys.readouterr().err
        assert said.startswith("measuring: 25%, ")
        assert said.count(",") == facts - 1
        assert ("/s" in said) == (unit is not None)


def test_width_and_height_are_a_size_in_either_order(model: Path, tmp_path: Path) -> None:
    picture = made(model, tmp_path / "a.png", "--width", "20", "--height", "12")
    assert picture.shape[:2] == (12, 20)
    result = run(
        "--model", model, "--out", tmp_path / "b.png", "--height", "2cm", "--width", "3cm",
        "--dpi", 20,
    )  # fmt: skip
    assert "3 cm wide, 2 cm high: 16 rows of 24 pixels" in result.stderr
    assert pixels(tmp_path / "b.png").shape[:2] == (16, 24)


def test_print_sizes_are_said_width_first_and_pixels_not_at_all() -> None:
    assert print_size("60x90cm", dpi=300) == "90 cm wide, 60 cm high: 7087 rows of 10630 pixels"
    assert print_size("8.5IN", dpi=100) == "8.5 in wide, 8.5 in high: 850 rows of 850 pixels"
    assert print_size("10cm", dpi=127, across=3) == (
        "30 cm wide, 10 cm high: 500 rows of 1500 pixels"
    )
    assert print_size("1024", dpi=300) is None
    assert joined_size("1.5in", " 2 IN") == "2x1.5in"
    for width, height in (("3cm", "2in"), ("3cm", "2"), ("2x3", "2"), ("wide", "2cm"), ("", "1")):
        with pytest.raises(UsageError, match="expected pixels"):
            joined_size(width, height)


def test_a_length_without_a_density_is_refused_before_it_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="say how many pixels an inch too"):
        made(model, tmp_path / "a.png", "--size", "2x3cm")
    assert "wide" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--width", "9"], ["--height", "9cm"], ["--size", "9", "--width", "9", "--height", "9"]],
)
def test_half_a_size_and_two_sizes_are_refused(
    model: Path, tmp_path: Path, words: list[str]
) -> None:
    with pytest.raises(UsageError, match="expected --size, or both --width and --height"):
        made(model, tmp_path / "a.png", *words)


@pytest.mark.slow
def test_a_bad_size_is_refused_before_torch_is_imported() -> None:
    code = (
        "import sys; from creps.cli import main; sys.argv[1:] = ['render', '--size', 'A3']\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["2", "False"]
    assert "size 'A3': expected pixels" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
@pytest.mark.parametrize("command", [["train", "--list-presets"], ["info", "portraits"]])
def test_consoles_of_other_encodings_show_what_they_can(encoding: str, command: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "creps", *command],
        capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert ran.stdout
