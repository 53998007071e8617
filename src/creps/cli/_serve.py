"""`creps serve` and `creps export-site`: pictures to walk into, live or as files."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from creps._files import cache_folder
from creps.cli._options import (
    MAKING,
    PICTURE,
    VIEW,
    ComputeDevice,
    Dtype,
    Label,
    Model,
    Truncation,
    parse_seeds,
    takes,
)
from creps.cli._progress import report
from creps.errors import MissingExtraError, UsageError
from creps.serving._hosts import is_name
from creps.serving._settings import Limits, ServeSettings

if TYPE_CHECKING:
    from creps.networks.base import Generator

ACCESS, LIMITS = "Access", "Limits"
"""Groups of options in the help."""

FIRST_SEEDS, SIDE = "0-23", 16384
"""What a gallery shows, and pixels of a picture's side, unless it is said."""

LARGEST_SIDE = 2**31 - 1
"""Pixels that documents of IIIF and Deep Zoom can declare."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _option(panel: str, help: str, *flags: str, **more: Any) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=panel, **more)


def _in_units(field: str, flag: str, unit: int, help: str, *, least: int = 1) -> Any:
    """The option of a limit, in a larger unit than that of `Limits`."""

    def parsed(given: str | int) -> int:
        if isinstance(given, int):  # the default
            return given
        if int(given) < least:
            raise UsageError(f"{flag} {given!r}: expected a whole number of at least {least}")
        return int(given) * unit

    shown = str(getattr(Limits, field) // unit)
    return _option(LIMITS, help, flag, parser=parsed, metavar="<int>", show_default=shown)


SETTINGS = {
    "size": _option(
        VIEW,
        "Declared pixels of a picture's side, for IIIF and Deep Zoom.",
        min=1,
        max=LARGEST_SIDE,
    ),
    "token": _option(
        ACCESS,
        "Clients must present it. Others see it in the list of processes; better a file or the "
        "variable.",
        envvar="CREPS_TOKEN",
        show_envvar=True,
    ),
    "url": _option(ACCESS, "Public address behind a proxy, such as https://example.org/creps."),
    "live": _option(
        MAKING, "Let visitors' browsers draw: they get the weights of models that pages can draw."
    ),
    "workers": _option(
        MAKING,
        "Threads that draw.",
        show_default="one a core, one on an accelerator",
        min=1,
        max=1024,
    ),
}
"""The fields of `ServeSettings` that are options."""

BOUNDS = {
    "pixels": _option(LIMITS, "Of one answer.", "--max-pixels", min=1),
    "waiting": _option(LIMITS, "Requests that wait.", "--max-waiting", min=1),
    "seconds": _option(LIMITS, "Within which an answer must be drawn.", "--max-seconds", min=1),
    "pictures": _in_units("pictures", "--memory-mb", 2**20, "Of prepared pictures."),
    "cache": _in_units("cache", "--cache-mb", 2**20, "Of answers on disk; 0: none.", least=0),
    "job_pixels": _in_units(
        "job_pixels",
        "--job-megapixels",
        10**6,
        "Of one big download; 0: there are none.",
        least=0,
    ),
    "job_bytes": _in_units("job_bytes", "--jobs-gb", 2**30, "Of all big downloads."),
}
"""The fields of `Limits` that are options."""


@takes(ServeSettings, SETTINGS)
@takes(Limits, BOUNDS)
def serve(
    limits: Limits,
    settings: ServeSettings,
    *,
    model: Annotated[
        list[str] | None,
        _option(
            PICTURE,
            "A packaged model, a folder or a file; NAME=PATH names it in addresses. Several are "
            "fine.",
            show_default="portraits",
        ),
    ] = None,
    host: Annotated[
        str, _option(ACCESS, "Address to listen at; 0.0.0.0: every network interface.")
    ] = "127.0.0.1",
    port: Annotated[int, _option(ACCESS, "0: any that is free.", min=0, max=65535)] = 8000,
    allow_host: Annotated[
        list[str] | None,
        _option(
            ACCESS,
            "A name by which clients may call this server, such as example.org; *.example.org: all "
            "below it, *: any. Several are fine.",
            show_default="localhost, addresses in numbers, this machine's, those of --host and "
            "--url",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        _option(ACCESS, "A file that holds the token.", envvar="CREPS_TOKEN_FILE"),
    ] = None,
    folder: Annotated[
        Path | None,
        _option(
            LIMITS,
            "Folder of cached answers and of big downloads.",
            show_default="creps/serve in the user's cache folder",
        ),
    ] = None,
    device: ComputeDevice = "auto",
    dtype: Dtype = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="A line a request.")] = False,
) -> None:
    """Open a viewer of endless pictures, and serve them by IIIF and Deep Zoom.

    \b
    creps serve
    creps serve --model portraits --model mine=runs/mine/model --port 8080
    creps serve --host 0.0.0.0 --token-file secret.txt
    creps serve --live

    See docs/serving.md. Ctrl-C ends it.
    """
    try:
        from creps.serving._app import build_app, listening, run_app
    except ImportError:
        raise MissingExtraError("creps serve", "serve") from None

    place = cache_folder("serve") if folder is None else folder
    names = dict.fromkeys((*(allow_host or ()), *_own_names(host)))
    settings = replace(
        settings,
        hosts=tuple(names),
        token=_token(settings.token, token_file),
        device=device,
        dtype=dtype,
        cache=place / "answers",
        jobs=place / "jobs",
        limits=limits,
    )
    with listening(host, port) as listener:  # a port in use is reported before models are loaded
        app = build_app(_load_models(model or ["portraits"]), settings=settings)
        _announce(host, listener.getsockname()[1], url=settings.url, token=settings.token)
        run_app(app, listener, settings=settings, verbose=verbose)


def export_site(
    out: Annotated[Path, typer.Option(help="Folder for the site; made if missing.")] = Path("site"),
    model: Model = "portraits",
    live: Annotated[
        bool, _option(PICTURE, "A page that draws by itself, instead of finished pictures.")
    ] = False,
    seeds: Annotated[
        str | None,
        _option(PICTURE, "Seeds such as 7, 0-7 or 0-7,12.", show_default=FIRST_SEEDS),
    ] = None,
    truncation: Truncation = 1.0,
    label: Label = None,
    size: Annotated[
        int | None,
        _option(
            VIEW, "Pixels of a picture's side.", show_default=str(SIDE), min=1, max=LARGEST_SIDE
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Of the page.", show_default="the model's name")
    ] = None,
    device: ComputeDevice = "auto",
    dtype: Dtype = None,
) -> None:
    """Make a site of plain files, which any web host can serve.

    A gallery of deep zooms; or with --live the viewer and the model itself: visitors' browsers draw
    every seed at any depth. A gallery takes time: after a stop, the same command resumes.

    \b
    creps export-site --live --model portraits --out site
    creps export-site --seeds 0-23 --size 16384 --out site
    python -m http.server --directory site
    """
    from creps.checkpoints import load
    from creps.rendering._styles import checked_seed

    try:
        from creps.serving._sites import SiteSettings, write_live_site, write_site
    except ImportError:
        raise MissingExtraError("creps export-site", "serve") from None

    name = model_name(model)
    if live:
        given = {
            "seeds": seeds is not None,
            "truncation": truncation != 1,
            "class": label is not None,
            "size": size is not None,
            "title": title is not None,
            "device": device != "auto",
            "dtype": dtype is not None,
        }
        if fixed := [word for word, there in given.items() if there]:
            raise UsageError(f"--{fixed[0]} with --live: visitors choose, leave it out")
        total = write_live_site(out, load(model), name=name)
        typer.echo(f"{out / 'index.html'}: {name}, drawn by the visitor, {total / 1e6:.1f} MB")
        return
    wanted = parse_seeds(FIRST_SEEDS if seeds is None else seeds)
    checked_seed(max(wanted))
    settings = SiteSettings(
        name=name,
        title=title or name,
        seeds=tuple(wanted),
        size=SIDE if size is None else size,
        truncation=truncation,
        label=label,
    )
    generator = load(model)
    with report("rendering") as told:
        count = write_site(
            out, generator, settings=settings, device=device, dtype=dtype, progress=told
        )
    pictures = f"{len(wanted)} pictures of {settings.size} x {settings.size}"
    typer.echo(f"{out / 'index.html'}: {pictures}, {count} new")


def model_name(word: str) -> str:
    """What a model is called in addresses: the name of its folder or file.

    Example:
        >>> model_name("portraits"), model_name("runs/earth/model"), model_name("a/b.safetensors")
        ('portraits', 'earth', 'b')
    """
    path = Path(word)
    if path.suffix == ".safetensors":
        path = path.with_suffix("")
    name = path.parent.name if path.name == "model" and path.parent.name else path.name
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)


def _load_models(words: list[str]) -> dict[str, Generator]:
    """Models by name, of words such as `portraits` and `mine=runs/mine/model`."""
    from creps.checkpoints import load

    named: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or "/" in name or Path(word).exists():  # a path may have one too
            name, path = model_name(word), word
        if name in named:
            raise UsageError(f"two models are called {name!r}: name one as in other={path}")
        named[name] = path
    return {name: load(path) for name, path in named.items()}


def _own_names(host: str) -> list[str]:
    """What a server may be called that listens at this address."""
    if host in LOOPBACK:
        return []
    machine = socket.gethostname()
    return [name for name in (host, machine, f"{machine}.local") if is_name(name)]


def _token(word: str | None, file: Path | None) -> str | None:
    """The token, as given or from a file: its first and only line."""
    if file is None:
        return word
    if word is not None:
        raise UsageError("--token and --token-file: expected one of them")
    return file.read_text("ascii", errors="replace").strip()


def _announce(host: str, port: int, *, url: str | None, token: str | None) -> None:
    """Say where the viewer is: for the world, and for a proxy on this machine."""
    local = host in LOOPBACK
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown if local else 'localhost'}:{port}/"
    query = "?token=..." if token else ""
    places = [f"{url.rstrip('/')}/", address] if url else [address]
    shown = ", behind it ".join(place + query for place in places)
    typer.echo(f"The viewer is at {shown}   (Ctrl-C ends it)")
    if not local and token is None:
        typer.echo(
            "creps: anyone who can reach this machine may use it; see --token-file", err=True
        )
