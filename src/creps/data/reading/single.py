"""One picture file to pixels, whatever its format."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from creps.data.reading.pixels import decode
from creps.errors import DataError

if TYPE_CHECKING:
    from creps.data.framing import Pixels


def read_picture(
    path: str | os.PathLike[str], *, channels: int = 3, shortest: int = 0, precise: bool = False
) -> Pixels:
    """The pixels of a picture file, upright; transparency laid on white.

    Args:
        path: a file of any format that Pillow reads, of up to some 170 million pixels.
        channels: 1 (gray), 3 (RGB) or 4 (RGB and alpha).
        shortest: pixels of the shorter side that are enough; a much larger JPEG is then read at a
            half, a quarter or an eighth of its size. 0 reads every pixel.
        precise: float32 on the scale 0 .. 255 instead of uint8.
    Returns:
        (H, W, channels).
    Raises:
        DataError: if the file is missing, no picture, damaged, or has too many pixels.
        ConfigError: for another number of channels.
    """
    place = Path(path)
    try:
        content = io.BytesIO(place.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{place}: no such picture") from None
    except IsADirectoryError:
        raise DataError(f"{place} is a folder: expected a picture file") from None
    try:
        with warnings.catch_warnings():  # of Pillow, at half of what it refuses
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return decode(content, channels, precise=precise, shortest=shortest)
    except MemoryError:
        raise
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise DataError(f"{place}: more than {most:,} pixels, reduce it first") from None
    except Exception as error:  # readers of damaged files raise nearly anything
        raise DataError(f"{place}: cannot be read as a picture: {error}") from None
