"""Films: what each frame shows, and the files they go to."""

from __future__ import annotations

from creps.rendering.video._files import VideoFile, write_video
from creps.rendering.video._film import Film, write_film
from creps.rendering.video._motion import (
    EASINGS,
    Distort,
    Frame,
    Interpolate,
    Motion,
    Pan,
    Rotate,
    Zoom,
    window_about,
)

__all__ = [
    "EASINGS",
    "Distort",
    "Film",
    "Frame",
    "Interpolate",
    "Motion",
    "Pan",
    "Rotate",
    "VideoFile",
    "Zoom",
    "window_about",
    "write_film",
    "write_video",
]
