"""What the parser of the command's words refuses, as one line: given, expected, what to do."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.models import ParameterInfo

from creps.errors import nearest

Refusal: type[Exception] = typer.BadParameter.__mro__[1]
"""Of all that the parser raises: click's UsageError, which newer releases of Typer bring along."""


def refusal(error: Any, words: Sequence[str]) -> str:
    """The line for what a `Refusal` says of the words of a command; empty if help was shown."""
    if type(error).__name__ == "NoArgsIsHelpError":  # found as Typer itself finds it
        return ""
    context: Any = getattr(error, "ctx", None)
    parameter: Any = getattr(error, "param", None)
    if type(error) is typer.BadParameter and (expected := _expected(context, parameter)):
        name, given = parameter.opts[0], _given(words, parameter.opts)
        return f"{name}{'' if given is None else f' {given!r}'}: expected {expected}"
    unknown = re.match(r"No such command '(.*?)'", error.format_message(), re.DOTALL)
    if unknown is not None and context is not None:
        hint = nearest(unknown[1], context.command.commands)
        return f"no command {unknown[1]!r} of {context.command_path}: {hint}"
    said = " ".join(error.format_message().split()).rstrip(".")
    help_of = f": see {context.command_path} --help" if context else ""
    return f"{said[:1].lower()}{said[1:]}{help_of}"


def _expected(context: Any, parameter: Any) -> str | None:
    """What a number or a choice may be, from the annotation of the command's parameter."""
    callback = context.command.callback if context and parameter else None
    parameters = inspect.signature(callback, eval_str=True).parameters if callback else {}
    if callback is None or parameter.name not in parameters:
        return None
    annotation = parameters[parameter.name].annotation
    info = ParameterInfo()
    if get_origin(annotation) is Annotated:
        annotation, info = get_args(annotation)[:2]
    kinds = [annotation, *get_args(annotation)]  # of an optional value too
    for kind in kinds:
        if get_origin(kind) is Literal:
            return " or ".join(get_args(kind))
        if isinstance(kind, type) and issubclass(kind, Enum):
            return " or ".join(str(member.value) for member in kind)
    for kind, words in ((int, "a whole number"), (float, "a number")):
        if kind in kinds:
            return words + _range(info.min, info.max)
    return None


def _range(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return f" of at least {least}" if least is not None else ""


def _given(words: Sequence[str], names: Sequence[str]) -> str | None:
    """The value of an option among the words of a command: the last one counts."""
    for word, after in reversed([*zip(words, [*words[1:], None], strict=True)]):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else after
    return None
