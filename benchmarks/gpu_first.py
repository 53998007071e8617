"""All that a first GPU is wanted for, in one command of at most 9 minutes.

    python benchmarks/gpu_first.py --out FOLDER [--data PICTURES]
    python benchmarks/gpu_first.py --out FOLDER --device cpu --toy     # the whole at toy size

1. Checks of every path that a CPU never takes: training steps in float32, bfloat16 and float16,
   compiled ones, batches copied from pinned memory, a resumed run, drawing plain, warped,
   antialiased and in half precision, features of the judge; each against the same on the CPU.
2. `render.py` and `train_step.py`.
3. A `gpu-128` training of portraits for the rest of the time. The portraits are drawn while 1 runs,
   or come from `--data`.
4. What it made: samples, one picture of 1,024 px, `fd_portraits` and what can be read in them.

FOLDER then holds checks.jsonl, benchmarks.jsonl, run/ (snapshots, previews, log, model), samples/,
judge.json and report.md. Each part is a process of its own with a time limit: one that hangs or
dies costs its own time and is named in the report. The exit code is 1 if a check
or a part failed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

HERE = Path(__file__).resolve().parent
PORTRAITS = 4000
"""Portraits of 1,024 px that are drawn: some 40 seconds of 16 cores, 12 GB decoded."""


@dataclass
class Plan:
    """What is done, at full or at toy size; seconds are limits.

    Attributes:
        device: "cuda" or "cpu".
        seconds: of the whole.
        preset: of the training.
        settings: changes of it.
        portraits, side: how many are drawn, and their pixels a side.
        sizes, rotation: of `render.py`.
        variants: of the training step: its further settings, by name.
        steps: of each.
        checks, benchmarks: seconds of these parts.
        judged: samples that are judged; 0: none.
        ending: seconds kept for what comes after the training.
    """

    device: str
    seconds: float
    preset: str = "gpu-128"
    settings: list[str] = field(default_factory=list)
    portraits: int = PORTRAITS
    side: int = 1024
    sizes: str = "512,1024,2048,4096"
    rotation: str = "1024"
    variants: dict[str, list[str]] = field(
        default_factory=lambda: {
            "bfloat16": [],
            "bfloat16, compiled": ["compile=true"],
            "float32": ["precision=float32"],
        }
    )
    steps: int = 16
    checks: float = 100
    benchmarks: float = 60
    judged: int = 500
    ending: float = 60


def toy(device: str) -> Plan:
    """The same at a size that takes a CPU a minute or two; a busy one is given its time."""
    return Plan(
        device=device,
        seconds=1800,
        preset="smoke",
        settings=["images=160", "batch=8", "preview_every=10", "snapshot_every=10", "log_every=5"],
        portraits=48,
        side=64,
        sizes="64",
        rotation="",
        variants={"float32": ["batch=8"]},
        steps=4,
        checks=900,
        benchmarks=300,
        judged=24,
    )


# The checks: each compares a path on the device with the plain one on the CPU, and says how close.


TINY = (
    "generator.channel_max=32 discriminator.channel_base=256 discriminator.channel_max=32 "
    "batch=8 images=32 data.workers=0 preview_every=0 snapshot_every=2 log_every=1"
)


def check_float32(device: str) -> str:
    """The losses of three steps are those on the CPU."""
    return _same_losses(device, [], within=1e-2)


def check_bfloat16(device: str) -> str:
    """In bfloat16 they are about those of float32 on the CPU."""
    return _same_losses(device, ["precision=bfloat16"], within=0.1)


def check_float16(device: str) -> str:
    """In float16 too."""
    if device == "cpu":
        return "left out: float16 trains on a GPU alone"
    return _same_losses(device, ["precision=float16", *_CLAMPS], within=0.1)


def check_compiled(device: str) -> str:
    """Compiled steps find the losses of plain ones."""
    return _same_losses(device, ["compile=true"], within=1e-2)


def check_compiled_bfloat16(device: str) -> str:
    """Compiled in bfloat16, as the GPU presets may be run."""
    if device == "cpu":
        return "left out: another minute of compiling"
    return _same_losses(device, ["compile=true", "precision=bfloat16"], within=0.1)


_CLAMPS = ["generator.clamp=256", "discriminator.clamp=256"]


def _same_losses(device: str, changes: list[str], *, within: float) -> str:
    notices: list[str] = []
    ours = _losses(device, changes, notices)
    plain = _losses("cpu", [change for change in changes if "clamp" in change], [])
    if notices:
        raise AssertionError("; ".join(notices))
    a, b = np.array(ours), np.array(plain)
    apart = np.max(np.abs(a - b) / np.maximum(np.abs(b), 0.1))  # NaN if one is
    if not apart <= within:
        raise AssertionError(f"losses {ours} for {plain}: {apart:.1e}, expected {within:.0e}")
    return f"losses within {apart:.1e}"


def _losses(device: str, changes: list[str], notices: list[str]) -> list[float]:
    """Both losses of three steps on the same pictures."""
    from creps.training import preset
    from creps.training._batches import make_batch
    from creps.training._engine import Engine
    from creps.training._state import initial_state
    from creps.training._steps import train_step

    config = preset("small-32", *TINY.split(), *changes)
    state = initial_state(config, device)
    engine = Engine(state, config, log=notices.append)
    found: list[float] = []
    draw = torch.Generator().manual_seed(0)
    for step in range(3):
        images = torch.randint(0, 256, (8, 3, 32, 32), generator=draw).to(torch.uint8)
        labels = torch.full((8,), -1)
        batch = make_batch(config, step, images.to(state.device), labels.to(state.device))
        stats = train_step(engine, batch)
        found += [float(stats[f"loss/{name}"]) for name in ("generator", "discriminator")]
    return found


def check_batches(device: str) -> str:
    """Batches that workers load and that are copied from pinned memory are those of one process."""
    from creps.training import preset
    from creps.training._batches import load_training_batches, open_training_set

    with tempfile.TemporaryDirectory() as folder:
        _random_pictures(Path(folder))
        found = []
        for place, workers in ((device, 2), ("cpu", 0)):
            config = preset("small-32", *TINY.split(), f"data.workers={workers}")
            pictures = open_training_set(config, Path(folder))
            batches = load_training_batches(
                pictures, config, first_step=0, device=torch.device(place)
            )
            found.append([next(batches).image.cpu() for _ in range(6)])
        apart = max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))
    if apart > 1e-5:
        raise AssertionError(f"pixels differ by {apart:.1e} of 2")
    return f"6 batches within {apart:.1e} of 2"


def check_resume(device: str) -> str:
    """A run stopped and resumed ends where one in a piece does; bit for bit on a CPU."""
    from creps.training import preset, train

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "pictures"
        data.mkdir()
        _random_pictures(data)
        weights = []
        for parts in (["images=32"], ["images=16", "images=32"]):
            out = Path(folder) / f"run-{len(parts)}"
            for images in parts:
                config = preset("small-32", *TINY.split(), images)
                run = train(data, out, config, device=device, log=lambda line: None)
            flat = [p.detach().float().cpu().flatten() for p in run.model.parameters()]
            weights.append(torch.cat(flat))
    apart = float((weights[0] - weights[1]).abs().max() / weights[0].abs().max())
    if apart > (0 if device == "cpu" else 1e-3):
        raise AssertionError(f"weights differ by {apart:.1e} of the largest")
    return f"weights within {apart:.1e} of the largest"


def check_drawing(device: str) -> str:
    """A picture of `portraits`, every pixel evaluated, is that of the CPU, but for rounding."""
    return _same_picture(device, {"exact": True}, levels=1)


def check_warped(device: str) -> str:
    """Turned, with line tables."""
    return _same_picture(device, {"warp": "rotate:30", "tolerance": 0}, levels=1)


def check_antialiased(device: str) -> str:
    """Antialiased, with samples where they matter."""
    return _same_picture(device, {"supersample": "auto"}, levels=2)


def check_drawing_bfloat16(device: str) -> str:
    """In bfloat16 it is about that of float32."""
    return _same_picture(device, {"exact": True}, levels=None, dtype="bfloat16")


def check_sparse(device: str) -> str:
    """Where pixels are interpolated, they are within a level of the evaluation of every one."""
    import creps

    renderer = creps.Renderer(creps.load("portraits"), seed=7, device=device)
    view: dict[str, Any] = {"size": (512, 320), "zoom": 4}
    sparse = renderer.picture(**view).astype(int)
    exact = renderer.picture(exact=True, **view).astype(int)
    apart = int(np.abs(sparse - exact).max())
    if apart > 1:
        raise AssertionError(f"pixels differ by {apart} levels, expected 1")
    return f"within {apart} of 255"


def _same_picture(
    device: str, view: dict[str, Any], *, levels: int | None, dtype: str | None = None
) -> str:
    import creps

    generator = creps.load("portraits")
    pictures = []
    for place, precision in ((device, dtype), ("cpu", None)):
        options: dict[str, Any] = {"seed": 7, "size": (96, 160), **view}
        picture = creps.render(generator, device=place, dtype=precision, **options)
        pictures.append(picture.astype(int))
    apart = np.abs(pictures[0] - pictures[1])
    said = f"within {apart.max()} of 255, {apart.mean():.3f} in the mean"
    if (apart.max() > levels) if levels is not None else (apart.mean() > 3):
        raise AssertionError(said)
    return said


def check_judge(device: str) -> str:
    """The judge sees there what it sees on the CPU."""
    from creps.metrics import portrait_features

    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 48, 64), generator=draw).to(torch.uint8)
    found = [portrait_features(device=place)(images).cpu() for place in (device, "cpu")]
    apart = float((found[0] - found[1]).abs().max())
    if apart > 1e-2:
        raise AssertionError(f"features differ by {apart:.1e}")
    return f"features within {apart:.1e}"


CHECKS: tuple[Callable[[str], str], ...] = (
    check_float32,
    check_bfloat16,
    check_float16,
    check_batches,
    check_resume,
    check_drawing,
    check_warped,
    check_antialiased,
    check_drawing_bfloat16,
    check_sparse,
    check_judge,
    # Last: compilers take longest.
    check_compiled,
    check_compiled_bfloat16,
)
"""In this order; each is given the device, and says how close it came or raises."""


def run_checks(device: str) -> Iterator[dict[str, Any]]:
    """A row for each check, as it is done."""
    for check in CHECKS:
        started, problem, said = time.perf_counter(), False, ""
        try:
            said = check(device)
        except Exception as error:  # whatever a path does, the others are checked too
            problem = True
            said = f"{type(error).__name__}: {(str(error).strip() or 'failed').splitlines()[0]}"
        yield {
            "check": check.__name__.removeprefix("check_"),
            "ok": not problem,
            "said": said[:300],
            "seconds": round(time.perf_counter() - started, 1),
        }


def _random_pictures(folder: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for k in range(24):
        picture = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        picture.resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{k}.png")


# The parts: each a process with a limit.


class Show:
    """Runs the parts, keeps the time and the report."""

    def __init__(self, plan: Plan, out: Path) -> None:
        self.plan, self.out = plan, out
        self.end = time.monotonic() + plan.seconds
        self.lines: list[str] = []
        self.failed = False
        out.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds until the whole must be done."""
        return self.end - time.monotonic()

    def part(self, name: str, command: list[str], *, limit: float) -> str:
        """Run a part; its output, also where it was cut off or failed."""
        limit = max(min(limit, self.left), 1)
        print(f"{name}: at most {limit:.0f} s", flush=True)
        log = self.out / "logs" / f"{name.replace(' ', '-').replace(',', '')}.txt"
        log.parent.mkdir(exist_ok=True)
        started, ending = time.monotonic(), ""
        with log.open("w") as file, log.with_suffix(".errors.txt").open("w") as errors:
            process = subprocess.Popen(command, stdout=file, stderr=errors, env=_environment())
            try:
                if process.wait(limit):
                    ending, self.failed = f"failed with exit code {process.returncode}", True
            except subprocess.TimeoutExpired:
                ending = f"cut off after {limit:.0f} s"
                _stop(process)
        took = time.monotonic() - started
        if ending:
            words = log.with_suffix(".errors.txt").read_text(errors="replace").strip()
            ending += f": {words.splitlines()[-1][:200]}" if words else ""
        self.say(f"- {name}: {ending or 'done'} ({took:.0f} s)")
        return log.read_text(errors="replace")

    def say(self, line: str) -> None:
        """Add a line to the report, which is always up to date."""
        print(line, flush=True)
        self.lines.append(line)
        (self.out / "report.md").write_text("\n".join(self.lines) + "\n", encoding="utf-8")


def _environment() -> dict[str, str]:
    """This one, in which subprocesses find the package and the benchmarks."""
    paths = [str(HERE.parent / "src"), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, as Ctrl-C does, then end it."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _json_lines(text: str) -> list[dict[str, Any]]:
    """The lines of an output that are JSON objects."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # cut off in the middle
    return found


def _keep(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def drawing(plan: Plan, data: Path) -> subprocess.Popen[bytes]:
    """Draw the portraits beside the checks."""
    command = [sys.executable, "-m", "creps", "data", "portraits", "--out", str(data)]
    command += ["--count", str(plan.portraits), "--size", str(plan.side)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=_environment(), stdout=quiet, stderr=quiet)


def checks(show: Show) -> None:
    """Part 1."""
    show.say("\n## Checks\n")
    command = [sys.executable, str(HERE / "gpu_first.py"), "--out", str(show.out)]
    command += ["--device", show.plan.device, "--only-checks"]
    rows = _json_lines(show.part("checks", command, limit=show.plan.checks))
    _keep(show.out / "checks.jsonl", rows)
    done = {row["check"] for row in rows}
    for row in rows:
        mark = "ok" if row["ok"] else "FAILED"
        show.say(f"- {row['check']}: {mark}, {row['said']} ({row['seconds']} s)")
    names = [check.__name__.removeprefix("check_") for check in CHECKS]
    missing = [name for name in names if name not in done]
    if missing:
        show.say(f"- not reached: {', '.join(missing)}")
    show.failed |= bool(missing) or not all(row["ok"] for row in rows)


def benchmarks(show: Show) -> None:
    """Part 2."""
    plan = show.plan
    show.say("\n## Benchmarks\n")
    half = "float32" if plan.device == "cpu" else "bfloat16"
    render = [sys.executable, str(HERE / "render.py"), "--device", plan.device, "--dtype", half]
    render += ["--only", "size,rotation", "--sizes", plan.sizes, "--rotation", plan.rotation]
    rows = _json_lines(show.part("rendering", render, limit=plan.benchmarks))
    for row in rows:
        took = row.get("seconds", row.get("processor_seconds"))
        show.say(f"- {row['kind']} {row['size']} px, {row['dtype']}: {took} s")
    for name, settings in plan.variants.items():
        step = [sys.executable, str(HERE / "train_step.py"), "--preset", plan.preset]
        step += ["--device", plan.device, "--steps", str(plan.steps)]
        step += [word for change in settings for word in ("--set", change)]
        found = _json_lines(show.part(f"training step, {name}", step, limit=plan.benchmarks))
        for row in found:
            show.say(f"- {row['images_per_s']} images/s, {row['peak_memory_mb']} MB at the peak")
        rows += found
    _keep(show.out / "benchmarks.jsonl", rows)


def training(show: Show, data: Path) -> None:
    """Part 3."""
    plan = show.plan
    show.say(f"\n## Training: {plan.preset}\n")
    seconds = max(show.left - plan.ending, 10)
    command = [sys.executable, "-m", "creps", "train", "--preset", plan.preset]
    command += ["--data", str(data), "--out", str(show.out / "run"), "--device", plan.device]
    command += ["--time-limit", f"{seconds:.0f}s"]
    for change in [*plan.settings, *_loading(plan)]:
        command += ["--set", change]
    show.part("training", command, limit=seconds + plan.ending / 2)
    log = show.out / "run" / "log.jsonl"
    if log.exists():
        rows = _json_lines(log.read_text(encoding="utf-8"))
        for last in [row for row in rows if "loss/generator" in row][-1:]:
            words = ", ".join(f"{k} {v:.4g}" for k, v in last.items() if isinstance(v, int | float))
            show.say(f"- last line of its log: {words}"[:600])


def _loading(plan: Plan) -> list[str]:
    """Settings of loading that this machine has room for."""
    if plan.preset != "gpu-128":
        return []
    # Decoded pictures stay in memory; workers pass batches on through shared memory.
    need = plan.portraits * (3 * plan.side**2 + 1)
    shared = Path("/dev/shm")
    room = shutil.disk_usage(shared).free if shared.exists() else 0
    queued = 4 * 64 * 3 * plan.side**2  # a worker's batches, ahead
    workers = max(min(8, (os.cpu_count() or 2) // 2, int(0.5 * room // queued)), 0)
    pages, page = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    fits = need < 0.5 * pages * page
    cache = [f"data.cache_megabytes={need // 1_000_000 + 1}"] if fits else []
    return [f"data.workers={workers}", *cache, "snapshot_every=1000", "preview_every=250"]


def made(show: Show) -> None:
    """Part 4."""
    plan, model = show.plan, show.out / "run" / "model"
    show.say("\n## What it made\n")
    if not model.exists():
        show.say("- no model: see logs/training.txt")
        return
    creps = [sys.executable, "-m", "creps"]
    samples = [*creps, "generate", "--model", str(model), "--seeds", "0-23"]
    samples += ["--out", str(show.out / "samples"), "--device", plan.device]
    show.part("samples", samples, limit=show.left / 2)
    large = [*creps, "render", "--model", str(model), "--seed", "7", "--size", "1024"]
    large += ["--out", str(show.out / "samples" / "seed-7-1024.png"), "--device", plan.device]
    show.part("a large one", large, limit=show.left / 2)
    if plan.judged:
        judge = [*creps, "evaluate", str(model), "--data", "portraits", "--extractor", "portraits"]
        judge += ["--metrics", "fd,pr,attributes", "--n", str(plan.judged)]
        judge += ["--out", str(show.out / "judge.json"), "--cache", str(show.out / "cache")]
        show.part("the judge", judge, limit=show.left - 2)
        if (show.out / "judge.json").exists():
            values = json.loads((show.out / "judge.json").read_text(encoding="utf-8"))["values"]
            for name, value in values.items():
                show.say(f"- {name}: {value if value is None else round(value, 3)}")


def main(
    out: Annotated[Path, typer.Option(help="Folder of all that is found and made.")],
    data: Annotated[
        Path | None, typer.Option(help="Pictures to train on.", show_default="drawn portraits")
    ] = None,
    device: Annotated[str, typer.Option(help="cuda or cpu.")] = "cuda",
    minutes: Annotated[
        float | None, typer.Option(help="Of the whole.", show_default="9; 30 for --toy")
    ] = None,
    small: Annotated[bool, typer.Option("--toy", help="Everything at toy size.")] = False,
    only_checks: Annotated[bool, typer.Option("--only-checks", hidden=True)] = False,
) -> None:
    """Check, measure, train, show."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise typer.BadParameter("no CUDA device here: --device cpu --toy tries the whole")
    if only_checks:
        for row in run_checks(device):
            print(json.dumps(row), flush=True)
        return
    plan = toy(device) if small else Plan(device=device, seconds=540)
    if minutes is not None:
        plan.seconds = 60 * minutes
    show = Show(plan, out)
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    show.say(f"# First minutes on a {name}\n\ntorch {torch.__version__}, {os.cpu_count()} cores")
    set_of_pictures = data or out / "portraits.zip"
    beside = None if data else drawing(plan, set_of_pictures)
    try:
        checks(show)
        benchmarks(show)
        if beside is not None and beside.wait(max(show.left - plan.ending, 1)):
            show.say("- the portraits could not be drawn: install creps[data], or give --data")
            show.failed = True
        else:
            training(show, set_of_pictures)
            made(show)
    except subprocess.TimeoutExpired:
        show.say("- the portraits were not drawn in time: give --data")
        show.failed = True
    finally:
        if beside is not None and beside.poll() is None:
            _stop(beside)
    show.say(f"\n{plan.seconds - show.left:.0f} seconds in all")
    raise typer.Exit(int(show.failed))


if __name__ == "__main__":
    typer.run(main)
