"""First-order passes through the two networks: in half precision, compiled, where a run says so.

Second derivatives (gradient penalties, path lengths) do not come here: they call the networks
themselves, in float32 and eagerly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor

from creps.coordinates import AxisGrid, Canvas
from creps.data import Batch
from creps.metrics._extractors import EffnetLite0, effnet
from creps.networks.base import Synthesize, coordinate_device
from creps.training._config import Precision, TrainConfig
from creps.training._periods import straddling
from creps.training._state import TrainState

_HALF_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}

_FLOAT16_LOSS_SCALE = 1024.0
"""Losses are multiplied by it before they go back through float16, whose smallest numbers are too
large for the gradients of single pixels. A power of two: dividing it out again changes no digit."""


_PRODUCT = 512
"""Side of the matrices whose product tells how fast a precision is: milliseconds on a CPU."""


class Passes:
    """The passes of a run, not compiled where compilation fails."""

    def __init__(
        self, state: TrainState, config: TrainConfig, *, log: Callable[[str], None]
    ) -> None:
        self.device = state.device
        self.dtype = _HALF_TYPES.get(config.precision)
        self.loss_scale = _FLOAT16_LOSS_SCALE if self.dtype is torch.float16 else 1.0
        self._generator = state.generator
        self._synthesize: Synthesize = state.generator.synthesize
        self._discriminator: Callable[..., Tensor] = state.discriminator
        self._projected, self._colors = state.projected, config.generator.colors
        if state.projected is not None or config.loss.kind == "statistics":
            self._features = effnet(device=self.device)
            self._seen_size = config.projected_size
        if config.compile:
            problem = _compile_problem(self.device)
            if problem:
                log(f"torch.compile is not usable here ({problem}): training continues without it")
            else:
                self._synthesize = torch.compile(state.generator.synthesize, dynamic=False)
                self._discriminator = torch.compile(state.discriminator.forward, dynamic=False)

    def synthesize(
        self,
        styles: Tensor,
        batch: Batch,
        *,
        magnitudes: list[Tensor] | None = None,
        split: int | None = None,
    ) -> Tensor:
        """Pictures (B, C, H, W) in float32 of styles (B, K, D), each on its real one's window.

        `magnitudes` takes what a generator that tracks the sizes of its features measures. At
        column `split` the pictures straddle two frames, painted apart.
        """
        synthesize = self._measuring(magnitudes)
        if split is not None:
            synthesize = straddling(synthesize, split)
        with self._mixed():
            return paint(synthesize, styles, batch).float()

    def logits(self, images: Tensor, *beside: Tensor | None) -> Tensor:
        """Logits (B, 1) of pictures in float32; `beside` holds labels, and scales if used."""
        with self._mixed():
            return self._discriminator(images, *beside).float()

    def projected_maps(self, images: Tensor) -> list[Tensor]:
        """What the projected discriminator sees of pictures: four maps (B, C_l, H_l, W_l)."""
        with self._mixed():
            return feature_maps(self._features, images[:, : self._colors], self._seen_size)

    def projected_scores(self, maps: list[Tensor], places: Tensor | None = None) -> list[Tensor]:
        """Scores (B, 1, h, w) in float32 of pictures by their maps, one tensor for each head."""
        assert self._projected is not None
        with self._mixed():
            return [scores.float() for scores in self._projected(maps, places)]

    def features(self, images: Tensor) -> list[Tensor]:
        """Four maps (B, C_l, H_l, W_l) in float32 of pictures' colors, see `feature_maps`."""
        with self._mixed():
            maps = feature_maps(
                self._features, images[:, : self._colors], self._seen_size, finest=0
            )
            return [found.float() for found in maps[:4]]

    def _measuring(self, magnitudes: list[Tensor] | None) -> Synthesize:
        """The generator; reports the sizes of its features if requested."""
        if magnitudes is None or not self._generator.tracks_magnitudes:
            return self._synthesize
        measured = self._generator.synthesize_measured

        def measuring(styles: Tensor, grid: AxisGrid) -> Tensor:
            image, sizes = measured(styles, grid)
            magnitudes.append(sizes)
            return image

        return measuring

    def _mixed(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)


def feature_maps(
    network: EffnetLite0, images: Tensor, size: tuple[int, int], *, finest: int = 1
) -> list[Tensor]:
    """Maps (B, C_l, h_l, w_l), finest first, of pictures (B, 1 or 3, H, W) in [-1, 1].

    Four, at a quarter to a thirty-second of `size`, (height, width), which pictures are brought to;
    from `finest` 0 on five, the first at half of it.
    """
    x = (images.expand(-1, 3, -1, -1) + 1) / 2
    if x.shape[2:] != size:
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    return network.maps(x)[finest:]


def paint(synthesize: Synthesize, styles: Tensor, batch: Batch) -> Tensor:
    """Pictures (B, C, H, W) of styles (B, K, D) on the windows of a batch."""
    painted = [
        synthesize(styles[members], grid_on(canvas, styles.device))
        for members, canvas in batch.parts()
    ]
    return painted[0] if len(painted) == 1 else torch.cat(painted)


def grid_on(canvas: Canvas, device: torch.device) -> AxisGrid:
    """The grid of a canvas where a device computes in float64, as coordinates need."""
    grid, place = canvas.grid(), coordinate_device(device)
    return AxisGrid(grid.ys.to(place), grid.xs.to(place))


def tune_device(device: str, precision: Precision) -> None:
    """Global switches that make a GPU faster: the best algorithms, TF32 with half precision."""
    if device.startswith("cuda"):
        torch.backends.cudnn.benchmark = True
        if precision != "float32":
            torch.set_float32_matmul_precision("high")


def half_precision_pays(device: torch.device) -> bool:
    """Whether a matrix product in bfloat16 is clearly faster there than one in float32.

    Processors without instructions for it, and old GPUs, are many times slower.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        try:
            a = torch.ones(_PRODUCT, _PRODUCT, device=device, dtype=dtype)
            moments = []
            for _ in range(4):
                started = time.perf_counter()
                float((a @ a)[0, 0])  # reading a number waits for the device
                moments.append(time.perf_counter() - started)
        except RuntimeError:  # a device that does not have it
            return False
        seconds[dtype] = min(moments)
    return seconds[torch.bfloat16] < 0.8 * seconds[torch.float32]


def _compile_problem(device: torch.device) -> str:
    """Why torch.compile does not work on a device, in one line; empty if it does."""
    try:
        x = torch.ones(8, device=device, requires_grad=True)
        torch.autograd.backward(torch.compile(_probe)(x))
    except Exception as error:  # compilers fail in many ways, none of which ends a run
        return (str(error).strip() or type(error).__name__).splitlines()[0][:100]
    return ""


def _probe(x: Tensor) -> Tensor:
    return (x * x).sum()
