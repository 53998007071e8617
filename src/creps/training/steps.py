"""One step of the game: discriminator, generator, moving average."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from creps.coordinates import Canvas
from creps.data.patches import Batch, shifted_window, take_window
from creps.training.config import TrainConfig
from creps.training.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    path_length_penalty,
    path_lengths,
)
from creps.training.state import TrainState, step_random

W_AVERAGE_DECAY = 0.998
"""Decay of the average of w per generator step (official CREPS)."""

Stats = dict[str, Tensor]
"""Scalars worth logging, still on the device."""


def draw_region(config: TrainConfig, step: int) -> Canvas:
    """The part of the plane that a step trains, shared by its batch.

    The whole, moved by up to half a pixel; or, in a share of the steps, a square window anywhere on
    the plane, its magnification log-uniform from 1 to the largest.
    """
    size, data = config.resolution, config.data
    random = step_random(config.seed, step, "region")
    y, x, chance, magnitude = torch.rand(4, generator=random, dtype=torch.float64).tolist()
    window = (0.0, 0.0, 1.0, 1.0)
    if data.zoom > 1 and chance < data.window_share:
        side = data.zoom**-magnitude
        top, left = y * (1 - side), x * (1 - side)
        window = (top, left, top + side, left + side)
    elif data.subpixel_shift:
        window = shifted_window((y - 0.5, x - 0.5), size)
    return Canvas(size, size, window, config.generator.sampling)


def make_batch(config: TrainConfig, step: int, pictures: Tensor, labels: Tensor) -> Batch:
    """Whole pictures (B, C, S, S) uint8 on the training device to the patches of a step."""
    region = draw_region(config, step)
    image = take_window(pictures.float() / 127.5 - 1, region)
    return Batch(image, region, labels if config.generator.label_dim else None)


def discriminator_step(state: TrainState, batch: Batch, config: TrainConfig) -> Stats:
    """Update the discriminator once, and once more for its lazy gradient penalties."""
    state.discriminator.requires_grad_(True)
    optimizer, loss = state.discriminator_optimizer, config.loss
    with torch.no_grad():
        fake_image = _synthesize(state, _styles(state, batch, config, "discriminator"), batch)
    real = state.discriminator(batch.image, batch.label)
    fake = state.discriminator(fake_image, batch.label)
    value = discriminator_loss(loss.kind, fake, real)
    _descend(optimizer, state.discriminator, value)
    stats = {
        "loss/discriminator": value.detach(),
        "logits/real": real.detach().mean(),
        "logits/fake": fake.detach().mean(),
    }
    if state.step % loss.discriminator_interval == 0:
        penalty = torch.zeros((), device=state.device)
        for name, gamma, image in (
            ("r1", loss.r1_gamma, batch.image),
            ("r2", loss.r2_gamma, fake_image),
        ):
            if gamma:
                image = image.detach().requires_grad_(True)
                term = gradient_penalty(state.discriminator(image, batch.label), image)
                penalty = penalty + term * (gamma / 2)
                stats[f"penalty/{name}"] = term.detach()
        if penalty.requires_grad:
            _descend(optimizer, state.discriminator, penalty * loss.discriminator_interval)
    return stats


def generator_step(state: TrainState, batch: Batch, config: TrainConfig) -> Stats:
    """Update the generator once, and once more for its lazy path length penalty."""
    state.discriminator.requires_grad_(False)
    optimizer, loss = state.generator_optimizer, config.loss
    styles = _styles(state, batch, config, "generator")
    fake = state.discriminator(_synthesize(state, styles, batch), batch.label)
    real = None
    if loss.kind == "relativistic":
        with torch.no_grad():
            real = state.discriminator(batch.image, batch.label)
    value = generator_loss(loss.kind, fake, real)
    _descend(optimizer, state.generator, value)
    state.generator.mapping.track_average(styles.detach()[:, 0], decay=W_AVERAGE_DECAY)
    stats = {"loss/generator": value.detach()}
    if loss.path_length_weight and state.step % loss.generator_interval == 0:
        stats |= _path_length_step(state, batch, config)
    return stats


def update_average(state: TrainState, config: TrainConfig) -> None:
    """Move the averaged generator towards the trained one; buffers are copied."""
    seen = (state.step + 1) * config.batch
    half_life = min(config.ema_half_life, seen * config.ema_rampup)
    keep = 0.5 ** (config.batch / max(half_life, 1e-8))
    with torch.no_grad():
        for mine, theirs in _pairs(state.average.parameters(), state.generator.parameters()):
            mine.lerp_(theirs, 1 - keep)
        for mine, theirs in _pairs(state.average.buffers(), state.generator.buffers()):
            mine.copy_(theirs)


def _pairs(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> Iterable[tuple[Tensor, Tensor]]:
    return zip(ours, theirs, strict=True)


def _path_length_step(state: TrainState, batch: Batch, config: TrainConfig) -> Stats:
    count = max(len(batch.image) // config.loss.path_length_shrink, 1)
    part = Batch(
        batch.image[:count], batch.region, None if batch.label is None else batch.label[:count]
    )
    styles = _styles(state, part, config, "path length")
    image = _synthesize(state, styles, part)
    random = step_random(config.seed, state.step, "path length noise")
    noise = torch.randn(image.shape, generator=random).to(image)
    lengths = path_lengths(image, styles, noise)
    penalty, mean = path_length_penalty(
        lengths, state.path_length_mean, decay=config.loss.path_length_decay
    )
    state.path_length_mean.copy_(mean)
    weight = config.loss.path_length_weight * config.loss.generator_interval
    _descend(state.generator_optimizer, state.generator, penalty * weight)
    state.generator.mapping.track_average(styles.detach()[:, 0], decay=W_AVERAGE_DECAY)
    return {"penalty/path_length": penalty.detach(), "path_length": mean.detach()}


def _styles(state: TrainState, batch: Batch, config: TrainConfig, purpose: str) -> Tensor:
    """Styles of fresh latents, one for each real picture, with its label."""
    random = step_random(config.seed, state.step, purpose)
    z = torch.randn(len(batch.image), config.generator.z_dim, generator=random)
    return state.generator.map(z.to(state.device), batch.label)


def _synthesize(state: TrainState, styles: Tensor, batch: Batch) -> Tensor:
    return state.generator.synthesize(styles, batch.region.grid())


def _descend(optimizer: torch.optim.Adam, network: nn.Module, loss: Tensor) -> None:
    """One optimiser step; overflowing gradients are replaced (StyleGAN2-ADA's training loop)."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.grad.nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
    optimizer.step()
