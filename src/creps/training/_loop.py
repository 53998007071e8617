"""Training: `train` sets up a run and its callbacks, `run_steps` is the loop."""

from __future__ import annotations

import copy
import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

import torch

from creps._devices import find_device
from creps._urls import local
from creps.checkpoints._store import place_of
from creps.data._sources import few_text
from creps.data._textures import Textures
from creps.errors import CrepsError, DataError
from creps.training._batches import TrainingSet, load_training_batches, open_training_set
from creps.training._callbacks import Alarms, TimeLimit, standard_callbacks
from creps.training._config import TrainConfig
from creps.training._distributed import Vote, process_group
from creps.training._engine import Engine
from creps.training._precision import half_precision_pays, tune_device
from creps.training._presets import preset
from creps.training._run import Callback, Run, open_run
from creps.training._state import initial_state
from creps.training._steps import train_step
from creps.training._transfer import start_from
from creps.training.monitoring._report import Reports, write_report

_TRIED = 4
"""Steps of the most frequent kind that `try_run` takes a precision; one of each other kind."""
_PERIOD = 2**12
"""Steps at most, after which kinds of steps are taken to come again."""


def train(
    data: str | Path,
    out: str | Path,
    config: TrainConfig | str,
    *,
    start: str | Path | None = None,
    device: str = "auto",
    seconds: float | None = None,
    loggers: Sequence[str] = (),
    report: bool = False,
    callbacks: Sequence[Callback] = (),
    maps: Mapping[str, str | Path] = MappingProxyType({}),
    log: Callable[[str], None] = print,
) -> Run:
    """Train a generator on pictures, or resume the run in `out`.

    Ctrl-C and SIGTERM end it after the current step, with a snapshot. Started by `torchrun`, the
    processes make together the steps that one would.

    Args:
        data: the pictures: a folder, a zip, or tar shards; or their URL, fetched into the cache.
        out: the run's folder.
        config: a run's settings, of `creps.training.preset` for instance; or a preset's name.
        start: run or model that a new run starts from, its URL, or the name of a packaged model.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" or "mps".
        seconds: after which it stops, with a snapshot; None: when all images are shown.
        loggers: "tensorboard", "trackio" or "wandb", in addition to RUN/log.jsonl.
        report: keep RUN/report.html up to date all the time, not only write it at the end, and
            open it in the browser.
        callbacks: of your own.
        maps: of textures, the pictures of what they have beside their colors, by name, in the
            order of the config's `generator.maps`: {"normal": "walls-normal"}.
        log: called with each line of progress.
    Returns:
        the run: `run.model` is the trained generator, `run.stop` why it ended early.
    Raises:
        CrepsError: if the run diverged or collapsed; what was saved stays. Others as `open_run`.
    Example:
        >>> config = preset("smoke", "images=200")
        >>> run = train("portraits.zip", "first-run", config)  # doctest: +SKIP
        >>> creps.render(run.model, seed=7, size=256)  # doctest: +SKIP
    """
    config = preset(config) if isinstance(config, str) else config
    data, start = local(data), None if start is None else place_of(start)
    with ExitStack() as held, process_group(_place(device)) as (group, place):
        tune_device(place, config.precision)
        say = log if group.writes else lambda line: None
        how: dict[str, Any] = {"group": group, "loggers": loggers, "held": held, "say": say}
        how["maps"] = {name: local(each) for name, each in maps.items()}
        run = open_run(Path(out), config, data, device=place, start=start, **how)
        say(f"{_counted(run.pictures)} from {run.data['name']}")
        for line in _remarks(run.pictures):
            say(line)
        if run.complete:
            say(f"{run.folder} is complete: {config.steps} steps")
            return run
        if run.state.step:
            say(f"going on at step {run.state.step} of {config.steps}")
        beside: list[Callback] = [] if seconds is None else [TimeLimit(seconds)]
        if group.writes:
            beside += standard_callbacks(run, data=data)
            beside += [Reports(run, log=say)] if report else []
            beside += [*callbacks, Alarms(run)]
        try:
            with stop_on_signals(run):
                run_steps(run, callbacks=beside, log=say)
        except CrepsError:
            if group.writes:
                write_report(run.folder)
            raise
        finally:
            run.log.close()
        if group.writes:
            write_report(run.folder)
    ended = f"{run.stop} after" if run.stop else "done:"
    say(f"{ended} {run.images} images" + "; the same command resumes from here" * bool(run.stop))
    return run


def run_steps(
    run: Run, *, callbacks: Sequence[Callback] = (), log: Callable[[str], None] = print
) -> None:
    """The training loop: from `run.state.step` until all steps are done or a stop is requested.

    Args:
        run: its state is changed in place.
        callbacks: called in order after every step and once at the end; those that write belong to
            the first process of a group alone.
        log: called with each line of progress.
    """
    if (name := run.perceptual) != "none":
        log(f"trained with {name}: do not measure this run by fd_{name} or kid_{name}")
    engine = Engine(run.state, run.config, group=run.group, log=log)
    batches = load_training_batches(
        run.pictures,
        run.config,
        first_step=run.state.step,
        device=run.state.device,
        on_broken=lambda name: log(f"skipped: {name} is broken, gone or changed"),
        group=run.group,
    )
    with closing(batches):  # its processes end with it
        while not run.complete and not _all_stop(run):
            with _failing_together(run):
                try:
                    batch = next(batches)
                except DataError:
                    for callback in callbacks:  # every step so far is whole
                        callback.at_end(run)
                    raise
            stats = train_step(engine, batch)
            with _failing_together(run):
                for callback in callbacks:
                    callback.after_step(run, stats)
    for callback in callbacks:
        callback.at_end(run)


@dataclass(frozen=True)
class Trial:
    """What a run would be: its training set, networks, and the seconds of a step on a device.

    Attributes:
        pictures: how many there are, in words.
        remarks: what is to be said of them, as `ImageSource.remarks`.
        half_seconds: of a step in bfloat16, for a float32 run where the device is fast at it.
    """

    pictures: str
    remarks: tuple[str, ...]
    parameters: dict[str, int]
    seconds: float
    device: str
    half_seconds: float | None = None


def _place(device: str) -> str:
    """A device that is here; "cuda" stays without a number, which each process finds for itself."""
    found = find_device(device)
    return device if ":" in device else found.type


def try_run(
    config: TrainConfig,
    data: Path,
    *,
    device: str = "auto",
    start: str | Path | None = None,
    maps: Mapping[str, Path] = MappingProxyType({}),
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> Trial:
    """Measure a few steps of a run; nothing is written.

    What `train` would refuse to start from is refused here too. `progress` is called with the steps
    done and their number, first before any.
    """
    place = _place(device)
    pictures = open_training_set(config, data, maps=maps)
    state = initial_state(config, place)
    if start is not None:
        start_from(state, place_of(start), augment=config.augment)
    if config.teacher.weight:  # one that costs as much
        state.teacher = copy.deepcopy(state.average)
    here = replace(config, data=replace(config.data, workers=0))
    batches = load_training_batches(pictures, here, first_step=0, device=state.device)
    ways = [config]
    if config.precision == "float32" and half_precision_pays(state.device):
        ways.append(replace(config, precision="bfloat16"))
    steps, means, done = _typical_steps(config), [], 0
    progress(0, len(ways) * len(steps))
    for settings in ways:
        engine, mean = Engine(state, settings), 0.0
        for number, share in steps:
            started, state.step = time.monotonic(), number
            train_step(engine, next(batches))
            if state.device.type == "cuda":
                torch.cuda.synchronize()
            mean += share * (time.monotonic() - started)
            done += 1
            progress(done, len(ways) * len(steps))
        means.append(mean)
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in state.networks()}
    half = means[1] if len(means) > 1 else None
    return Trial(_counted(pictures), _remarks(pictures), counts, means[0], place, half)


def _typical_steps(config: TrainConfig) -> list[tuple[int, float]]:
    """Numbers of steps, and what share of a long run is such as each; one without a share first.

    That one warms up. Penalties are due every few steps, and the generator rests during the
    discriminator's warm-up.
    """
    loss, consistency = config.loss, config.consistency
    adversarial = loss.kind != "statistics"
    intervals = [
        loss.discriminator_interval if adversarial and (loss.r1_gamma or loss.r2_gamma) else 1,
        loss.generator_interval if adversarial and loss.path_length_weight else 1,
        consistency.interval if consistency.weight else 1,
    ]
    period = math.lcm(*intervals)
    first = -(-config.discriminator_warmup // period) * period
    numbers = range(min(period, _PERIOD))
    kinds = [tuple(number % interval == 0 for interval in intervals) for number in numbers]
    steps = [(first, 0.0)]
    for kind, count in Counter(kinds).most_common():
        times = _TRIED if len(steps) == 1 else 1
        number, share = first + kinds.index(kind), count / len(kinds) / times
        steps += [(number, share)] * times
    return steps


def _counted(pictures: TrainingSet) -> str:
    """How many pictures there are, as their owner counts them."""
    count = len(pictures.source)
    mirrored = ", also mirrored," if pictures.mirror else ""
    return f"{count:,} training picture{'s' * (count != 1)}{mirrored}"


def _remarks(pictures: TrainingSet) -> tuple[str, ...]:
    """What is to be said of a training set, and of its size."""
    told = "" if isinstance(pictures, Textures) else few_text(len(pictures.source))
    return (*pictures.source.remarks(), *([told] if told else []))


def _all_stop(run: Run) -> bool:
    """Whether a process of the group wants to stop; then all have a reason to."""
    if run.group.vote(Vote.STOP if run.stop else Vote.GO_ON) is Vote.STOP:
        run.stop = run.stop or "stopped by another process"
    return bool(run.stop)


@contextmanager
def _failing_together(run: Run) -> Iterator[None]:
    """Let the other processes know, when they next vote, that this one failed."""
    try:
        yield
    except Exception:
        run.group.vote(Vote.FAIL)
        raise


@contextmanager
def stop_on_signals(run: Run) -> Iterator[None]:
    """While open, Ctrl-C and SIGTERM ask a run to stop after its step; a second one breaks it."""

    def ask(number: int, frame: FrameType | None) -> None:
        if run.stop:
            raise KeyboardInterrupt
        run.stop = f"stopped by {signal.Signals(number).name}"

    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    previous = [(number, signal.signal(number, ask)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
