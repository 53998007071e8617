"""Geometric warps: the same picture rotated, bent or wrapped, by bending the grid it is sampled on.

The public door; importing it registers every kind. docs/warps.md shows each.
"""

from creps.rendering.warps.base import Warp, warp_kinds
from creps.rendering.warps.distortions import Barrel, Elastic, Swirl
from creps.rendering.warps.matrices import Affine, Homography, Perspective
from creps.rendering.warps.parsing import (
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
from creps.rendering.warps.point_maps import PointMap
from creps.rendering.warps.projections import Cylinder, Equirectangular, Polar, Unpolar
from creps.rendering.warps.projective import Identity, Rotate, Scale, Translate, Zoom

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
