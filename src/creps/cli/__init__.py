"""The `creps` command: parse, call, print. Subcommands import torch, so that help is instant."""

from __future__ import annotations

import functools
import io
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec, TypeVar

import typer

from creps import __version__
from creps._files import refuse_special
from creps._urls import refuse_url
from creps.cli._data import COMMANDS as DATA_COMMANDS
from creps.cli._demo import demo
from creps.cli._evaluate import compare, diagnose, evaluate
from creps.cli._generate import generate
from creps.cli._models import convert, export, info
from creps.cli._project import project
from creps.cli._refusals import Refusal, refusal
from creps.cli._render import render
from creps.cli._serve import export_site, serve
from creps.cli._train import RUN_COMMANDS, train
from creps.cli._video import COMMANDS as VIDEO_COMMANDS
from creps.errors import CrepsError, one_line

P = ParamSpec("P")
R = TypeVar("R")

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which users decide themselves how threads wait."""

WRITTEN = ("out", "mapping")
"""Parameters that are files to write: a device is refused before hours of work."""

app = typer.Typer(
    name="creps",
    help="Any-scale image synthesis: one generator, the same picture at any size.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Make data sets, and check yours.", no_args_is_help=True)
train_app = typer.Typer(invoke_without_command=True)
video_app = typer.Typer(help="Film a zoom, a pan, a turn, a morph, a warp.", no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Any-scale image synthesis: one generator, the same picture at any size."""


def _interruptible(command: Callable[P, R]) -> Callable[P, R]:
    """The command, with Ctrl-C as an error of one line."""

    @functools.wraps(command)
    def _guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in kwargs.items():
            if isinstance(value, Path):
                refuse_url(value)
                if name in WRITTEN:
                    refuse_special(value)
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise CrepsError("interrupted") from None

    return _guarded


for command in (
    generate,
    render,
    demo,
    info,
    convert,
    export,
    evaluate,
    compare,
    diagnose,
    project,
):
    app.command()(_interruptible(command))
for web_command in (serve, export_site):
    app.command()(_interruptible(web_command))
for data_command in DATA_COMMANDS:
    data_app.command()(_interruptible(data_command))
# `creps train --preset ...` trains; what inspects runs is a subcommand: `creps train COMMAND RUN`.
train_app.callback()(_interruptible(train))
for look in RUN_COMMANDS:
    train_app.command()(_interruptible(look))
for film in VIDEO_COMMANDS:
    video_app.command()(_interruptible(film))
app.add_typer(data_app, name="data")
app.add_typer(train_app, name="train")
app.add_typer(video_app, name="video")


def main() -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2 or 1."""
    for stream in (sys.stdout, sys.stderr):  # a pipe of another encoding shows what it can
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # Before torch is loaded: threads that wait sleep, instead of taking the cores that others need.
    if not any(name in os.environ for name in WAITING):
        os.environ[WAITING[0]] = "PASSIVE"
    # Ends like Ctrl-C: processes that were started end too, unfinished files are removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except Refusal as error:
        _stop(refusal(error, sys.argv[1:]), 2)
    except (typer.Abort, KeyboardInterrupt):
        _stop("interrupted", 1)
    except CrepsError as error:
        _stop(str(error), error.exit_code)
    except (MemoryError, RuntimeError, TypeError) as error:
        if not _is_memory(error):
            raise
        _stop("out of memory: ask for a smaller size or batch, or for fewer classes", 1)
    except FileExistsError as error:
        _stop(f"{error.filename or 'out'} is a file: expected a folder", 1)
    except OSError as error:
        _stop(f"{error.filename or 'file'}: {error.strerror or error}", 1)
    raise SystemExit(code)


_NO_MEMORY = re.compile(
    r"out of memory|can't allocate memory|not enough memory|size calculation overflowed"
    r"|multiplication overflow|Overflow when unpacking long"
)
"""What torch says, in errors of no kind of their own, where memory is short or sizes are absurd."""


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None


def _stop(message: str, code: int) -> NoReturn:
    if message:
        print(f"creps: {one_line(message)}", file=sys.stderr)
    raise SystemExit(code)
