"""What every step of a run needs: its share of a batch, its draws, its passes, its update.

Each process holds a share of the joint batch, cut into `accumulate` parts that are computed one
after the other. Whatever is random is drawn for the joint batch and depends on (seed, step,
purpose) alone, so that neither the number of processes nor that of parts changes what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from creps.data import Batch
from creps.errors import ConfigError
from creps.networks.discriminator import WHOLE
from creps.training._config import TrainConfig
from creps.training._distributed import SINGLE, ProcessGroup
from creps.training._periods import draw_split
from creps.training._precision import Passes
from creps.training._state import Trained, TrainState, adam_rates, blur_sigma, step_random
from creps.training._teacher import Teacher
from creps.training.augment import augment, blurred

_SHARP = 0.1
"""Pixels of blur that cannot be seen."""

Stats = dict[str, Tensor]
"""Scalars worth logging, still on the device."""


@dataclass(frozen=True)
class Part:
    """Pictures that are computed together; `first` is their place in the joint batch."""

    batch: Batch
    first: int

    def __len__(self) -> int:
        return len(self.batch.image)


class Engine:
    """What every step of a run needs; the steps change its state in place.

    Raises:
        ConfigError: if the processes cannot share a batch, or the run wants a teacher and the state
            has none.
    """

    def __init__(
        self,
        state: TrainState,
        config: TrainConfig,
        *,
        group: ProcessGroup = SINGLE,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        config.check_share(group.count)
        self.state, self.config, self.group = state, config, group
        self.passes = Passes(state, config, log=log)
        self.teacher: Teacher | None = None
        if config.teacher.weight:
            if state.teacher is None:
                raise ConfigError("teacher.weight: expected a state with a teacher (see open_run)")
            self.teacher = Teacher(state.teacher, config)

    def parts(self, batch: Batch) -> list[Part]:
        """This process's share of a batch, cut into parts."""
        size = len(batch.image) // self.config.accumulate
        first = self.group.share(self.config.batch).start
        return [
            Part(_members(batch, slice(start, start + size)), first + start)
            for start in range(0, len(batch.image), size)
        ]

    def path_part(self, part: Part) -> Part:
        """Every k-th picture of a part, k the shrink of the path length penalty."""
        shrink = self.config.loss.path_length_shrink
        count = max(len(part) // shrink, 1)
        members = slice(0, (count - 1) * shrink + 1, shrink)
        return Part(_members(part.batch, members), part.first // shrink)

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

    def logits(self, images: Tensor, part: Part, purpose: str, *, eager: bool = False) -> Tensor:
        """Logits (B, 1) of pictures of a part, shown as their purpose decides.

        Eager ones are in float32 and not compiled, for second derivatives and small differences.
        """
        config = self.config
        images = self._shown(images, part, purpose)
        beside: list[Tensor | None] = [part.batch.label]
        if config.discriminator_kind != "one":
            places = self._places(part.batch)
            beside.append(places if config.discriminator_kind == "placed" else places[:, 0])
        group = config.discriminator.minibatch_group
        if config.discriminator.minibatch_channels and len(images) > group:
            # The discriminator compares pictures n, n + B / group, ...: in this order they are
            # neighbors of the batch, the same ones however it is cut into parts.
            order = torch.arange(len(images), device=images.device).view(-1, group).T.flatten()
            images = images[order]
            beside = [None if tensor is None else tensor[order] for tensor in beside]
        if not eager:
            return self.passes.logits(images, *beside)
        logits: Tensor = self.state.discriminator(images, *beside)
        return logits

    def projected_maps(self, images: Tensor, part: Part, purpose: str) -> list[Tensor]:
        """What the projected discriminator sees of pictures of a part, shown as for `logits`."""
        return self.passes.projected_maps(self._shown(images, part, purpose))

    def projected_scores(self, maps: list[Tensor], part: Part) -> list[Tensor]:
        """Scores (B, 1, h, w) of the heads of the projected discriminator by `projected_maps`."""
        places = self._places(part.batch) if self.config.projected.placed else None
        return self.passes.projected_scores(maps, places)

    def are_windows(self, part: Part) -> Tensor:
        """Which pictures of a part are windows, not whole: (B,)."""
        return self._places(part.batch)[:, 0] > WHOLE

    def noise(self, part: Part, like: Tensor, purpose: str) -> Tensor:
        """Standard normal numbers of the shape of a part's pictures (B, C, H, W)."""
        noise = torch.empty_like(like)
        for k, each in enumerate(noise):
            own = f"{purpose} {part.first + k}"
            each.normal_(
                generator=step_random(self.config.seed, self.state.step, own, self.state.device)
            )
        return noise

    def _shown(self, images: Tensor, part: Part, purpose: str) -> Tensor:
        """Pictures of a part as discriminators see them: blurred, then augmented."""
        config, step = self.config, self.state.step
        sigma = blur_sigma(config, step)
        if sigma > _SHARP:
            images = blurred(images, sigma)
        if config.augment.kind == "none":
            return images
        random = step_random(config.seed, step, f"augment {purpose}")
        strength = self.state.augment_strength
        return augment(images, strength, config.augment, generator=random, first=part.first)

    def learn(
        self,
        name: Trained,
        parts: Iterable[Part],
        loss: Callable[[Part], Tensor],
        *,
        scale: float = 1.0,
    ) -> Stats:
        """One optimizer step of a network on the mean of the parts' losses over the joint batch.

        The graph of one part is gone before that of the next is built. `scale` is that of the
        losses on their way back through half precision. Returns the norm of the gradient, and the
        share of its elements that were not finite.
        """
        network, optimizer = self.state.optimized()[name]
        rates = adam_rates(self.config, name, self.state.step)
        for group in optimizer.param_groups:
            group["lr"], group["betas"] = rates.learning_rate, rates.betas
        optimizer.zero_grad(set_to_none=True)
        for part in parts:
            torch.autograd.backward(loss(part) * scale)
        moved = [p for p in network.parameters() if p.grad is not None]
        flat = torch.cat([p.grad.flatten() for p in moved if p.grad is not None])
        self.group.sum_(flat).div_(scale * self.config.accumulate * self.group.count)
        broken = flat.isfinite().logical_not().float().mean()
        # Overflowing gradients are replaced (StyleGAN2-ADA's training loop).
        flat.nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
        pieces = torch.split(flat, [p.numel() for p in moved])
        for parameter, values in zip(moved, pieces, strict=True):
            parameter.grad = values.view_as(parameter)
        optimizer.step()
        return {f"gradient/{name}": flat.norm(), f"broken/{name}": broken}

    def _places(self, batch: Batch) -> Tensor:
        """(B, 3) of each picture: its scale, and the center (y, x) of its window in wholes.

        The scale is how many times denser the pixels lie than those of whole pictures.
        """
        top, left, bottom, right = self.config.whole
        places = torch.empty(len(batch.image), 3)
        for members, canvas in batch.parts():
            y0, x0, y1, x1 = canvas.window
            scale = (bottom - top) / (y1 - y0)
            y = ((y0 + y1) / 2 - top) / (bottom - top)
            x = ((x0 + x1) / 2 - left) / (right - left)
            places[members] = torch.tensor([scale, y, x])
        return places.to(batch.image.device)


@dataclass
class Means:
    """Means over the parts of scalars worth logging."""

    values: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, name: str, value: Tensor) -> None:
        """Note a part's mean."""
        self.values.setdefault(name, []).append(value.detach().mean())

    def joint(self, group: ProcessGroup) -> Stats:
        """Means over the joint batch."""
        if not self.values:
            return {}
        rows = torch.stack([torch.stack(column) for column in self.values.values()], dim=1)
        return dict(zip(self.values, group.mean(rows).unbind(), strict=True))


def _members(batch: Batch, members: slice) -> Batch:
    """Some pictures of a batch, with their labels and windows."""
    return replace(
        batch,
        image=batch.image[members],
        label=None if batch.label is None else batch.label[members],
        windows=None if batch.windows is None else batch.windows[members],
    )
