"""Several pictures on one: contact sheets, plain or with captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from creps.errors import UsageError
from creps.rendering._painter import Picture
from creps.rendering.output._images import on_white

PAPER, INK, FAINT = (255, 255, 255), (32, 32, 32), (120, 120, 120)


def sheet_size(count: int, height: int, width: int) -> tuple[int, int]:
    """(height, width) of a nearly square sheet of `count` pictures of one size."""
    across = math.ceil(math.sqrt(count))
    return height * -(-count // across), width * across


def contact_sheet(pictures: Sequence[Picture], *, columns: int | None = None) -> Picture:
    """Pictures of one size, edge to edge, row by row.

    Args:
        pictures: (H, W, C) uint8 each, at least one.
        columns: pictures side by side; nearly square by default.
    Returns:
        (rows * H, columns * W, C) uint8; places without a picture are white.
    Raises:
        UsageError: for no pictures or pictures of different shapes.
    """
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1:
        raise UsageError(f"a sheet of pictures of shapes {sorted(shapes)}: expected one shape")
    height, width, channels = shapes.pop()
    across = columns or math.ceil(math.sqrt(len(pictures)))
    down = -(-len(pictures) // across)
    sheet = np.full((down * height, across * width, channels), 255, dtype=np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // across * height, place % across * width
        sheet[top : top + height, left : left + width] = picture
    return sheet


@dataclass(frozen=True)
class Panel:
    """A picture with a caption.

    Attributes:
        picture: (H, W, 3) or (H, W, 1) uint8.
        title: one line.
        note: a second, fainter line; may be empty.
        outline: (top, left, bottom, right) of a box drawn on the picture, in its pixels; or None.
    """

    picture: Picture
    title: str
    note: str = ""
    outline: tuple[int, int, int, int] | None = None


def captioned_sheet(rows: Sequence[Sequence[Panel]], *, heading: str) -> Picture:
    """Rows of panels with captions below and a heading above, on white paper.

    Args:
        rows: panels, all with pictures of one height and width, the same number in each row.
        heading: one line over the whole.
    Returns:
        (H, W, 3) uint8.
    """
    height, width = rows[0][0].picture.shape[:2]
    side = min(height, width)  # wide pictures need no larger words
    margin = max(side // 12, 16)
    text = max(side // 20, 12)
    caption = 3 * text
    top = margin + 2 * text + margin // 2
    paper_size = (
        margin + max(len(row) for row in rows) * (width + margin),
        top + len(rows) * (height + caption + margin),
    )
    paper = Image.new("RGB", paper_size, PAPER)
    draw = ImageDraw.Draw(paper)
    draw.text((margin, margin), heading, INK, _font(text * 1.3))
    for i, row in enumerate(rows):
        for j, panel in enumerate(row):
            x, y = margin + j * (width + margin), top + i * (height + caption + margin)
            paper.paste(_image(panel), (x, y))
            draw.text((x, y + height + text // 2), panel.title, INK, _font(text))
            draw.text((x, y + height + 2 * text), panel.note, FAINT, _font(text * 0.85))
    return np.asarray(paper)


def _image(panel: Panel) -> Image.Image:
    """The picture of a panel with its box, white inside black so that it shows on any color."""
    image = Image.fromarray(
        panel.picture.squeeze(2) if panel.picture.shape[2] == 1 else panel.picture
    )
    image = on_white(image)
    if panel.outline is not None:
        top, left, bottom, right = panel.outline
        draw = ImageDraw.Draw(image)
        draw.rectangle((left - 1, top - 1, right, bottom), outline=(0, 0, 0))
        draw.rectangle((left - 2, top - 2, right + 1, bottom + 1), outline=(255, 255, 255))
    return image


def _font(size: float) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
