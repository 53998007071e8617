"""The `creps` command: parse, call, print. Torch is imported inside subcommands, so help is instant."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from creps.cli.data import data_app
from creps.cli.demo import demo
from creps.cli.generate import generate
from creps.cli.models import convert, info
from creps.cli.train import train
from creps.errors import CrepsError

app = typer.Typer(
    name="creps",
    help="Any-scale image synthesis: one generator, the same picture at any size.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (generate, demo, info, convert, train):
    app.command()(command)
app.add_typer(data_app, name="data")


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
