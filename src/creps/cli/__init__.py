"""The `creps` command: parse, call, print. Subcommands import torch, so that help is instant."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn, ParamSpec, TypeVar

import typer

from creps import __version__
from creps.cli.data import portraits
from creps.cli.demo import demo
from creps.cli.generate import generate
from creps.cli.models import convert, info
from creps.cli.render import render
from creps.cli.train import train
from creps.cli.video import COMMANDS as VIDEO_COMMANDS
from creps.errors import CrepsError

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    name="creps",
    help="Any-scale image synthesis: one generator, the same picture at any size.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Make data sets to train on.", no_args_is_help=True)
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


@data_app.callback()
def _data() -> None:
    """Keeps `portraits` a subcommand although it is the only one."""


def _interruptible(command: Callable[P, R]) -> Callable[P, R]:
    """The command, with Ctrl-C as an error of one line."""

    @functools.wraps(command)
    def _guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise CrepsError("interrupted") from None

    return _guarded


for command in (generate, render, demo, info, convert, train):
    app.command()(_interruptible(command))
data_app.command()(_interruptible(portraits))
for film in VIDEO_COMMANDS:
    video_app.command()(_interruptible(film))
app.add_typer(data_app, name="data")
app.add_typer(video_app, name="video")


def main() -> None:
    """Run the command; a user's mistake is one line on stderr and exit code 2 or 1."""
    try:
        app()
    except CrepsError as error:
        _stop(str(error), error.exit_code)
    except MemoryError:
        _stop("out of memory: ask for a smaller size or batch", 1)
    except OSError as error:
        _stop(f"{error.filename or 'file'}: {error.strerror or error}", 1)


def _stop(message: str, code: int) -> NoReturn:
    print(f"creps: {message}", file=sys.stderr)
    raise SystemExit(code)
