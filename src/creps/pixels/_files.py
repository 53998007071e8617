"""One picture file by its path."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creps._files import read_regular
from creps.errors import DataError
from creps.pixels._decoding import check_channels, decode
from creps.pixels._opening import MOST_FILE, reason_of, why_broken

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_picture(
    path: str | os.PathLike[str],
    *,
    channels: int = 3,
    shortest: int = 0,
    precise: bool = False,
    keep_colors: bool = False,
) -> NDArray[Any]:
    """The pixels of a picture file, upright, in sRGB; transparency composited on white.

    Args:
        path: a file of any format that Pillow reads, of up to 537 MB, that takes up to 1.1 GB of
            memory to read: 150 million pixels in 8 bits, 60 million where precise. A larger JPEG is
            read at a half, a quarter or an eighth of its size.
        channels: 1 (gray), 3 (RGB) or 4 (RGB and alpha).
        shortest: pixels of the shorter side that are enough; a much larger JPEG is then read at a
            half, a quarter or an eighth of its size. 0 reads every pixel.
        precise: float32 on the scale 0 .. 255 instead of uint8.
        keep_colors: take the values as they are, whatever color profile the file has.
    Returns:
        (H, W, channels).
    Raises:
        DataError: if the file is missing, damaged, not a picture, or has too many pixels.
        ConfigError: for another number of channels.
    """
    check_channels(channels)
    place = Path(path)
    try:
        content = io.BytesIO(read_regular(place, MOST_FILE))
    except FileNotFoundError:
        raise DataError(f"{place}: no such picture") from None
    except IsADirectoryError:
        raise DataError(f"{place} is a folder: expected a picture file") from None
    except (OSError, ValueError) as error:  # a name with a zero in it
        raise DataError(f"{place}: {reason_of(error)}") from None
    try:
        return decode(
            content, channels, precise=precise, shortest=shortest, keep_colors=keep_colors
        )
    except MemoryError:
        raise
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    except Exception as error:  # readers of damaged files raise nearly anything
        reason = why_broken(error, content)
        raise DataError(f"{place}: cannot be read as a picture: {reason}") from None
