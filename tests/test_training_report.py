"""RUN/report.html, and what `creps train` shows and opens while it goes on."""

from __future__ import annotations

import io
import re
import sys
import webbrowser
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from creps.cli import _train as command_line
from creps.cli import main
from creps.cli._train import RunProgress
from creps.metrics._pages import line_chart, ticks
from creps.training._run import open_run
from creps.training.monitoring._log import RunLog
from creps.training.monitoring._report import write_report
from training_pictures import TINY, draw_pictures, run_to, tiny

FAST = [word for change in [*TINY, "images=16"] for word in ("--set", change)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"))


class Tags(HTMLParser):
    """Notes tags and attributes, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_report_is_one_file_that_asks_nobody(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "run", tiny(), pictures)
    text = write_report(tmp_path / "run").read_text()
    page = Tags(text)
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.seen}
    assert "://" not in text
    images = [attributes["src"] or "" for tag, attributes in page.seen if tag == "img"]
    assert len(images) == 1 + 1 + 2  # samples, zoom, two moments
    assert all(source.startswith("data:image/png;base64,") for source in images)
    labels = [a["aria-label"] for tag, a in page.seen if tag == "svg"]
    assert {"loss over images seen", "mean logit over images seen"} <= set(labels)
    assert "loss.r1_gamma" in text
    assert 'http-equiv="refresh"' not in text


def test_a_report_of_a_fresh_run_is_short(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "run", tiny("preview_every=0"), pictures, steps=1)
    for path in [*(tmp_path / "run/previews").iterdir(), tmp_path / "run/log.jsonl"]:
        path.unlink()
    text = write_report(tmp_path / "run", out=tmp_path / "page.html", refresh=30).read_text()
    assert "No preview yet." in text
    assert "no line in log.jsonl yet" in text
    assert '<meta http-equiv="refresh" content="30">' in text
    assert not (tmp_path / "run/report.html").exists()


def test_ticks_are_round_and_within() -> None:
    assert ticks(0, 100, 5) == [0, 20, 40, 60, 80, 100]
    assert ticks(3, 3, 5) == [3, 4]
    for low, high in [(0.02, 0.97), (-13, 48_000), (1e-9, 3e-9), (0.19, 0.23)]:
        places = ticks(low, high, 5)
        assert 2 <= len(places) <= 9
        assert low <= places[0] < places[-1] <= high


def test_curves_stay_within_their_chart() -> None:
    x = np.linspace(10, 5000, 40)
    svg = line_chart(x, {"a": np.sin(x), "b": x / 1000}, x_name="x", y_name="y", size=(200, 300))
    for points in re.findall(r'points="([^"]+)"', svg):
        places = np.array([pair.split(",") for pair in points.split()], float)
        assert len(places) == 40
        assert (places >= 0).all()
        assert (places <= (300, 200)).all()
    assert svg.count("<polyline") == 2


def test_a_spike_does_not_flatten_the_curve(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "run", tiny("images=4"), pictures)
    log = RunLog(tmp_path / "run/log.jsonl", batch=4)
    for step in range(1, 101):
        log.write(step, {"penalty/r1": 1e9 if step == 1 else step / 100})
    text = write_report(tmp_path / "run").read_text()
    (chart,) = re.findall(r'<svg[^>]*aria-label="squared norm.*?</svg>', text)
    (points,) = re.findall(r'points="([^"]+)"', chart)
    heights = [float(pair.split(",")[1]) for pair in points.split()]
    assert heights[5] - heights[-1] > 40


def test_a_curve_begins_where_its_numbers_do(tmp_path: Path, pictures: Path) -> None:
    run_to(tmp_path / "run", tiny("images=4"), pictures)
    log = RunLog(tmp_path / "run/log.jsonl", batch=4)
    for step in range(1, 21):
        later = {"moments/windows": 2.0 + step} if step > 15 else {}
        log.write(step, {"moments/wholes": float(step), **later})
    text = write_report(tmp_path / "run").read_text()
    (chart,) = re.findall(r"Moments of features</figcaption>(<svg.*?</svg>)", text)
    wholes, windows = re.findall(r'points="([^"]+)"', chart)
    assert (len(wholes.split()), len(windows.split())) == (20, 5)
    assert wholes.split()[15].split(",")[0] == windows.split()[0].split(",")[0]


# The command


def command(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """The exit code of `creps train ...`."""
    monkeypatch.setattr(sys, "argv", ["creps", "train", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_open_keeps_a_report_and_shows_it(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)))
    run = tmp_path / "run"
    words = ["--data", pictures, "--preset", "smoke", "--out", run, *FAST, "--device", "cpu"]
    assert command(monkeypatch, *words, "--open") == 0
    assert opened == [(run / "report.html").as_uri()]
    said = capsys.readouterr().out
    assert "no browser was found" in said
    assert "creps train doctor" in said
    page = (run / "report.html").read_text()
    assert "16 of 16 images" in page
    assert 'http-equiv="refresh"' not in page  # the run is over
    assert command(monkeypatch, "report", run, "--out", tmp_path / "page.html") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "page.html")


def test_the_report_is_written_at_the_end_unasked(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    words = ["--data", pictures, "--preset", "small-32", "--out", run, *FAST, "--device", "cpu"]
    assert command(monkeypatch, *words) == 0
    page = (run / "report.html").read_text()
    assert "16 of 16 images" in page
    said = capsys.readouterr().out
    assert f"report:   {run / 'report.html'}" in said
    assert "16 images are 0.004 % of the 400,000 that small-32 shows: expect blotches" in said
    assert "try the same command with --images 400000, which goes on from here" in said
    assert command(monkeypatch, *words, "--set", "images=24") == 0  # a resumed run writes it again
    assert "24 of 24 images" in (run / "report.html").read_text()
    assert command(monkeypatch, "doctor", run) == 0
    told = capsys.readouterr().out
    assert f"{run}: nothing is wrong, but too early to judge" in " ".join(told.split())


@pytest.mark.slow
def test_an_alarm_is_one_line_and_exit_code_1(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    words = ["--data", pictures, "--preset", "smoke", "--out", run, *FAST, "--device", "cpu"]
    # The logits of noise are never a million apart: the discriminator is taken to be guessing.
    words += ["--set", "log_every=1", "--set", "watch.patience=24", "--set", "watch.min_gap=1e6"]
    words += ["--set", "images=64"]
    assert command(monkeypatch, *words) == 1
    told = capsys.readouterr()
    assert told.err.startswith(
        "creps: stopped by an alarm (balance): the discriminator is guessing"
    )
    assert "over the last 24 images" in told.err
    assert told.err.count("\n") == 1
    assert "--set watch.stop=false continues anyway" in told.err
    assert command(monkeypatch, *words, "--set", "watch.stop=false") == 0
    assert "going on at step 6 of 16" in capsys.readouterr().out


def test_an_unknown_logger_is_refused_before_anything_is_trained(
    tmp_path: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--data", pictures, "--preset", "smoke", "--out", tmp_path / "run", *FAST]
    assert command(monkeypatch, *words, "--device", "cpu", "--logger", "tensorbord") == 2
    assert "did you mean tensorboard?" in capsys.readouterr().err


def told_while_training(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> list[str]:
    """What is printed of a run of four steps, 40 seconds each."""
    clock = iter(float(40 * k) for k in range(100))
    monkeypatch.setattr(command_line.time, "monotonic", lambda: next(clock))
    printed = io.StringIO()
    run = open_run(tmp_path / "run", tiny("images=400"), pictures)
    run.log.write(1, {"loss/generator": 0.5, "loss/discriminator": 0.25, "memory_gb": 2.0})
    with RunProgress(Console(file=printed, force_terminal=terminal, width=200)) as shown:
        for step in range(1, 5):
            run.state.step = step
            shown.after_step(run, {})
    assert bool(shown.bar.disable) is not terminal
    if terminal:
        return [str(shown.bar.tasks[0].fields["words"])]
    return printed.getvalue().splitlines()


WORDS = "16 of 400 images  0.1 images/s  64 min left  2.0 GB  loss generator 0.50, discriminator"


def test_a_terminal_shows_a_bar(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = told_while_training(tmp_path, pictures, monkeypatch, terminal=True)
    assert line == WORDS + " 0.25"


def test_elsewhere_lines_come_now_and_then(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = told_while_training(tmp_path, pictures, monkeypatch, terminal=False)
    assert [line.split(" of ")[0] for line in lines] == ["4", "12"]
