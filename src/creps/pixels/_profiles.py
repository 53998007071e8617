"""Color profiles: what a file's numbers mean, made what they mean in sRGB.

By lcms (through Pillow's ImageCms), as browsers do: the profile's perceptual intent, which for
profiles without tables is the colorimetric one, with black point compensation. A profile that moves
no color by more than a level is sRGB by any name, and left alone.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from creps.errors import printable

_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colors that profiles speak of, and how Pillow keeps them."""
_SAME = 1  # of 255: a profile that changes less than this is sRGB
_LEVELS = 9  # of each channel, that are tried for it
_STRIP = 1 << 18  # pixels of a deep picture that are converted at once
_UNNAMED = "an unnamed profile"


@dataclass(frozen=True, eq=False)
class Conversion:
    """The way from the colors of one profile to sRGB.

    Attributes:
        name: what the profile calls itself.
        mode: "RGB", "L" or "CMYK": what it speaks of.
        digest: of the profile.
    """

    name: str
    mode: str
    digest: str
    _transform: ImageCms.ImageCmsTransform
    _with_alpha: ImageCms.ImageCmsTransform | None

    def suits(self, mode: str) -> bool:
        """Whether it says what the colors of a mode of Pillow's mean."""
        if mode in ("CMYK", "LAB"):
            return self.mode == mode
        gray = mode.startswith(("1", "L", "I", "F"))
        return self.mode == "RGB" or (self.mode == "L" and gray)

    def applied(self, image: Image.Image) -> Image.Image:
        """A loaded picture as RGB or RGBA in sRGB; as it is where the profile does not suit it.

        The picture may be changed in place: it is not to be used afterwards.
        """
        if not self.suits(image.mode):
            return image
        if image.has_transparency_data:
            image = image.convert("RGBA")
        elif image.mode in ("P", "YCbCr", "HSV", "1"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        if self.mode == "RGB" and image.mode in ("L", "RGBX"):
            image = image.convert("RGB")
        if self.mode == "RGB" and image.mode == "RGBA" and self._with_alpha is not None:
            return _apply(image, self._with_alpha)
        if self.mode == "L" and image.mode == "RGBA":  # gray with alpha
            colors = _apply(image.getchannel(0), self._transform)
            colors.putalpha(image.getchannel("A"))
            return colors
        if image.mode == "RGB":
            ImageCms.applyTransform(image, self._transform, inPlace=True)
            return image
        return _apply(image, self._transform)

    def deep(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixels (H, W, C) of 0 .. 255, not rounded: gray or RGB, perhaps with alpha, in sRGB.

        Between the levels that lcms converts the result is interpolated linearly.
        """
        gray = pixels.shape[2] < 3
        if self.mode == "CMYK" or (self.mode == "L" and not gray):
            return pixels
        made = np.empty((*pixels.shape[:2], 3 + (pixels.shape[2] in (2, 4))), np.float32)
        step = max(_STRIP // pixels.shape[1], 1)
        for top in range(0, len(pixels), step):
            part = pixels[top : top + step]
            colors = part[:, :, :1] if gray else part[:, :, :3]
            if gray and self.mode == "RGB":
                colors = np.broadcast_to(colors, (*colors.shape[:2], 3))
            made[top : top + step, :, :3] = self._between(colors)
            made[top : top + step, :, 3:] = part[:, :, 1 if gray else 3 :]
        return made

    def _between(self, colors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Colors (h, W, 1 or 3) in sRGB, (h, W, 3), from those of the levels about them."""
        low = np.floor(colors.clip(0, 254))
        part = (colors - low).astype(np.float32)
        total = np.zeros((*colors.shape[:2], 3), np.float32)
        for corner in product((0, 1), repeat=colors.shape[2]):
            weight = np.prod(np.where(corner, part, 1 - part), 2, keepdims=True)
            levels = (low + corner).astype(np.uint8)
            image = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
            total += weight * np.asarray(_apply(image, self._transform))
        return total


@lru_cache(maxsize=64)
def conversion_of(profile: bytes | None) -> Conversion | None:
    """The way to sRGB from an ICC profile; None for sRGB, and where it cannot be read."""
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space]
        transform = _transform(source, mode, "RGB")
        with_alpha = _transform(source, "RGBA", "RGBA") if mode == "RGB" else None
        steps = np.linspace(0, 255, _LEVELS).round().astype(np.uint8)
        if mode == "RGB":
            tried = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(_LEVELS, -1, 3)
        else:
            tried = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
        if mode != "CMYK":
            levels = tried if mode == "RGB" else np.ascontiguousarray(tried[:, :, 0])
            made = np.asarray(_apply(Image.fromarray(levels), transform))
            if np.abs(made.astype(np.int16) - tried).max() <= _SAME:
                return None
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError, TypeError):
        return None
    digest = hashlib.sha256(profile).hexdigest()[:16]
    return Conversion(profile_name(profile), mode, digest, transform, with_alpha)


@lru_cache(maxsize=64)
def profile_name(profile: bytes) -> str:
    """What an ICC profile calls itself; empty where it cannot be read."""
    try:
        text = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.profile_description
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return ""
    return printable(" ".join((text or "").split())) or _UNNAMED


def _transform(
    source: ImageCms.ImageCmsProfile, mode: str, into: str
) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        into,
        renderingIntent=ImageCms.Intent.PERCEPTUAL,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    made = ImageCms.applyTransform(image, transform)
    assert made is not None  # not in place
    return made
