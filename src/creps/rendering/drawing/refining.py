"""Antialiasing where it shows: more samples for the pixels that differ from their neighbours.

Most of a small picture is smooth, and one sample a pixel is as good as four. Edges are not, and
they are where neighbouring samples differ. So each sample of a picture that stands out from a
neighbour is replaced by the mean of 2 x 2, whose lines are interpolated from those that are there.

With `portraits`, which was trained on parts of 128 px pictures, 64 px pictures against box-filtered
128 px ones, mean of twelve seeds: 40.5 dB with one sample a pixel, 47.8 dB in half as much time
again with a tenth of the pixels refined, 58.6 dB with 2 x 2 samples everywhere in three times as
much. Prefiltered lines alone reach 41.0 dB (what makes edges hard comes after the lines), two
samples for every pixel 47.0 dB.

Shapes: C colours, L levels, N channels of a line, D thickness, P samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from creps.networks.prepared import Prepared
from creps.rendering.drawing.tables import cubic_weights

CONTRAST = 48 * 2 / 255
"""Samples that differ from a neighbour by more than this, in any colour, are refined: 48 grey
levels of an 8-bit picture. 32 levels add 1.9 dB and a tenth of the time of the plain picture."""
PADDING = 2
"""Lines that interpolation needs beyond those of a tile, on each side."""

AT_ONCE = 1024
"""Samples composed at once: their lines are 2 MiB a level with the 512 preset."""

SubSamples = Callable[[Tensor, Tensor], Tensor]
"""Rows (P,) and columns (P,) of a tile at twice its size to colours (C, P)."""


def standing_out(image: Tensor) -> Tensor:
    """Which samples differ from one of their four neighbours.

    Args:
        image: (C, H + 2, W + 2), with one sample more on each side.
    Returns:
        (H, W) boolean.
    """
    down = (image[:, 1:] - image[:, :-1]).abs().amax(0) > CONTRAST  # (H + 1, W + 2)
    across = (image[:, :, 1:] - image[:, :, :-1]).abs().amax(0) > CONTRAST
    down, across = down[:, 1:-1], across[1:-1]
    return down[1:] | down[:-1] | across[:, 1:] | across[:, :-1]


def refined(image: Tensor, sub_samples: SubSamples) -> Tensor:
    """A tile with the mean of 2 x 2 samples where it stands out.

    Args:
        image: (C, H + 2, W + 2), one sample a pixel, with one more on each side.
        sub_samples: colours at chosen places of the tile at twice its size, (2 H, 2 W).
    Returns:
        (C, H, W), clipped to [-1, 1].
    """
    image = image.clamp(-1, 1)
    tile = image[:, 1:-1, 1:-1].contiguous()
    rows, columns = standing_out(image).nonzero(as_tuple=True)
    if not len(rows):
        return tile
    quarter = torch.arange(4, device=rows.device)
    i = (2 * rows[:, None] + quarter // 2).flatten()
    j = (2 * columns[:, None] + quarter % 2).flatten()
    colours = sub_samples(i, j).clamp(-1, 1)
    tile[:, rows, columns] = colours.unflatten(1, (-1, 4)).mean(2)
    return tile


def doubled_lines(lines: Tensor) -> Tensor:
    """Lines half as far apart, a quarter of a step before and after each.

    Args:
        lines: (L, N, S + 4, D) at even steps, `PADDING` more on each side.
    Returns:
        (L, N, 2 S, D), interpolated (cubic convolution).
    """
    size = lines.shape[2] - 2 * PADDING
    weights = cubic_weights(torch.tensor([0.75, 0.25], dtype=torch.float64)).tolist()
    sides = []
    for first, taps in enumerate(weights):
        parts = (
            weight * lines[:, :, first + k : first + k + size] for k, weight in enumerate(taps)
        )
        sides.append(sum(parts, torch.zeros((), dtype=lines.dtype, device=lines.device)))
    return torch.stack(sides, dim=3).flatten(2, 3)


class CrossedLines:
    """Colours where chosen rows cross chosen columns.

    Args:
        prepared: the network of the lines.
        rows, columns: (L, N, H, D) and (L, N, W, D).
    """

    def __init__(self, prepared: Prepared, rows: Tensor, columns: Tensor) -> None:
        self._prepared = prepared
        # Each line in one piece, (L, S, D * N), as it is fetched often.
        self._rows, self._columns = (
            lines.permute(0, 2, 3, 1).flatten(2) for lines in (rows, columns)
        )

    def colours(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(C, P) colours of rows (P,) and columns (P,), by their indices."""
        parts = zip(rows.split(AT_ONCE), columns.split(AT_ONCE), strict=True)
        return torch.cat([self._part(i, j) for i, j in parts], dim=1)

    def _part(self, i: Tensor, j: Tensor) -> Tensor:
        thickness = self._prepared.thickness

        def add_map(level: int, fused: Tensor) -> None:
            products = self._rows[level].index_select(0, i)
            products *= self._columns[level].index_select(0, j)
            fused += products.unflatten(1, (thickness, -1)).sum(1).T  # eq. 3 of CREPS, (N, P)

        return self._prepared.colour(add_map, len(i))
