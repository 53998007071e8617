"""`creps train`: what it takes, what it shows, what it refuses in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from creps.cli import WAITING, _progress, main
from creps.cli._train import parse_duration
from creps.errors import UsageError
from creps.training import _loop
from training_pictures import TINY, draw_pictures

SMALLEST = [word for change in [*TINY, "images=8"] for word in ("--set", change)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"), classes=2)


def command(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """The exit code of `creps train ...`."""
    monkeypatch.setattr(sys, "argv", ["creps", "train", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_flags_are_settings(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    words = ["--data", pictures, "--preset", "smoke", "--out", run, *SMALLEST, "--device", "cpu"]
    words += ["--loss", "nonsaturating", "--augment", "diffaugment", "--mirror", "--labels"]
    words += ["--precision", "bfloat16", "--seed", "5", "--set", "batch=8", "--accumulate", "2"]
    assert command(monkeypatch, *words) == 0
    config = json.loads((run / "config.json").read_text())["train"]
    assert (config["loss"]["kind"], config["loss"]["r2_gamma"]) == ("nonsaturating", 0)
    assert config["augment"]["kind"] == "diffaugment"
    assert config["data"]["mirror"]
    assert config["discriminator"]["label_dim"] == config["generator"]["label_dim"] == 2
    assert (config["precision"], config["seed"], config["accumulate"]) == ("bfloat16", 5, 2)
    assert (run / "model/model.safetensors").exists()


def test_textures_are_trained_for_tiling(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    words = ["--data", pictures, "--preset", "smoke", "--out", run, "--tile", *SMALLEST]
    assert command(monkeypatch, *words) == 0
    config = json.loads((run / "config.json").read_text())["train"]
    assert config["generator"]["period"] == [1, 1]
    assert (config["data"]["textures"], config["augment"]["kind"]) == (True, "diffaugment")
    assert "--out DIR --tile" in capsys.readouterr().out
    # Without a preset it is that of textures, whose windows are larger than these pictures.
    assert command(monkeypatch, "--tile", "--data", pictures, "--out", tmp_path / "large") == 1
    assert "20x24 pixels, a window of it takes 64x64" in capsys.readouterr().err


def test_presets_are_listed_with_their_scores(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "--list-presets") == 0
    listed = capsys.readouterr().out
    assert "small-32" in listed
    assert "paper-metfaces-1024" in listed
    assert "20.52" in listed
    assert "projected-64 for small-64" in listed


def test_beginners_recipes_come_first_and_ablations_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "--list-presets") == 0
    listed = capsys.readouterr().out
    order = ["begin here", "\nsmoke", "\nsmall-32 ", "On a GPU", "\ngpu-128 ", "Other families"]
    order += ["\ncips-small-32", "As the papers", "\npaper-ffhq-512", "Ablations"]
    order += ["\nablation-dense"]
    places = [listed.index(words) for words in order]
    assert places == sorted(places)
    assert listed.count("\nablation-") == listed[places[-2] :].count("\nablation-") == 6


def test_a_dry_run_shows_how_far_it_is(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(_progress, "LOG_EVERY", 0.0)  # as if each step took minutes
    monkeypatch.setattr(_loop, "half_precision_pays", lambda device: False)
    words = ["--data", pictures, "--preset", "smoke", "--out", tmp_path / "run", *SMALLEST]
    assert command(monkeypatch, *words, "--dry-run") == 0
    said = capsys.readouterr().err
    assert f"opening {pictures}, then measuring a few steps" in said
    assert "measuring steps: 17%" in said
    assert "measuring steps: 83%" in said


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.5, True), (0.95, False), (2.0, False), (None, False)]
)
def test_a_dry_run_tells_of_bfloat16_where_it_is_faster(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float | None,
    told: bool,
) -> None:
    counts = {"generator": 7, "discriminator": 8, "projected": 1234}
    trial = _loop.Trial("2 training pictures", (), counts, 1.0, "cpu", seconds)
    monkeypatch.setattr(_loop, "try_run", lambda *args, **options: trial)
    words = ["--data", pictures, "--preset", "smoke", "--out", tmp_path / "run", "--dry-run"]
    assert command(monkeypatch, *words) == 0
    said = capsys.readouterr().out
    assert "16.0 images/s, float32, cpu" in said
    assert "1,234 parameters, projected" in said
    assert ("32.0 images/s with --precision bfloat16" in said) is told


def test_waiting_threads_sleep_unless_the_user_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    assert command(monkeypatch, "--help") == 0
    assert os.environ.pop("OMP_WAIT_POLICY") == "PASSIVE"
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    assert command(monkeypatch, "--help") == 0
    assert "OMP_WAIT_POLICY" not in os.environ


def test_the_command_does_not_load_torch_before_it_says_how_threads_wait() -> None:
    code = "import sys, creps.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--data", pictures, "--preset", "smoke", "--out", tmp_path / "run", *SMALLEST]
    assert command(monkeypatch, *words, "--dry-run", "--set", "width=16") == 0
    said = capsys.readouterr().out
    assert "8x16 px, batch 4" in said
    assert "images/s" in said
    assert "of features" not in said
    assert not (tmp_path / "run").exists()
    assert command(monkeypatch, *words, "--dry-run", "--from", tmp_path / "none") == 1
    assert "none" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "smoke"], "missing option --data: creps train --help"),
        (["--data", "x", "--out", "y"], "missing option --preset"),
        (["--data", "x", "--out", "y", "--preset", "smok"], "did you mean smoke?"),
        (
            ["--data", "x", "--out", "y", "--preset", "smoke", "--set", "batch=18"],
            "batch 18: expected a multiple of 4",
        ),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(monkeypatch, *words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_durations() -> None:
    assert [parse_duration(t) for t in ("90", "90s", "30m", "2h", "1d")] == [90, 90, 1800, 7200,
                                                                             86400]  # fmt: skip
    for text in ("0", "soon", "-3m"):
        with pytest.raises(UsageError, match="expected a time such as"):
            parse_duration(text)
