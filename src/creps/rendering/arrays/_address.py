"""Pictures by address: `creps://MODEL?seed=7&size=65536`, for programs that open things by name.

MODEL is a name or path, as `creps.load` takes it. Words are those of `creps render`: seed, styles,
blend, class, truncation, cutoff, size, window, zoom, pan, warp, supersample, exact, device, dtype;
and chunk, pixels of a chunk's side.
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import parse_qsl, unquote

from creps.errors import CheckpointError, UsageError
from creps.rendering._words import Fields, parse_fields, parse_number, parse_point, parse_window
from creps.rendering.arrays._open import name_of, virtual_picture
from creps.rendering.arrays._picture import VirtualPicture

SCHEME = "creps://"


def is_address(text: object) -> bool:
    """Whether a text is an address of a picture."""
    return isinstance(text, str) and text.startswith(SCHEME)


def open_address(address: str, *, chunk: int) -> tuple[str, VirtualPicture]:
    """The name and the pyramid of the picture that an address names.

    Args:
        address: of the picture; Windows' and other programs' single slash is taken too.
        chunk: pixels of a chunk's side, where the address has none.
    Raises:
        UsageError, GridError, LabelError: for words that nobody knows, or that cannot be drawn.
        CheckpointError: for a model that cannot be read.
    """
    match = re.fullmatch(r"creps:/{1,2}([^?#]*)(?:\?([^#]*))?", address)
    model = unquote(match[1]) if match else ""
    if match is None or not model:
        raise UsageError(f"{address[:80]!r}: expected creps://MODEL?seed=7&size=65536")
    words = parse_qsl(match[2] or "", keep_blank_values=True)
    options = parse_fields(words, _WORDS, where=address)
    if not options.keys() & {"seed", "styles"}:
        raise UsageError(f"{address[:80]!r}: say which picture, such as {SCHEME}{model}?seed=7")
    try:
        return name_of(model), virtual_picture(model, **{"chunk": chunk, **options})
    except CheckpointError as error:
        raise CheckpointError(f"{address[:80]}: {error}") from None


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,15})(?:x([0-9]{1,15}))?", text.lower())
    if match is None:
        raise UsageError(f"size {text[:40]!r}: expected pixels, 65536 or HEIGHTxWIDTH as 768x1280")
    return int(match[1]), int(match[2] or match[1])


def _number(text: str, *, what: str) -> float:
    return parse_number(text, f"{what} {text[:40]!r}", f"{what}=1")


def _whole(text: str, *, what: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,15}", text):
        raise UsageError(f"{what} {text[:40]!r}: expected a whole number")
    return int(text)


def _samples(text: str) -> int | str:
    return text if text == "auto" else _whole(text, what="supersample")


def _flag(text: str) -> bool:
    if text not in ("0", "1", "true", "false", ""):
        raise UsageError(f"exact {text[:40]!r}: expected 1 or 0")
    return text not in ("0", "false")


_WORDS: Fields = {
    "seed": ("seed", partial(_whole, what="seed")),
    "styles": ("styles", str),
    "blend": ("blend", str),
    "class": ("label", str),
    "truncation": ("truncation", partial(_number, what="truncation")),
    "cutoff": ("truncation_cutoff", partial(_whole, what="cutoff")),
    "size": ("size", _size),
    "window": ("window", parse_window),
    "zoom": ("zoom", partial(_number, what="zoom")),
    "pan": ("pan", partial(parse_point, name="pan")),
    "warp": ("warp", str),
    "supersample": ("supersample", _samples),
    "exact": ("exact", _flag),
    "device": ("device", str),
    "dtype": ("dtype", str),
    "chunk": ("chunk", partial(_whole, what="chunk")),
}
