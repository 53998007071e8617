"""What a picture shows: latents of a model, with all that can be prepared before a pixel is drawn.

Where the family has a prepared form (`Generator.prepare`), the weights are folded once, and lines
and line tables are kept for all pictures of the same latents. Other families synthesize.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext

import torch
from torch import Tensor

from creps.coordinates import AxisGrid
from creps.networks.base import Generator, Grid, Prepared
from creps.rendering._lines import COLUMNS_KEPT, LineStore
from creps.rendering._points import TableStore
from creps.rendering._view import Device, Precision, checked_device, checked_dtype


class PreparedLatent:
    """One latent of a family that can be prepared, and what is kept for its pictures.

    Args:
        prepared: its network.
        rows, columns: where the lines of its pictures come from.

    Attributes:
        tables: its line tables.
    """

    def __init__(self, prepared: Prepared, *, rows: LineStore, columns: LineStore) -> None:
        self.prepared, self.rows, self.columns = prepared, rows, columns
        self.tables = TableStore(prepared)

    def lines(self, grid: AxisGrid) -> tuple[Tensor, Tensor]:
        """Row lines (L, N, H, D) and column lines (L, N, W, D)."""
        return self.rows.lines(grid.ys, "rows"), self.columns.lines(grid.xs, "columns")

    @property
    def nbytes(self) -> int:
        """Bytes of weights, lines and tables."""
        stores = {id(store): store for store in (self.rows, self.columns)}.values()
        lines = sum(store.nbytes for store in stores)
        return self.prepared.nbytes + lines + self.tables.nbytes

    def clear(self) -> None:
        """Keep nothing but the weights."""
        for store in (self.rows, self.columns, self.tables):
            store.clear()


class PreparedLatents:
    """The latents of one picture, or of a batch of pictures, ready to be drawn.

    Args:
        generator: the model; it stays as and where it is.
        styles: (B, K, D) from `generator.map`.
        device: where to work; where the generator is by default. Elsewhere, prepared families put
            only what they need; of others the whole network is copied there.
        dtype: precision, as `checked_dtype`; the generator's own by default. Families without
            lines compute half precision with autocast: sums and colours stay in float32.
        keep: bytes of lines that are kept of each latent. None: for one picture, part by part, as
            in `drawing.Drawer`.

    Attributes:
        latents: B of them; none where the family has no prepared form.
        device: where pictures are made.
    Raises:
        UsageError: for a device or precision that is none.
    """

    def __init__(
        self,
        generator: Generator,
        styles: Tensor,
        *,
        device: Device = None,
        dtype: Precision = None,
        keep: int | None = None,
    ) -> None:
        self.generator = generator
        self.device = checked_device(device, generator)
        wanted = checked_dtype(dtype, self.device)
        self.latents = _latents(generator, styles, device=self.device, dtype=wanted, keep=keep)
        self._half: torch.dtype | None = None
        if self.latents:
            return
        if wanted in (torch.float16, torch.bfloat16):
            self._half, wanted = wanted, torch.float32  # which autocast makes half of
        self._network = _network_on(generator, self.device, wanted)
        self._styles = styles.to(next(self._network.parameters()))

    @property
    def prepared(self) -> bool:
        """Whether there are `latents`."""
        return bool(self.latents)

    @property
    def nbytes(self) -> int:
        """Bytes that are held for this subject, beside the generator."""
        if self.latents:
            return sum(latent.nbytes for latent in self.latents)
        if self._network is self.generator:
            return 0
        return sum(each.nbytes for each in self._network.state_dict().values())

    def synthesize(self, grid: Grid) -> Tensor:
        """(B, C, H, W) pictures of a family that has no prepared form, at least float32."""
        halved = torch.autocast(self.device.type, dtype=self._half) if self._half else nullcontext()
        with torch.inference_mode(), halved:
            image = self._network.synthesize(self._styles, grid)
        return image.to(torch.promote_types(image.dtype, torch.float32))

    def clear(self) -> None:
        """Keep nothing but the weights."""
        for latent in self.latents:
            latent.clear()


@torch.inference_mode()
def _latents(
    generator: Generator,
    styles: Tensor,
    *,
    device: torch.device,
    dtype: torch.dtype | None,
    keep: int | None,
) -> list[PreparedLatent]:
    """One for each picture, or none at all."""
    if not generator.separable:
        return []
    latents = []
    for one in styles.split(1):
        prepared = generator.prepare(one, device=device, dtype=dtype)
        if keep is None:  # a part at a time: its rows serve it alone, its columns the next stripes
            rows = LineStore(prepared, keep=0)
            columns = LineStore(prepared, keep=COLUMNS_KEPT)
        else:
            rows = columns = LineStore(prepared, keep=keep)
        latents.append(PreparedLatent(prepared, rows=rows, columns=columns))
    return latents


def _network_on(generator: Generator, device: torch.device, dtype: torch.dtype | None) -> Generator:
    """The generator itself, or a copy where it is elsewhere or in another precision."""
    own = next(generator.parameters())
    if own.device == device and dtype in (None, own.dtype):
        return generator
    return copy.deepcopy(generator).to(device, dtype)
