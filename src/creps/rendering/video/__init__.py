"""Films: what each frame shows, and the files they go to."""

from __future__ import annotations

from creps.rendering.video._files import VideoFile, write_video
from creps.rendering.video._film import Film, write_film
from creps.rendering.video._motion import (
    EASINGS,
    DistortMotion,
    Frame,
    InterpolateMotion,
    Motion,
    PanMotion,
    RotateMotion,
    ZoomMotion,
    window_about,
)

__all__ = [
    "EASINGS",
    "DistortMotion",
    "Film",
    "Frame",
    "InterpolateMotion",
    "Motion",
    "PanMotion",
    "RotateMotion",
    "VideoFile",
    "ZoomMotion",
    "window_about",
    "write_film",
    "write_video",
]
