"""Geometric warps: the same picture rotated, bent or wrapped, by bending the grid it is sampled on.

The public door; importing it registers every kind. docs/warps.md shows each.
"""

from creps.rendering.warps._base import Warp, warp_kinds
from creps.rendering.warps._distortions import (
    Barrel,
    Cylinder,
    Elastic,
    Equirectangular,
    Polar,
    Swirl,
    Unpolar,
)
from creps.rendering.warps._matrices import Affine, Homography, Perspective
from creps.rendering.warps._parsing import (
    Chain,
    CustomWarp,
    WarpLike,
    as_warp,
    chain,
    parse_warp,
    split_nowhere,
    warped_axes,
    warped_grid,
)
from creps.rendering.warps._point_maps import PointMap
from creps.rendering.warps._projective import Identity, Rotate, Scale, Translate, Zoom

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
    "warped_axes",
    "warped_grid",
]
