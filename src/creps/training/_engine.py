"""What every step of a run needs: its share of a batch, its draws, its passes, its update.

Each process holds a share of the joint batch, cut into `accumulate` parts that are computed one
after the other. Whatever is random is drawn for the joint batch and depends on (seed, step,
purpose) alone, so that neither the number of processes nor that of parts changes what is computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from creps.data._patches import Batch
from creps.errors import ConfigError
from creps.training._config import TrainConfig
from creps.training._distributed import ALONE, Team
from creps.training._precision import Notice, Passes
from creps.training._state import TrainState, step_random
from creps.training.augment._ada import augment
from creps.training.regularizers._cross_frame import draw_split
from creps.training.regularizers._teacher import Teacher

Stats = dict[str, Tensor]
"""Scalars worth logging, still on the device."""


class Gradient(NamedTuple):
    """What an optimiser step was made of: two scalars, still on the device.

    Attributes:
        norm: of the whole gradient, after its broken elements were replaced.
        broken: share of its elements that were not finite.
    """

    norm: Tensor
    broken: Tensor

    def named(self, network: str) -> Stats:
        """As scalars worth logging."""
        return {f"gradient/{network}": self.norm, f"broken/{network}": self.broken}


@dataclass(frozen=True)
class Part:
    """Pictures that are computed together.

    Attributes:
        batch: the pictures.
        first: place of the first of them in the joint batch.
    """

    batch: Batch
    first: int

    def __len__(self) -> int:
        return len(self.batch.image)


class Engine:
    """What every step of a run needs.

    Args:
        state: changed in place by the steps.
        config: the run.
        team: the processes that share its batches.
        notice: told a line for people, now and then.
    Raises:
        ConfigError: if the processes cannot share a batch, or the run wants a teacher and the state
            has none.
    """

    def __init__(
        self,
        state: TrainState,
        config: TrainConfig,
        *,
        team: Team = ALONE,
        notice: Notice = lambda line: None,
    ) -> None:
        config.check_share(team.count)
        self.state, self.config, self.team = state, config, team
        self.passes = Passes(state, config, notice=notice)
        self.teacher: Teacher | None = None
        if config.teacher.weight:
            if state.teacher is None:
                raise ConfigError("teacher.weight: expected a state with a teacher (see open_run)")
            self.teacher = Teacher(state.teacher, config)
            if config.teacher.perceptual != "none":
                judge = config.teacher.perceptual
                notice(f"trained with {judge}: do not judge this run by fd_{judge} or kid_{judge}")

    def parts(self, batch: Batch) -> list[Part]:
        """This process's share of a batch, cut into parts."""
        size = len(batch.image) // self.config.accumulate
        first = self.team.share(self.config.batch).start
        return [
            Part(_members(batch, slice(start, start + size)), first + start)
            for start in range(0, len(batch.image), size)
        ]

    def latents(self, part: Part, purpose: str) -> Tensor:
        """Fresh latents (B, Z), one for each real picture."""
        random = step_random(self.config.seed, self.state.step, purpose)
        z = torch.randn(self.config.batch, self.config.generator.z_dim, generator=random)
        return z[part.first : part.first + len(part)].to(self.state.device)

    def styles(self, part: Part, purpose: str) -> Tensor:
        """Styles of fresh latents, one for each real picture, with its label."""
        return self.state.generator.map(self.latents(part, purpose), part.batch.label)

    def paint(
        self, styles: Tensor, part: Part, *, magnitudes: list[Tensor] | None = None
    ) -> Tensor:
        """Pictures of styles in a part's places, first order; `magnitudes` as for `Passes`."""
        split = draw_split(self.config, self.state.step)
        return self.passes.synthesize(styles, part.batch, magnitudes=magnitudes, split=split)

    def path_part(self, part: Part) -> Part:
        """Every k-th picture of a part, k the shrink of the path length penalty."""
        shrink = self.config.loss.path_length_shrink
        count = max(len(part) // shrink, 1)
        members = slice(0, (count - 1) * shrink + 1, shrink)
        return Part(_members(part.batch, members), part.first // shrink)

    def augmented(self, images: Tensor, part: Part, purpose: str) -> Tensor:
        """What the discriminator is shown of pictures."""
        settings = self.config.augment
        if settings.kind == "none":
            return images
        random = step_random(self.config.seed, self.state.step, f"augment {purpose}")
        strength = self.state.augment_strength
        return augment(images, strength, settings, generator=random, first=part.first)

    def judge(self, images: Tensor, part: Part, purpose: str) -> Tensor:
        """Logits of pictures of a part, first order."""
        shown = self.augmented(images, part, purpose)
        return self.passes.judge(*self._seen(shown, part.batch))

    def judge_eagerly(self, images: Tensor, part: Part, purpose: str) -> Tensor:
        """Logits of pictures of a part in float32, for second derivatives."""
        shown = self.augmented(images, part, purpose)
        logits: Tensor = self.state.discriminator(*self._seen(shown, part.batch))
        return logits

    def learn(
        self,
        network: nn.Module,
        optimizer: torch.optim.Adam,
        losses: Iterable[Tensor],
        *,
        scale: float = 1.0,
    ) -> Gradient:
        """One optimiser step on the mean of the parts' losses over the joint batch.

        Args:
            network: whose parameters move.
            optimizer: of the network.
            losses: one of each part, each a mean over it; asked for one by one, so that the graph
                of one is gone before the next is built.
            scale: of the losses on their way back through half precision.
        Returns:
            how the gradient was.
        """
        optimizer.zero_grad(set_to_none=True)
        for loss in losses:
            (loss * scale).backward()
        moved = [p for p in network.parameters() if p.grad is not None]
        flat = torch.cat([p.grad.flatten() for p in moved if p.grad is not None])
        self.team.sum_(flat).div_(scale * self.config.accumulate * self.team.count)
        broken = flat.isfinite().logical_not().float().mean()
        # Overflowing gradients are replaced (StyleGAN2-ADA's training loop).
        flat.nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
        for parameter, values in zip(moved, flat.split([p.numel() for p in moved]), strict=True):
            parameter.grad = values.view_as(parameter)
        optimizer.step()
        return Gradient(flat.norm(), broken)

    def _seen(self, images: Tensor, batch: Batch) -> tuple[Tensor, *tuple[Tensor | None, ...]]:
        """What a judge looks at, in an order in which minibatch groups are of neighbours.

        The discriminator puts pictures n, n + B / group, ... in a group; groups of neighbours are
        the same however a batch is cut into parts.
        """
        beside: list[Tensor | None] = [batch.label]
        if self.config.judge != "one":
            beside.append(self._scales(batch))
        group = self.config.discriminator.minibatch_group
        if not self.config.discriminator.minibatch_channels or len(images) <= group:
            return images, *beside
        order = torch.arange(len(images), device=images.device).view(-1, group).T.flatten()
        return images[order], *(None if tensor is None else tensor[order] for tensor in beside)

    def _scales(self, batch: Batch) -> Tensor:
        """(B,) how many times denser the pixels of pictures lie than those of whole ones."""
        top, _, bottom, _ = self.config.whole
        scales = torch.empty(len(batch.image), device=batch.image.device)
        for members, canvas in batch.parts():
            scales[members] = (bottom - top) / (canvas.window[2] - canvas.window[0])
        return scales


@dataclass
class Means:
    """Means over the parts of scalars worth logging."""

    values: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, name: str, value: Tensor) -> None:
        """Note a part's mean."""
        self.values.setdefault(name, []).append(value.detach().mean())

    def joint(self, team: Team) -> Stats:
        """Means over the joint batch."""
        if not self.values:
            return {}
        rows = torch.stack([torch.stack(column) for column in self.values.values()], dim=1)
        return dict(zip(self.values, team.mean(rows).unbind(), strict=True))


def _members(batch: Batch, members: slice) -> Batch:
    """Some pictures of a batch, with their labels and windows."""
    label = None if batch.label is None else batch.label[members]
    windows = None if batch.windows is None else batch.windows[members]
    return Batch(batch.image[members], batch.region, label, windows)
