"""What says that colors are sRGB: the profiles that files carry.

`srgb.icc` is the compact sRGB profile that libvips carries too, in the public domain (CC0);
`gray.icc` has the same curve for gray pictures.
"""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def profile(channels: int) -> bytes:
    """The ICC profile of pictures of 1 channel; of 3, or of 4 with transparency."""
    name = "gray.icc" if channels == 1 else "srgb.icc"
    return (resources.files(__package__) / name).read_bytes()
