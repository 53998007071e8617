"""One step of the game: generator, discriminator, moving average.

Each update is a mean over the joint batch, whatever processes and parts it is computed in (see
`creps.training._engine`). Losses are generators of one value a part: `Engine.learn` asks for them
one by one, so that only one part's graph is in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from creps.data._patches import Batch
from creps.training._config import TrainConfig
from creps.training._engine import Engine, Means, Part, Stats
from creps.training._losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    path_length_penalty,
    path_lengths,
)
from creps.training._precision import paint
from creps.training._state import TrainState, step_random
from creps.training.augment._ada import adapt_strength
from creps.training.monitoring._previews import thumbnail_distances, thumbnails
from creps.training.regularizers._terms import other_losses

VARIETY_INTERVAL = 4
"""Steps between two looks at how different pictures are: enough for the means of the log."""


def train_step(engine: Engine, batch: Batch) -> Stats:
    """Everything that happens in one step to this process's share of a batch."""
    state, config = engine.state, engine.config
    parts = engine.parts(batch)
    stats: Stats = {}
    real: Tensor | None = None
    if state.step >= config.discriminator_warmup:
        if config.loss.kind == "relativistic" and len(parts) == 1:
            # The discriminator does not move in between: one look at the real pictures serves both
            # updates. Of several parts the graphs would have to be kept.
            _trainable(engine, True)
            real = engine.judge(batch.image, parts[0], "real")
        stats |= generator_step(engine, parts, real=real)
    stats |= discriminator_step(engine, parts, real=real)
    update_average(state, config)
    state.step += 1
    adapt_augmentation(engine)
    return stats


def generator_step(engine: Engine, parts: list[Part], *, real: Tensor | None = None) -> Stats:
    """Update the generator once, and once more for its lazy path length penalty.

    Args:
        engine: the run.
        parts: this process's share of the batch.
        real: logits of the only part's real pictures, if they are known.
    """
    state, loss, passes = engine.state, engine.config.loss, engine.passes
    _trainable(engine, False)
    means = Means()
    seen: list[Tensor] = []
    magnitudes: list[Tensor] = []

    def losses() -> Iterator[Tensor]:
        for part in parts:
            z = engine.latents(part, "generator")
            styles = state.generator.map(z, part.batch.label)
            seen.append(styles.detach()[:, 0])
            image = engine.paint(styles, part, magnitudes=magnitudes)
            fake = engine.judge(image, part, "generator")
            others = real
            if loss.kind == "relativistic" and others is None:
                with torch.no_grad():
                    others = engine.judge(part.batch.image, part, "real")
            value = generator_loss(loss.kind, fake, None if others is None else others.detach())
            means.add("loss/generator", value)
            yield value + other_losses(engine, part, z=z, styles=styles, image=image, means=means)

    optimizer = state.generator_optimizer
    gradient = engine.learn(state.generator, optimizer, losses(), scale=passes.loss_scale)
    _track_average(engine, seen)
    if magnitudes:
        measured = engine.team.mean(torch.stack(magnitudes))
        state.generator.track_magnitudes(measured, images=engine.config.batch)
    stats = means.joint(engine.team) | gradient.named("generator")
    if loss.path_length_weight and state.step % loss.generator_interval == 0:
        stats |= path_length_step(engine, parts)
    return stats


def discriminator_step(engine: Engine, parts: list[Part], *, real: Tensor | None = None) -> Stats:
    """Update the discriminator once, and once more for its lazy gradient penalties.

    Arguments as `generator_step`; `real` with its graph.
    """
    state, loss, passes = engine.state, engine.config.loss, engine.passes
    _trainable(engine, True)
    means = Means()
    fake_images: list[Tensor] = []

    def losses() -> Iterator[Tensor]:
        for part in parts:
            with torch.no_grad():
                styles = engine.styles(part, "discriminator")
                fake_images.append(engine.paint(styles, part))
            judged = engine.judge(part.batch.image, part, "real") if real is None else real
            fake = engine.judge(fake_images[-1], part, "discriminator")
            value = discriminator_loss(loss.kind, fake, judged)
            means.add("loss/discriminator", value)
            means.add("logits/real", judged)
            means.add("logits/fake", fake)
            if engine.config.augment.kind == "ada":
                means.add("signs/real", judged.detach().sign())
            yield value

    optimizer = state.discriminator_optimizer
    gradient = engine.learn(state.discriminator, optimizer, losses(), scale=passes.loss_scale)
    stats = means.joint(engine.team) | gradient.named("discriminator")
    if "signs/real" in stats:
        sign = stats["signs/real"]
        state.augment_signs += torch.stack([sign, torch.ones_like(sign)])
        stats["augment/strength"] = state.augment_strength.clone()
    if state.step % loss.discriminator_interval == 0 and (loss.r1_gamma or loss.r2_gamma):
        stats |= penalty_step(engine, parts, fake_images)
    if state.step % VARIETY_INTERVAL == 0 and engine.config.batch > 1:
        stats |= compare_variety(engine, parts, fake_images)
    return stats


def adapt_augmentation(engine: Engine) -> None:
    """Move the strength of ADA, every few steps, by the signs seen since the last time."""
    state, settings = engine.state, engine.config.augment
    if settings.kind != "ada" or state.step % settings.interval:
        return
    total, count = state.augment_signs.cpu()
    images = int(count) * engine.config.batch
    state.augment_strength.copy_(
        adapt_strength(state.augment_strength, total / count, settings, images=images)
    )
    state.augment_signs.zero_()


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


def compare_variety(engine: Engine, parts: list[Part], fake_images: list[Tensor]) -> Stats:
    """How different the pictures of the joint batch are from each other: a collapse shows there."""
    team, batch = engine.team, engine.config.batch
    stats: Stats = {}
    for name, images in (("real", [part.batch.image for part in parts]), ("fake", fake_images)):
        own = torch.cat([thumbnails(each) for each in images])
        everyone = own.new_zeros(batch, own.shape[1])
        everyone[team.share(batch)] = own
        spread, nearest = thumbnail_distances(team.sum_(everyone))
        stats |= {f"spread/{name}": spread, f"nearest/{name}": nearest}
    return stats


def _pairs(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> Iterable[tuple[Tensor, Tensor]]:
    return zip(ours, theirs, strict=True)


def _trainable(engine: Engine, wanted: bool) -> None:
    frozen = engine.config.freeze_discriminator
    engine.state.discriminator.trainable(wanted, frozen=frozen)


def penalty_step(engine: Engine, parts: list[Part], fake_images: list[Tensor]) -> Stats:
    """The discriminator's lazy R1 and R2, by the pictures as they were before augmentation."""
    state, loss, means = engine.state, engine.config.loss, Means()

    def losses() -> Iterator[Tensor]:
        for part, fake_image in zip(parts, fake_images, strict=True):
            penalty = torch.zeros((), device=state.device)
            for name, gamma, image, purpose in (
                ("r1", loss.r1_gamma, part.batch.image, "real"),
                ("r2", loss.r2_gamma, fake_image, "discriminator"),
            ):
                if gamma:
                    image = image.detach().requires_grad_(True)
                    term = gradient_penalty(engine.judge_eagerly(image, part, purpose), image)
                    means.add(f"penalty/{name}", term)
                    penalty = penalty + term * (gamma / 2)
            yield penalty * loss.discriminator_interval

    engine.learn(state.discriminator, state.discriminator_optimizer, losses())
    return means.joint(engine.team)


def path_length_step(engine: Engine, parts: list[Part]) -> Stats:
    """The generator's lazy path length penalty."""
    state, loss, means = engine.state, engine.config.loss, Means()
    weight = loss.path_length_weight * loss.generator_interval
    # The penalty needs the mean length of the joint batch first. The graph of one part can wait for
    # it, those of several would fill the memory that they are to save: they are built again.
    waiting = [_lengths(engine, parts[0])] if len(parts) == 1 else []
    known = (
        [waiting[0][0].detach()]
        if waiting
        else [_lengths(engine, part)[0].detach() for part in parts]
    )
    average = engine.team.mean(torch.cat(known))
    seen: list[Tensor] = []
    mean = state.path_length_mean.lerp(average, loss.path_length_decay)
    state.path_length_mean.copy_(mean)

    def losses() -> Iterator[Tensor]:
        for part in parts:
            each, styles = waiting.pop() if waiting else _lengths(engine, part)
            seen.append(styles.detach()[:, 0])
            penalty = path_length_penalty(each, mean)
            means.add("penalty/path_length", penalty)
            yield penalty * weight

    engine.learn(state.generator, state.generator_optimizer, losses())
    _track_average(engine, seen)
    return means.joint(engine.team) | {"path_length": mean}


def _lengths(engine: Engine, part: Part) -> tuple[Tensor, Tensor]:
    """Path lengths (N,) of fresh pictures in a part's places, and their styles."""
    config, state = engine.config, engine.state
    few = engine.path_part(part)
    styles = engine.styles(few, "path length")
    image = paint(state.generator.synthesize, styles, few.batch)
    noise = torch.empty_like(image)
    for k, each in enumerate(noise):
        purpose = f"path length noise {few.first + k}"
        random = step_random(config.seed, state.step, purpose, state.device)
        each.normal_(generator=random)
    return path_lengths(image, styles, noise), styles


def _track_average(engine: Engine, seen: list[Tensor]) -> None:
    """Move the centre of truncation towards the mean of the w that were just drawn."""
    generator = engine.state.generator
    mean = engine.team.mean(torch.cat(seen))[None]
    generator.mapping.track_average(mean, decay=generator.average_decay)
