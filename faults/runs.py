"""Kinds of files in the folder of a training: settings, log, snapshots."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from creps.training import train
from creps.training._presets import preset
from faults.commands import creps as command
from faults.kinds import Kind, Seed, register
from faults.models import _damaged_tensors
from faults.mutation import damaged, twisted

TINY = (
    "resolution=8",
    "discriminator.resolution=8",
    "generator.resolution=8",
    "generator.channel_max=8",
    "generator.z_dim=8",
    "generator.w_dim=8",
    "discriminator.channel_max=8",
    "batch=4",
    "images=24",
    "log_every=1",
    "preview_every=100",
    "snapshot_every=2",
    "data.workers=0",
)
"""A training of six steps."""


def draw_pictures(folder: Path, count: int = 10) -> Path:
    """Pictures of noise."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        pixels = random.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    return folder


def _run(place: Path) -> Path:
    """A finished training."""
    run = place / "run"
    train(draw_pictures(place / "pictures"), run, preset("smoke", *TINY), log=lambda line: None)
    return run


def _files(name: str) -> Callable[[Path], list[Seed]]:
    def seeds(place: Path) -> list[Seed]:
        run = _run(place)
        return [Seed(max(run.glob(name)), run)]

    return seeds


def _look_at(run: Path) -> None:
    """The doctor, the report, and the same command again."""
    try:
        command("train", "doctor", run)
    except SystemExit as end:
        if end.code != 1:  # a problem of the run, not of its files
            raise
    command("train", "report", run)
    _resume(run)


def _resume(run: Path) -> None:
    train(run.parent / "pictures", run, preset("smoke", *TINY), log=lambda line: None)


def _resume_apart(run: Path) -> None:
    """Resume a copy: a run that goes on writes snapshots of its own."""
    copy = run.parent / "copy" / "run"
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir()
    shutil.copytree(run, copy)
    (copy.parent / "pictures").symlink_to(run.parent / "pictures")
    _resume(copy)


def _twisted_lines(content: bytes, random: Random) -> bytes:
    """A log with a strange line."""
    if random.random() < 0.3:
        return damaged(content, random)
    lines = content.splitlines()
    chosen = random.randrange(len(lines))
    lines[chosen] = twisted(lines[chosen], random)
    return b"\n".join(lines) + b"\n"


register(Kind(name="run", seeds=_files("config.json"), use=_look_at, damage=twisted))
register(Kind(name="log", seeds=_files("log.jsonl"), use=_look_at, damage=_twisted_lines))
register(
    Kind(
        name="snapshots",
        seeds=_files("snapshots/*.safetensors"),
        use=_resume_apart,
        damage=_damaged_tensors,
    )
)
