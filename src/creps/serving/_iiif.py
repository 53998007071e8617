"""IIIF as arithmetic: image requests of a picture of known size, and manifests.

https://iiif.io/api/image/3.0/ (section numbers below are its own) and, for manifests,
https://iiif.io/api/presentation/3.0/. No pixels are drawn here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from creps.errors import GridError, UsageError
from creps.rendering._tiles import Tile
from creps.rendering.warps._base import cosine_sine
from creps.serving._settings import Limits

PRESENTATION = "http://iiif.io/api/presentation/3/context.json"
SHOWN = 1024
"""Pixels of the longer side of the picture that a viewer without deep zoom shows."""
THUMBNAIL = 256


def manifest(
    base: str, *, label: str, height: int, width: int, credits: str = "", largest: int = SHOWN
) -> dict[str, Any]:
    """The manifest of one picture of `height` x `width` declared pixels.

    `base` is the URI of its image service, without a slash at its end. The still picture in it has
    `largest` pixels on its longer side.
    """
    side = min(SHOWN, largest, max(height, width))
    service = [{"id": base, "type": "ImageService3", "profile": "level2"}]

    def still(side: int) -> dict[str, Any]:
        address = f"{base}/full/!{side},{side}/0/default.jpg"
        return {"id": address, "type": "Image", "format": "image/jpeg", "service": service}

    canvas = f"{base}/canvas"
    annotation = {
        "id": f"{canvas}/annotation",
        "type": "Annotation",
        "motivation": "painting",
        "body": {**still(side), "height": height, "width": width},
        "target": canvas,
    }
    document: dict[str, Any] = {
        "@context": PRESENTATION,
        "id": f"{base}/manifest.json",
        "type": "Manifest",
        "label": {"none": [label]},
        "thumbnail": [still(THUMBNAIL)],
        "items": [
            {
                "id": canvas,
                "type": "Canvas",
                "label": {"none": [label]},
                "height": height,
                "width": width,
                "items": [
                    {"id": f"{canvas}/page", "type": "AnnotationPage", "items": [annotation]}
                ],
            }
        ],
    }
    if credits:
        document["requiredStatement"] = {
            "label": {"en": ["Credits"]},
            "value": {"none": [credits]},
        }
    return document


Quality = Literal["default", "color", "gray", "bitonal"]

QUALITIES: tuple[Quality, ...] = ("default", "color", "gray", "bitonal")
FORMATS = ("jpg", "png", "webp", "tif", "gif", "jp2", "pdf")
"""All that section 4.5 names."""

TILE = 256
SMALLEST = 128
"""Pixels of the longer side of the smallest size that is offered ready-made."""

TURN_COST = 2
"""Cost of a pixel of a picture not turned by quarters, in pixels of an upright one."""

CONTEXT = "http://iiif.io/api/image/3/context.json"
PROFILE = "http://iiif.io/api/image/3/level2.json"

_DECIMAL = r"(\d{1,15}(?:\.\d{1,15})?|\.\d{1,15})"
_PIXELS = re.compile(r"(\d{1,10}),(\d{1,10}),(\d{1,10}),(\d{1,10})")
_PERCENT = re.compile(rf"pct:{_DECIMAL},{_DECIMAL},{_DECIMAL},{_DECIMAL}")
_SIZE = re.compile(rf"(\^?)(?:max|pct:{_DECIMAL}|(!?)(\d{{0,10}}),(\d{{0,10}}))")
_ROTATION = re.compile(rf"(!?){_DECIMAL}")
_TAIL = re.compile(r"([a-z]{1,10})\.([a-z0-9]{1,5})")


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A parsed image request; `canonical` is its address (section 4.7).

    Attributes:
        region: of the picture.
        width, height: of it, scaled, before it is turned.
        mirror: left and right are swapped, before it is turned.
        turn: degrees clockwise, 0 to 360, without 360.
        quality, format: one of QUALITIES and FORMATS.
        canonical: region/size/rotation/quality.format in their canonical form.
    """

    region: Tile
    width: int
    height: int
    mirror: bool
    turn: float
    quality: Quality
    format: str
    canonical: str


def turned_size(height: int, width: int, degrees: float) -> tuple[int, int]:
    """(height, width) of the box round a rectangle that is turned (section 4.3).

    Example:
        >>> turned_size(100, 200, 90), turned_size(100, 100, 45)
        ((200, 100), (142, 142))
    """
    cosine, sine = map(abs, cosine_sine(degrees))
    # Slightly less: rounding must not add a row of pixels.
    box = height * cosine + width * sine, width * cosine + height * sine
    return max(math.ceil(box[0] - 1e-6), 1), max(math.ceil(box[1] - 1e-6), 1)


def parse_image_request(
    words: tuple[str, str, str, str], *, width: int, height: int, limits: Limits
) -> ImageRequest:
    """Read region, size, rotation and quality.format of a picture of `width` x `height` pixels.

    Raises:
        UsageError: for invalid words.
        GridError: for regions outside, sizes that need `^`, and pictures beyond the limits.
    Example:
        >>> words = "pct:50,0,50,50", "^400,", "!22.50", "gray.png"
        >>> parse_image_request(words, width=600, height=400, limits=Limits()).canonical
        '300,0,300,200/^400,267/!22.5/gray.png'
    """
    region_text, size_text, rotation_text, tail = words
    region = _region(region_text, width, height)
    w, h = _size(size_text, region, limits)
    mirror, turn = _rotation(rotation_text)
    quality, kind = _tail(tail)
    refuse_beyond(*turned_size(h, w, turn), turn=turn, limits=limits)
    whole = region == Tile(0, 0, height, width)
    area = "full" if whole else f"{region.left},{region.top},{region.width},{region.height}"
    size = _canonical_size(w, h, region, limits)
    rotation = f"{'!' if mirror else ''}{turn:.15g}"
    return ImageRequest(
        region=region,
        width=w,
        height=h,
        mirror=mirror,
        turn=turn,
        quality=quality,
        format=kind,
        canonical=f"{area}/{size}/{rotation}/{'default' if quality == 'color' else quality}.{kind}",
    )


def information(base: str, *, width: int, height: int, limits: Limits) -> dict[str, Any]:
    """The document of an image (section 5); `base` is its URI, without a slash at its end."""
    levels = max(math.ceil(math.log2(max(width, height) / TILE)), 0) + 1
    factors = [2**level for level in range(levels)]
    halves = range(max(math.floor(math.log2(max(width, height) / SMALLEST)), 0) + 1)
    # Rounded up, as viewers round the sizes of tiles that they request.
    sizes = {(-(-width // 2**k), -(-height // 2**k)) for k in halves}
    fitting = [
        (w, h) for w, h in sorted(sizes) if w * h <= limits.pixels and max(w, h) <= limits.side
    ]
    return {
        "@context": CONTEXT,
        "id": base,
        "type": "ImageService3",
        "protocol": "http://iiif.io/api/image",
        "profile": "level2",
        "width": width,
        "height": height,
        "maxWidth": limits.side,
        "maxHeight": limits.side,
        "maxArea": limits.pixels,
        "sizes": [{"type": "Size", "width": w, "height": h} for w, h in fitting],
        "tiles": [{"type": "Tile", "width": TILE, "height": TILE, "scaleFactors": factors}],
        "preferredFormats": ["jpg", "webp", "png"],
        "extraFormats": [each for each in FORMATS if each not in ("jpg", "png")],
        "extraQualities": ["color", "gray", "bitonal"],
        "extraFeatures": [
            "canonicalLinkHeader",
            "mirroring",
            "profileLinkHeader",
            "rotationArbitrary",
            "sizeUpscaling",
        ],
    }


def _region(text: str, width: int, height: int) -> Tile:
    """Section 4.1: the part that lies inside the picture."""
    if text == "full":
        return Tile(0, 0, height, width)
    if text == "square":
        side = min(width, height)
        return Tile((height - side) // 2, (width - side) // 2, side, side)
    if match := _PIXELS.fullmatch(text):
        left, top, across, down = map(int, match.groups())
        right, bottom = left + across, top + down
    elif match := _PERCENT.fullmatch(text):
        x, y, w, h = (float(word) / 100 for word in match.groups())
        left, top = round(min(x, 2) * width), round(min(y, 2) * height)
        right, bottom = round(min(x + w, 2) * width), round(min(y + h, 2) * height)
        # A part that is not empty keeps a pixel.
        right, bottom = max(right, left + (w > 0)), max(bottom, top + (h > 0))
    else:
        raise UsageError(f"region {text[:60]!r}: expected full, square, x,y,w,h or pct:x,y,w,h")
    right, bottom = min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        raise GridError(f"region {text[:60]!r}: nothing of it lies in {width},{height} pixels")
    return Tile(top, left, bottom - top, right - left)


def _size(text: str, region: Tile, limits: Limits) -> tuple[int, int]:
    """Section 4.2: (width, height)."""
    match = _SIZE.fullmatch(text)
    if match is None or (match[4] == match[5] == "") or (match[3] and not (match[4] and match[5])):
        raise UsageError(
            f"size {text[:60]!r}: expected max, w,  ,h  pct:n  w,h or !w,h, each with ^ to enlarge"
        )
    enlarge, percent, confined = match[1] == "^", match[2], match[3] == "!"
    w, h = region.width, region.height
    if match[4] is None and percent is None:  # max
        wide, high = _within(limits, w, h, at_most=math.inf if enlarge else 1.0)
    elif percent is not None:
        share = float(percent) / 100
        wide, high = round(w * share), round(h * share)
        _refuse_enlarging(share > 1 and not enlarge, text)
    elif confined:
        box = _within(limits, w, h, at_most=math.inf if enlarge else 1.0)
        share = min(int(match[4]) / w, int(match[5]) / h, box[0] / w, box[1] / h)
        # Rounded down: a unit of rounding must not leave the box.
        wide = min(round(w * share), int(match[4]), box[0])
        high = min(round(h * share), int(match[5]), box[1])
        wide, high = max(wide, min(int(match[4]), 1)), max(high, min(int(match[5]), 1))
    else:
        wide = int(match[4]) if match[4] else max(round(w * int(match[5]) / h), 1)
        high = int(match[5]) if match[5] else max(round(h * int(match[4]) / w), 1)
        _refuse_enlarging((wide > w or high > h) and not enlarge, text)
        if not (int(match[4] or 1) and int(match[5] or 1)):
            wide = 0
    if min(wide, high) < 1:
        raise GridError(f"size {text[:60]!r}: less than a pixel")
    return wide, high


def _canonical_size(width: int, height: int, region: Tile, limits: Limits) -> str:
    """Section 4.7."""
    if (width, height) == _within(limits, region.width, region.height, at_most=1.0):
        return "max"
    upscaled = width > region.width or height > region.height
    if upscaled and (width, height) == _within(
        limits, region.width, region.height, at_most=math.inf
    ):
        return "^max"
    return f"{'^' if upscaled else ''}{width},{height}"


def _refuse_enlarging(larger: bool, text: str) -> None:
    if larger:
        raise GridError(f"size {text[:60]!r} is larger than the region: write ^{text[:60]}")


def _within(limits: Limits, width: int, height: int, *, at_most: float) -> tuple[int, int]:
    """(width, height) as large as the limits allow, in proportion, not larger than `at_most`."""
    share = min(
        limits.side / width, limits.side / height, math.sqrt(limits.pixels / width / height)
    )
    if share >= at_most:
        return round(width * at_most), round(height * at_most)
    wide, high = max(int(width * share), 1), max(int(height * share), 1)
    return min(wide, limits.side), min(high, limits.side)


def refuse_beyond(height: int, width: int, *, turn: float, limits: Limits) -> None:
    """Raise a GridError for an answer whose size and turn exceed the limits."""
    dear = turn % 90 != 0
    most = limits.pixels // TURN_COST if dear else limits.pixels
    if max(height, width) > limits.side or height * width > most:
        raise GridError(
            f"{width} x {height} pixels: expected at most {limits.side} a side and {most:,} in all"
            + (", corners included, of a picture that is turned" if dear else "")
        )


def _rotation(text: str) -> tuple[bool, float]:
    """Section 4.3: (mirrored, degrees clockwise)."""
    match = _ROTATION.fullmatch(text)
    degrees = float(match[2]) if match else math.inf
    if match is None or degrees > 360:
        raise UsageError(f"rotation {text[:60]!r}: expected 0 to 360 degrees, !n to mirror first")
    return match[1] == "!", degrees % 360


def _tail(text: str) -> tuple[Quality, str]:
    """Sections 4.4 and 4.5."""
    match = _TAIL.fullmatch(text)
    if match is None or match[1] not in QUALITIES or match[2] not in FORMATS:
        raise UsageError(
            f"{text[:60]!r}: expected {', '.join(QUALITIES)} and .{', .'.join(FORMATS)}, such as "
            "default.jpg"
        )
    return next(each for each in QUALITIES if each == match[1]), match[2]
