"""Sites of plain files, which `creps export-site` writes: galleries, and pages that draw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from creps import __version__
from creps._devices import Device
from creps._files import write_atomically
from creps.checkpoints import weights_id
from creps.errors import ConfigError, CrepsError
from creps.networks.base import Generator
from creps.rendering import Latent, Renderer, View, read_settings, save_picture
from creps.rendering._painter import Progress
from creps.rendering._sampling import detail_resolution, trained_resolution
from creps.rendering._view import Precision
from creps.rendering.output._images import tiles_folder
from creps.rendering.output._save import unfinished
from creps.serving._identifiers import NAME
from creps.serving._models import ServedModel
from creps.serving._offer import LIVE_LIMITS, offer, page_weights
from creps.serving._pages import INDEX, LOGIN, POLICY, static_files
from creps.serving._settings import ServeSettings

THUMBNAIL = 384
"""Pixels of a side of the small pictures on the page."""

GALLERY = "gallery.html"
"""The static page: it becomes the site's index."""

SITE = "site.json"
"""What a site shows."""

OFFER = b'<meta name="creps-offer" content="api/models" />'
"""Where the viewer's page says what it reads first."""
OWN_OFFER = f"""<meta http-equiv="Content-Security-Policy" content="{POLICY}" />
    <meta name="creps-offer" content="{SITE}" />""".encode()
"""The same where there is no server, which would say what the page may load."""


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """What a site shows.

    Attributes:
        name, title: of the model, and of the page.
        seeds: of the pictures, in order.
        size: pixels of a picture's side.
        truncation: of their styles.
        label: index or name of their class, for class-conditional models.
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    size: int = 16384
    truncation: float = 1.0
    label: int | str | None = None


def write_site(
    out: Path,
    generator: Generator,
    *,
    settings: SiteSettings,
    device: Device = None,
    dtype: Precision = None,
    progress: Progress | None = None,
) -> int:
    """Write a gallery; finished pictures of an earlier call are kept, unfinished ones resume.

    `OUT/index.html` is the page, `OUT/site.json` says what it shows, `OUT/static` is what it needs,
    and every picture is `seedN.dzi` with its tiles, and `seedN.jpg`.

    Args:
        out: the folder; made if missing.
        generator: the model.
        settings: what is to be shown.
        device, dtype: as for `render`.
        progress: called with the pixels done and the pixels in all.
    Returns:
        how many pictures were written.
    Raises:
        GridError, UsageError: as `render`.
        MissingExtraError: without the packages of the `big` extra.
    """
    view = View(size=settings.size)
    label = generator.class_index(settings.label)
    latents = [
        Latent(seed=seed, truncation=settings.truncation, label=label) for seed in settings.seeds
    ]
    out.mkdir(parents=True, exist_ok=True)
    pixels = settings.size**2
    new = 0
    for index, latent in enumerate(latents):
        told = progress and partial(_of_all, progress, index * pixels, len(latents) * pixels)
        renderer = Renderer(generator, latent, device=device, dtype=dtype)
        target = out / f"seed{latent.seed}.dzi"
        new += _write_picture(target, renderer, view, model=settings.name, progress=told)
    _write_page(out, generator, settings)
    return new


def write_live_site(out: Path, generator: Generator, *, name: str) -> int:
    """Write the viewer and a model that it draws by itself, in the visitor's browser.

    `OUT/index.html` is the page, `OUT/site.json` says what there is, `OUT/weights` holds the model
    and `OUT/static` what the page needs. All addresses are relative: the folder works anywhere.

    Args:
        out: the folder; made if missing.
        generator: the model.
        name: of the model, in links.
    Returns:
        bytes of all files.
    Raises:
        ConfigError: for a name that no link can have.
        UnsupportedError: for a model that a page cannot draw.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"model name {name!r}: expected letters, digits, dots and dashes")
    address = f"weights/{name}.safetensors"
    document = offer(
        {name: ServedModel(name, generator)},
        size=ServeSettings.size,
        limits=LIVE_LIMITS,
        # Under a new address when they change: hosts let browsers keep files for a while.
        weights={name: f"{address}?{weights_id(generator)[:8]}"},
        draws=False,
    )
    contents = {address: page_weights(generator), SITE: json.dumps(document, indent=2).encode()}
    for file, content in static_files().items():
        if file == INDEX:
            contents[INDEX] = content.replace(OFFER, OWN_OFFER)
        elif Path(file).stem not in (Path(GALLERY).stem, Path(LOGIN).stem):
            contents[f"static/{file}"] = content
    out.mkdir(parents=True, exist_ok=True)
    # The page comes last: what it needs is there before it.
    for file in sorted(contents, key=lambda file: file == INDEX):
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out / file, contents[file])
    return sum(map(len, contents.values()))


def _write_picture(
    target: Path, renderer: Renderer, view: View, *, model: str, progress: Progress | None
) -> bool:
    """One picture, its tiles and its thumbnail, unless the same one exists."""
    thumbnail = target.with_suffix(".jpg")
    painter = renderer.painter(view)
    about = {**painter.about(), "model": model}
    pixels = painter.height * painter.width
    if thumbnail.is_file() and _is_there(target, about):
        if progress is not None:
            progress(pixels, pixels)
        return False
    save_picture(painter, target, settings=about, progress=progress)
    small = renderer.picture(size=min(THUMBNAIL, painter.height), supersample="auto")
    save_picture(small, thumbnail, settings=about)
    return True


def _is_there(target: Path, about: dict[str, Any]) -> bool:
    """Whether a picture is finished, with these settings."""
    if unfinished(target).exists() or not tiles_folder(target).is_dir():
        return False
    try:
        return read_settings(target) == about
    except (CrepsError, OSError):
        return False


def _write_page(out: Path, generator: Generator, settings: SiteSettings) -> None:
    """The page, what it needs, and what it shows."""
    record, size = generator.record, settings.size
    document = {
        "title": settings.title,
        "model": settings.name,
        "credits": str(record.get("credits", "")),
        "license": str(record.get("license", "")),
        "size": size,
        "trained": trained_resolution(generator),
        "detail": detail_resolution(generator),
        "truncation": settings.truncation,
        "made": f"creps {__version__}",
        "pictures": [
            {
                "seed": seed,
                "name": f"seed {seed}",
                "dzi": f"seed{seed}.dzi",
                "thumbnail": f"seed{seed}.jpg",
                "height": size,
                "width": size,
            }
            for seed in settings.seeds
        ],
    }
    for name, content in static_files().items():
        if name == INDEX:
            continue
        place = out / INDEX if name == GALLERY else out / "static" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, content)
    write_atomically(out / SITE, json.dumps(document, indent=2).encode())


def _of_all(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    """Report the progress of one picture as progress of all."""
    progress(before + done, total)
