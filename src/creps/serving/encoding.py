"""Pixels to the bytes of an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from creps.rendering.renderer import Picture
from creps.serving.iiif import Quality
from creps.serving.shots import Coverage

PAPER = 255
"""What is seen through transparent places in formats that have none: white."""

HALF = 128
"""Bitonal pictures are white from this level on."""


@dataclass(frozen=True)
class Encoding:
    """How a format is written.

    Attributes:
        name: as Pillow calls it.
        media_type: as browsers call it.
        transparent: whether it can be.
        options: for Pillow.
    """

    name: str
    media_type: str
    transparent: bool
    options: dict[str, Any] = field(default_factory=dict)


ENCODINGS = {
    "jpg": Encoding("JPEG", "image/jpeg", False, {"quality": 90, "subsampling": 0}),
    "png": Encoding("PNG", "image/png", True, {"compress_level": 4}),
    "webp": Encoding("WEBP", "image/webp", True, {"quality": 90, "method": 2}),
    "tif": Encoding("TIFF", "image/tiff", True, {"compression": "tiff_deflate"}),
    "gif": Encoding("GIF", "image/gif", False),
    "jp2": Encoding("JPEG2000", "image/jp2", True),
    "pdf": Encoding("PDF", "application/pdf", False),
}
"""By suffix, as section 4.5 of the IIIF Image API names them."""


def encoded(picture: Picture, opacity: Coverage | None, *, quality: Quality, kind: str) -> bytes:
    """The bytes of a picture.

    Args:
        picture: (H, W, C) pixels.
        opacity: (H, W), 0 is transparent; None: all is opaque.
        quality: colours, levels of gray, or black and white.
        kind: a suffix of `ENCODINGS`.
    """
    encoding = ENCODINGS[kind]
    image = Image.fromarray(picture if picture.shape[2] > 1 else picture[:, :, 0])
    if quality in ("gray", "bitonal"):
        image = image.convert("L")
    if opacity is not None:
        mask = Image.fromarray(opacity)
        if not encoding.transparent:
            paper = Image.new(image.mode, image.size, (PAPER,) * len(image.getbands()))
            image = Image.composite(image, paper, mask)
    if quality == "bitonal":
        image = Image.fromarray(np.where(np.asarray(image) < HALF, 0, 255).astype(np.uint8))
    if opacity is not None and encoding.transparent:
        image.putalpha(mask)
    target = BytesIO()
    image.save(target, encoding.name, **encoding.options)
    return target.getvalue()
