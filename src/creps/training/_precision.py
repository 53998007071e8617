"""First-order passes through the two networks: in half precision, compiled, where a run says so.

Second derivatives (gradient penalties, path lengths) do not come here: they call the networks
themselves, in float32 and eagerly.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from creps.coordinates import AxisGrid
from creps.data._patches import Batch
from creps.networks.base import Synthesize
from creps.training._config import Precision, TrainConfig
from creps.training._state import TrainState
from creps.training.regularizers._cross_frame import straddling

HALF_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}

FLOAT16_LOSS_SCALE = 1024.0
"""Losses are multiplied by it before they go back through float16, whose smallest numbers are too
large for the gradients of single pixels. A power of two: dividing it out again changes no digit."""

Notice = Callable[[str], None]
"""Told a line for people."""


class Passes:
    """The passes of a run.

    Args:
        state: whose networks they go through.
        config: precision and compilation.
        notice: told if nothing can be compiled here; the run then goes on without.
    """

    def __init__(self, state: TrainState, config: TrainConfig, *, notice: Notice) -> None:
        self.device = state.device
        self.dtype = HALF_TYPES.get(config.precision)
        self.loss_scale = FLOAT16_LOSS_SCALE if self.dtype is torch.float16 else 1.0
        self._generator = state.generator
        self._synthesize: Synthesize = state.generator.synthesize
        self._judge: Callable[..., Tensor] = state.discriminator
        if config.compile:
            problem = compile_problem(self.device)
            if problem:
                notice(f"torch.compile is not usable here ({problem}): training goes on without it")
            else:
                self._synthesize = torch.compile(state.generator.synthesize, dynamic=False)
                self._judge = torch.compile(state.discriminator.forward, dynamic=False)

    def synthesize(
        self,
        styles: Tensor,
        batch: Batch,
        *,
        magnitudes: list[Tensor] | None = None,
        split: int | None = None,
    ) -> Tensor:
        """Pictures (B, C, H, W) in float32 of styles (B, K, D), each on its real one's window.

        Args:
            styles: of the pictures.
            batch: whose windows they show.
            magnitudes: takes what a generator that keeps track of its features' sizes measures.
            split: the column at which the pictures straddle two frames, painted apart.
        """
        synthesize = self._noting(magnitudes)
        if split is not None:
            synthesize = straddling(synthesize, split)
        with self._mixed():
            return paint(synthesize, styles, batch).float()

    def judge(self, images: Tensor, label: Tensor | None, scales: Tensor | None = None) -> Tensor:
        """Logits (B, 1) of pictures in float32; `scales` (B,) for judges that look at them."""
        with self._mixed():
            if scales is None:
                return self._judge(images, label).float()
            return self._judge(images, label, scales).float()

    def _noting(self, magnitudes: list[Tensor] | None) -> Synthesize:
        """The generator, telling the sizes of its features where somebody wants to know."""
        if magnitudes is None or not self._generator.tracks_magnitudes:
            return self._synthesize
        measured = self._generator.synthesize_measured

        def noting(styles: Tensor, grid: AxisGrid) -> Tensor:
            image, sizes = measured(styles, grid)
            magnitudes.append(sizes)
            return image

        return noting

    def _mixed(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)


def paint(synthesize: Synthesize, styles: Tensor, batch: Batch) -> Tensor:
    """Pictures (B, C, H, W) of styles (B, K, D) on the windows of a batch."""
    painted = []
    for members, canvas in batch.parts():
        grid = canvas.grid()
        if styles.device.type == "cuda":  # which computes in float64, as coordinates need
            grid = AxisGrid(grid.ys.to(styles.device), grid.xs.to(styles.device))
        painted.append(synthesize(styles[members], grid))
    return painted[0] if len(painted) == 1 else torch.cat(painted)


def tune_device(device: str, precision: Precision) -> None:
    """Global switches that make a GPU faster: the best algorithms, TF32 beside half precision."""
    if device.startswith("cuda"):
        torch.backends.cudnn.benchmark = True
        if precision != "float32":
            torch.set_float32_matmul_precision("high")


def compile_problem(device: torch.device) -> str:
    """Why torch.compile does not work on a device, in one line; empty if it does."""
    try:
        x = torch.ones(8, device=device, requires_grad=True)
        torch.compile(_probe)(x).backward()
    except Exception as error:  # compilers fail in many ways, none of which ends a run
        return (str(error).strip() or type(error).__name__).splitlines()[0][:100]
    return ""


def _probe(x: Tensor) -> Tensor:
    return (x * x).sum()
