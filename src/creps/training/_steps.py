"""One training step: generator, discriminator, moving average.

Each update is a mean over the joint batch, whatever processes and parts it is computed in (see
`creps.training._engine`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from creps.data import Batch
from creps.training._config import TrainConfig
from creps.training._engine import Engine, Means, Part, Stats
from creps.training._losses import (
    cross_scale_loss,
    discriminator_loss,
    finite_penalty,
    generator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    hinge_generator_loss,
    path_length_penalty,
    path_lengths,
    refined,
    thumbnail_distances,
    thumbnails,
)
from creps.training._precision import paint
from creps.training._state import TrainState, penalty_scale, step_random
from creps.training._statistics import statistics_loss
from creps.training.augment import adapt_strength

_DIVERSITY_INTERVAL = 4
"""Steps between two measurements of how different pictures are: enough for the log's means."""


@dataclass
class Drawn:
    """What the generator painted in a step, one entry for each part, without its graph.

    Attributes:
        images: pictures (B, C, H, W).
        maps: the features that the projected discriminator has seen of them; none if it has not.
    """

    images: list[Tensor] = field(default_factory=list)
    maps: list[list[Tensor]] = field(default_factory=list)


def train_step(engine: Engine, batch: Batch) -> Stats:
    """Everything that happens in one step to this process's share of a batch."""
    state, config = engine.state, engine.config
    parts = engine.parts(batch)
    if config.loss.kind == "statistics":
        stats = statistics_step(engine, parts)
    else:
        stats = adversarial_steps(engine, parts)
    update_average(state, config)
    state.step += 1
    _adapt_augmentation(engine)
    return stats


def adversarial_steps(engine: Engine, parts: list[Part]) -> Stats:
    """Update the generator and its discriminators once."""
    state, config = engine.state, engine.config
    stats: Stats = {}
    real: Tensor | None = None
    drawn = Drawn()
    if state.step >= config.discriminator_warmup:
        if config.loss.kind == "relativistic" and len(parts) == 1:
            # The discriminator does not change in between: one pass over real pictures serves both
            # updates. Of several parts the graphs would have to be kept.
            _let_discriminator_learn(engine, True)
            real = engine.logits(parts[0].batch.image, parts[0], "real")
        kept = drawn if config.loss.one_draw else None
        stats |= generator_step(engine, parts, real=real, kept=kept)
    stats |= discriminator_step(engine, parts, real=real, drawn=drawn)
    if state.projected is not None:
        stats |= projected_step(engine, parts, drawn)
    return stats


def statistics_step(engine: Engine, parts: list[Part]) -> Stats:
    """Update the generator once, towards the statistics of real pictures."""
    state, config, means = engine.state, engine.config, Means()
    _let_discriminator_learn(engine, False)
    drawn: list[Tensor] = []
    images: list[Tensor] = []

    def distance(part: Part) -> Tensor:
        z, styles, image = _painted(engine, part, drawn)
        images.append(image.detach())
        with torch.no_grad():
            known = engine.passes.features(part.batch.image)
        value = statistics_loss(
            image,
            part.batch.image,
            maps=engine.passes.features(image),
            real_maps=known,
            random=step_random(config.seed, state.step, "statistics"),
            group=config.discriminator.minibatch_group,
        )
        means.add("loss/generator", value)
        return value + _regularization(engine, part, z=z, styles=styles, image=image, means=means)

    gradient = engine.learn("generator", parts, distance, scale=engine.passes.loss_scale)
    _track_average(engine, drawn)
    stats = means.joint(engine.group) | gradient
    if state.step % _DIVERSITY_INTERVAL == 0 and config.batch > 1:
        stats |= _diversity(engine, parts, images)
    return stats


def _painted(
    engine: Engine, part: Part, drawn: list[Tensor], *, magnitudes: list[Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, styles and pictures that the generator learns from; `drawn` gets the first style."""
    z = engine.latents(part, "generator")
    styles = engine.state.generator.map(z, part.batch.label)
    drawn.append(styles.detach()[:, 0])
    return z, styles, engine.paint(styles, part, magnitudes=magnitudes)


def generator_step(
    engine: Engine,
    parts: list[Part],
    *,
    real: Tensor | None = None,
    kept: Drawn | None = None,
) -> Stats:
    """Update the generator once, and once more for its lazy path length penalty.

    `real` are the logits of the only part's real pictures, if they are known; `kept` takes what is
    painted.
    """
    state, loss, means = engine.state, engine.config.loss, Means()
    _let_discriminator_learn(engine, False)
    drawn: list[Tensor] = []
    magnitudes: list[Tensor] = []

    def adversarial(part: Part) -> Tensor:
        z, styles, image = _painted(engine, part, drawn, magnitudes=magnitudes)
        if kept is not None:
            kept.images.append(image.detach())
        fake = engine.logits(image, part, "generator")
        others = real
        if loss.kind == "relativistic" and others is None:
            with torch.no_grad():
                others = engine.logits(part.batch.image, part, "real")
        value = generator_loss(loss.kind, fake, None if others is None else others.detach())
        means.add("loss/generator", value)
        if state.projected is not None:
            state.projected.requires_grad_(False)
            maps = engine.projected_maps(image, part, "generator")
            if kept is not None:
                kept.maps.append([each.detach() for each in maps])
            projected = hinge_generator_loss(engine.projected_scores(maps, part))
            means.add("loss/generator_projected", projected)
            value = value + projected * engine.config.projected.weight
            if state.moments is not None:
                windows = engine.are_windows(part)
                value = value + state.moments.score(maps, windows) * engine.config.projected.moments
        return value + _regularization(engine, part, z=z, styles=styles, image=image, means=means)

    gradient = engine.learn("generator", parts, adversarial, scale=engine.passes.loss_scale)
    _track_average(engine, drawn)
    if magnitudes:
        measured = engine.group.mean(torch.stack(magnitudes))
        state.generator.track_magnitudes(measured, images=engine.config.batch)
    stats = means.joint(engine.group) | gradient
    if loss.path_length_weight and state.step % loss.generator_interval == 0:
        stats |= path_length_step(engine, parts)
    return stats


def _regularization(
    engine: Engine, part: Part, *, z: Tensor, styles: Tensor, image: Tensor, means: Means
) -> Tensor:
    """What the teacher and the consistency of scales add to the generator's loss, a scalar."""
    total = torch.zeros((), device=image.device)
    config, consistency = engine.config, engine.config.consistency
    if engine.teacher is not None:
        taught = engine.teacher.loss(image, z, part.batch)
        means.add("loss/teacher", taught / config.teacher.weight)
        total = total + taught
    if consistency.weight and engine.state.step % consistency.interval == 0:
        finer = replace(part.batch, region=refined(part.batch.region, consistency.factor))
        loss = cross_scale_loss(image, engine.passes.synthesize(styles, finer))
        means.add("loss/consistency", loss)
        total = total + loss * (consistency.weight * consistency.interval)
    return total


def path_length_step(engine: Engine, parts: list[Part]) -> Stats:
    """The generator's lazy path length penalty."""
    state, loss, means = engine.state, engine.config.loss, Means()
    # The penalty needs the mean length of the joint batch first. The graph of one part can wait for
    # it, those of several would fill the memory that they are to save: they are built again.
    waiting = [_path_lengths(engine, parts[0])] if len(parts) == 1 else []
    known = [lengths.detach() for lengths, _ in waiting] or [
        _path_lengths(engine, part)[0].detach() for part in parts
    ]
    average = engine.group.mean(torch.cat(known))
    mean = state.path_length_mean.lerp(average, loss.path_length_decay)
    state.path_length_mean.copy_(mean)
    drawn: list[Tensor] = []

    def path_length(part: Part) -> Tensor:
        lengths, styles = waiting.pop() if waiting else _path_lengths(engine, part)
        drawn.append(styles.detach()[:, 0])
        penalty = path_length_penalty(lengths, mean)
        means.add("penalty/path_length", penalty)
        return penalty * (loss.path_length_weight * loss.generator_interval)

    engine.learn("generator", parts, path_length)
    _track_average(engine, drawn)
    return means.joint(engine.group) | {"path_length": mean}


def _path_lengths(engine: Engine, part: Part) -> tuple[Tensor, Tensor]:
    """Path lengths (N,) of fresh pictures in a part's places, and their styles."""
    state = engine.state
    few = engine.path_part(part)
    styles = engine.styles(few, "path length")
    image = paint(state.generator.synthesize, styles, few.batch)
    noise = engine.noise(few, image, "path length noise")
    return path_lengths(image, styles, noise), styles


def discriminator_step(
    engine: Engine,
    parts: list[Part],
    *,
    real: Tensor | None = None,
    drawn: Drawn | None = None,
) -> Stats:
    """Update the discriminator once, and once more for its exact penalties.

    `real` are known logits with their graph; `drawn` has the generated pictures of each part, or
    takes fresh ones.
    """
    state, loss, means = engine.state, engine.config.loss, Means()
    _let_discriminator_learn(engine, True)
    drawn = Drawn() if drawn is None else drawn
    known = iter(tuple(drawn.images))
    due = state.step % loss.discriminator_interval == 0 and (loss.r1_gamma or loss.r2_gamma)

    def adversarial(part: Part) -> Tensor:
        image = next(known, None)
        if image is None:
            with torch.no_grad():
                image = engine.paint(engine.styles(part, "discriminator"), part)
            drawn.images.append(image)
        of_real = engine.logits(part.batch.image, part, "real") if real is None else real
        fake = engine.logits(image, part, "discriminator")
        value = discriminator_loss(loss.kind, fake, of_real)
        means.add("loss/discriminator", value)
        means.add("logits/real", of_real)
        means.add("logits/fake", fake)
        if engine.config.augment.kind == "ada":
            means.add("signs/real", of_real.detach().sign())
        if due and loss.penalty == "finite":
            value = value + _finite_penalties(
                engine, part, image, real=of_real, fake=fake, means=means
            )
        return value

    gradient = engine.learn("discriminator", parts, adversarial, scale=engine.passes.loss_scale)
    stats = means.joint(engine.group) | gradient
    if "signs/real" in stats:
        sign = stats["signs/real"]
        state.augment_signs += torch.stack([sign, torch.ones_like(sign)])
        stats["augment/strength"] = state.augment_strength.clone()
    if due and loss.penalty == "exact":
        stats |= penalty_step(engine, parts, drawn.images)
    if state.step % _DIVERSITY_INTERVAL == 0 and engine.config.batch > 1:
        stats |= _diversity(engine, parts, drawn.images)
    return stats


def _finite_penalties(
    engine: Engine, part: Part, fake_image: Tensor, *, real: Tensor, fake: Tensor, means: Means
) -> Tensor:
    """R1 and R2 of a part from differences of logits, weighted; `real` and `fake` are known."""
    loss, total = engine.config.loss, torch.zeros((), device=real.device)
    for name, gamma, image, logits, purpose in (
        ("r1", loss.r1_gamma, part.batch.image, real, "real"),
        ("r2", loss.r2_gamma, fake_image, fake, "discriminator"),
    ):
        if gamma:
            rounded = engine.config.precision != "float32"  # too coarse for differences
            if rounded:
                logits = engine.logits(image, part, purpose, eager=True)
            noise = engine.noise(part, image, f"penalty noise {purpose}") * loss.penalty_noise
            noisy = engine.logits(image + noise, part, purpose, eager=rounded)
            term = finite_penalty(logits, noisy, noise=loss.penalty_noise)
            means.add(f"penalty/{name}", term)
            total = total + term * (gamma / 2)
    scale = penalty_scale(engine.config, engine.state.step)
    return total * (loss.discriminator_interval * scale)


def projected_step(engine: Engine, parts: list[Part], drawn: Drawn) -> Stats:
    """Update the heads of the projected discriminator, on the pictures of the discriminator's."""
    state, means = engine.state, Means()
    fakes, seen = iter(drawn.images), iter(drawn.maps)
    sums: list[Tensor] = []
    assert state.projected is not None
    state.projected.requires_grad_(True)

    def hinge(part: Part) -> Tensor:
        with torch.no_grad():
            of_real = engine.projected_maps(part.batch.image, part, "real")
            fake, of_fake = next(fakes), next(seen, None)
            if of_fake is None:
                of_fake = engine.projected_maps(fake, part, "discriminator")
        if state.moments is not None:
            sums.append(state.moments.sums(of_real, of_fake, engine.are_windows(part)))
        scores = [engine.projected_scores(maps, part) for maps in (of_fake, of_real)]
        value = hinge_discriminator_loss(*scores)
        means.add("loss/projected", value)
        return value

    gradient = engine.learn("projected", parts, hinge, scale=engine.passes.loss_scale)
    state.projected.tighten()
    stats = means.joint(engine.group) | gradient
    if state.moments is not None:
        joint = engine.group.sum_(torch.stack(sums).sum(0))
        stats |= state.moments.follow(joint, step=state.step)
    return stats


def penalty_step(engine: Engine, parts: list[Part], fake_images: list[Tensor]) -> Stats:
    """The discriminator's lazy R1 and R2, by the pictures as they were before augmentation."""
    loss, means = engine.config.loss, Means()
    fakes = iter(fake_images)

    def penalties(part: Part) -> Tensor:
        penalty = torch.zeros((), device=engine.state.device)
        for name, gamma, image, purpose in (
            ("r1", loss.r1_gamma, part.batch.image, "real"),
            ("r2", loss.r2_gamma, next(fakes), "discriminator"),
        ):
            if gamma:
                image = image.detach().requires_grad_(True)
                logits = engine.logits(image, part, purpose, eager=True)
                term = gradient_penalty(logits, image)
                means.add(f"penalty/{name}", term)
                penalty = penalty + term * (gamma / 2)
        scale = penalty_scale(engine.config, engine.state.step)
        return penalty * (loss.discriminator_interval * scale)

    engine.learn("discriminator", parts, penalties)
    return means.joint(engine.group)


def _diversity(engine: Engine, parts: list[Part], fake_images: list[Tensor]) -> Stats:
    """How different the pictures of the joint batch are from each other: a collapse shows there."""
    group, batch = engine.group, engine.config.batch
    stats: Stats = {}
    for name, images in (("real", [part.batch.image for part in parts]), ("fake", fake_images)):
        own = torch.cat([thumbnails(each) for each in images])
        everyone = own.new_zeros(batch, own.shape[1])
        everyone[group.share(batch)] = own
        spread, nearest = thumbnail_distances(group.sum_(everyone))
        stats |= {f"spread/{name}": spread, f"nearest/{name}": nearest}
    return stats


def _adapt_augmentation(engine: Engine) -> None:
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
    average, generator = state.average, state.generator
    with torch.no_grad():
        for parameter, trained in zip(average.parameters(), generator.parameters(), strict=True):
            parameter.lerp_(trained, 1 - keep)
        for buffer, current in zip(average.buffers(), generator.buffers(), strict=True):
            buffer.copy_(current)


def _let_discriminator_learn(engine: Engine, wanted: bool) -> None:
    frozen = engine.config.freeze_discriminator
    engine.state.discriminator.trainable(wanted, frozen=frozen)


def _track_average(engine: Engine, drawn: list[Tensor]) -> None:
    """Move the center of truncation towards the mean of the w that were just drawn."""
    generator = engine.state.generator
    mean = engine.group.mean(torch.cat(drawn))[None]
    generator.mapping.track_average(mean, decay=generator.average_decay)
