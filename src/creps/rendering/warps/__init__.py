"""Geometric warps: the same picture rotated, bent or wrapped, by bending the grid it is sampled on.

The public interface; importing it registers every kind. docs/warps.md shows each.
"""

from creps.rendering.warps._base import Warp, warp_kinds
from creps.rendering.warps._bent import (
    Barrel,
    Cylinder,
    Elastic,
    Equirectangular,
    PointMap,
    Polar,
    Swirl,
    Unpolar,
)
from creps.rendering.warps._parsing import (
    Chain,
    CustomWarp,
    WarpLike,
    as_warp,
    chain,
    parse_warp,
    split_nowhere,
    warped_grid,
)
from creps.rendering.warps._straight import (
    Affine,
    Homography,
    Identity,
    Perspective,
    Rotate,
    Scale,
    Translate,
    Zoom,
)

__all__ = [
    "Affine",
    "Barrel",
    "Chain",
    "CustomWarp",
    "Cylinder",
    "Elastic",
    "Equirectangular",
    "Homography",
    "Identity",
    "Perspective",
    "PointMap",
    "Polar",
    "Rotate",
    "Scale",
    "Swirl",
    "Translate",
    "Unpolar",
    "Warp",
    "WarpLike",
    "Zoom",
    "as_warp",
    "chain",
    "parse_warp",
    "split_nowhere",
    "warp_kinds",
    "warped_grid",
]
