"""`creps serve` and `creps export-site`: pictures to walk into, live or as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from creps.cli._options import (
    MAKING,
    PICTURE,
    VIEW,
    ComputeDevice,
    Dtype,
    Model,
    Truncation,
    parse_seeds,
)
from creps.cli._progress import report
from creps.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from creps.networks.base import Generator

ACCESS, LIMITS = "Access", "Limits"
"""Groups of options in the help."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="A packaged model, a folder or a file; NAME=PATH names it in addresses. Several are "
        "fine.",
        show_default="portraits",
        rich_help_panel=PICTURE,
    ),
]
Side = Annotated[
    int,
    typer.Option(
        help="Declared pixels of a picture's side, for IIIF and Deep Zoom.", rich_help_panel=VIEW
    ),
]
Host = Annotated[
    str,
    typer.Option(
        help="Address to listen at; 0.0.0.0: every network interface.", rich_help_panel=ACCESS
    ),
]
Port = Annotated[int, typer.Option(help="0: any that is free.", rich_help_panel=ACCESS)]
Token = Annotated[
    str | None,
    typer.Option(envvar="CREPS_TOKEN", help="Clients must present it.", rich_help_panel=ACCESS),
]
Url = Annotated[
    str | None,
    typer.Option(
        help="Public address behind a proxy, such as https://example.org/creps.",
        rich_help_panel=ACCESS,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Threads that draw.",
        show_default="one a core, one on an accelerator",
        rich_help_panel=MAKING,
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of cached answers and of big downloads.",
        show_default="creps/serve in the user's cache folder",
        rich_help_panel=LIMITS,
    ),
]
CacheMegabytes = Annotated[
    int, typer.Option("--cache-mb", help="Of answers on disk; 0: none.", rich_help_panel=LIMITS)
]
MemoryMegabytes = Annotated[
    int, typer.Option("--memory-mb", help="Of prepared pictures.", rich_help_panel=LIMITS)
]
Pixels = Annotated[int, typer.Option("--max-pixels", help="Of one answer.", rich_help_panel=LIMITS)]
Waiting = Annotated[
    int, typer.Option("--max-waiting", help="Requests that wait.", rich_help_panel=LIMITS)
]
JobPixels = Annotated[
    int,
    typer.Option(
        "--job-megapixels", help="Of one big download; 0: there are none.", rich_help_panel=LIMITS
    ),
]
JobGigabytes = Annotated[
    int, typer.Option("--jobs-gb", help="Of all big downloads.", rich_help_panel=LIMITS)
]


def serve(
    model: Models = None,
    size: Side = 2**17,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    url: Url = None,
    workers: Workers = None,
    device: ComputeDevice = None,
    dtype: Dtype = None,
    folder: Folder = None,
    cache_mb: CacheMegabytes = 1024,
    memory_mb: MemoryMegabytes = 512,
    max_pixels: Pixels = 2**22,
    max_waiting: Waiting = 256,
    job_megapixels: JobPixels = 4096,
    jobs_gb: JobGigabytes = 20,
    verbose: Annotated[bool, typer.Option("--verbose", help="A line a request.")] = False,
) -> None:
    """Open a viewer of endless pictures, and serve them by IIIF and Deep Zoom.

    \b
    creps serve
    creps serve --model portraits --model mine=runs/mine/model --port 8080
    creps serve --host 0.0.0.0 --token a-long-secret

    docs/serving.md tells more. Ctrl-C ends it.
    """
    try:
        from creps.serving._app import build_app, listening, run_app
        from creps.serving._settings import MEGABYTE, Limits, ServeSettings
    except ImportError:
        raise MissingExtraError("creps serve", "serve") from None

    from creps._files import cache_folder

    place = cache_folder("serve") if folder is None else folder
    settings = ServeSettings(
        size=size,
        workers=workers,
        device=device,
        dtype=dtype,
        token=token,
        url=url,
        cache=place / "answers" if cache_mb else None,
        jobs=place / "jobs" if job_megapixels else None,
        limits=Limits(
            pixels=max_pixels,
            waiting=max_waiting,
            pictures=memory_mb * MEGABYTE,
            cache=max(cache_mb, 1) * MEGABYTE,
            job_pixels=max(job_megapixels, 1) * 1_000_000,
            job_bytes=jobs_gb * 1024 * MEGABYTE,
        ),
    )
    with listening(host, port) as listener:  # a port in use is told before models are loaded
        app = build_app(_load_models(model or ["portraits"]), settings=settings)
        _announce(host, listener.getsockname()[1], token=token)
        run_app(app, listener, settings=settings, verbose=verbose)


def export_site(
    out: Annotated[Path, typer.Option(help="Folder for the site; made if missing.")] = Path("site"),
    model: Model = "portraits",
    seeds: Annotated[
        str, typer.Option(help="Seeds such as 7, 0-7 or 0-7,12.", rich_help_panel=PICTURE)
    ] = "0-23",
    truncation: Truncation = 1.0,
    size: Annotated[
        int, typer.Option(help="Pixels of a picture's side.", rich_help_panel=VIEW)
    ] = 16384,
    title: Annotated[
        str | None, typer.Option(help="Of the page.", show_default="the model's name")
    ] = None,
    device: ComputeDevice = None,
    dtype: Dtype = None,
) -> None:
    """Make a gallery of deep zooms as plain files, which any web host can serve.

    After a stop, the same command goes on; pictures that are there are kept.

    \b
    creps export-site --seeds 0-23 --size 16384 --out site
    python -m http.server --directory site
    """
    from creps.checkpoints import load
    from creps.rendering._styles import checked_seed
    from creps.serving._sites import SiteSettings, write_site

    wanted = parse_seeds(seeds)
    checked_seed(max(wanted))
    settings = SiteSettings(
        name=model_name(model),
        title=title or model_name(model),
        seeds=tuple(wanted),
        size=size,
        truncation=truncation,
    )
    generator = load(model)
    with report("rendering") as told:
        count = write_site(
            out, generator, settings=settings, device=device, dtype=dtype, progress=told
        )
    typer.echo(f"{out / 'index.html'}: {len(wanted)} pictures of {size} x {size}, {count} new")


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
        if not equals:
            name, path = model_name(word), word
        if name in named:
            raise UsageError(f"two models are called {name!r}: name one as in other={path}")
        named[name] = path
    return {name: load(path) for name, path in named.items()}


def _announce(host: str, port: int, *, token: str | None) -> None:
    """Say where the viewer is."""
    local = host in LOOPBACK
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown if local else 'localhost'}:{port}/"
    query = "?token=..." if token else ""
    typer.echo(f"The viewer is at {address}{query}   (Ctrl-C ends it)")
    if not local and token is None:
        typer.echo("creps: anyone who can reach this machine may use it; see --token", err=True)
