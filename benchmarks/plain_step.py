"""A training step as one would write it down: one file, plain layers, nothing clever.

The yardstick of `train_step.py`, and a second opinion: from the same weights, pictures and latents
it must find the same losses. It trains CREPS ("layerwise") against the residual discriminator with
the relativistic loss, R1 and R2, without augmentation, in float32.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creps.data import Batch
from creps.training._config import TrainConfig
from creps.training._state import TrainState

Weights = dict[str, Tensor]


def active(x: Tensor, bias: Tensor) -> Tensor:
    """Bias, leaky ReLU, gain sqrt(2); channels are the second axis."""
    return F.leaky_relu(x + bias.reshape(1, -1, *[1] * (x.ndim - 2)), 0.2) * math.sqrt(2)


def linear(p: Weights, name: str, x: Tensor, *, rate: float = 1.0) -> Tensor:
    """A fully connected layer with equalized learning rate."""
    weight = p[name + ".weight"]
    return x @ (weight * rate / math.sqrt(weight.shape[1])).T + p[name + ".bias"] * rate


def modulated(p: Weights, name: str, x: Tensor, w: Tensor, *, emits: bool = False) -> Tensor:
    """A modulated 1x1 layer on (B, I, P): styles and demodulation on the weights."""
    weight, style = p[name + ".weight"], linear(p, name + ".affine", w)
    if emits:
        scaled = weight[None] * style[:, None] / math.sqrt(weight.shape[1])
        return scaled @ x + p[name + ".bias"][:, None]
    scaled = weight[None] * style[:, None]
    scaled = scaled / (scaled.square().sum(2, keepdim=True) + 1e-8).sqrt()
    return active(scaled @ x, p[name + ".bias"])


def generate(p: Weights, config: TrainConfig, z: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
    """CREPS, layer by layer."""
    settings = config.generator
    w = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for k in range(settings.mapping_layers):
        w = F.leaky_relu(linear(p, f"mapping.layers.{k}", w, rate=0.01), 0.2) * math.sqrt(2)
    depth, freqs = settings.thickness, p["input.frequencies"]
    halves = []
    for axis, coords in enumerate((ys, xs)):
        phase = 2 * math.pi * coords[None, :, None] * freqs[:, None, :]
        waves = torch.cat([phase.sin(), phase.cos()])[None]  # (1, C, S, D)
        style = linear(p, "input.affine", w).reshape(len(w), -1, 2 * depth) * p["input.weight"]
        halves.append(waves * style[:, :, None, axis * depth : (axis + 1) * depth])
    x = (torch.cat(halves, 2) / math.sqrt(len(freqs) * 2)).flatten(2)  # (B, C, 2 S D)
    total: Tensor | None = None
    maps = []
    for j in range(len(settings.levels)):
        for k in range(1 if j == 0 else 2):
            x = modulated(p, f"blocks.{j}.layers.{k}", x, w)
        if j:
            emitted = modulated(p, f"blocks.{j}.emit", x, w, emits=True)
            total = emitted if total is None else total + emitted
            lines = total.unflatten(2, (-1, depth)) * math.sqrt(0.5)
            rows, columns = lines.split([len(ys), len(xs)], dim=2)
            maps.append(torch.einsum("bnik,bnjk->bnij", rows, columns).flatten(2))
    fused = maps[0]
    for level in range(len(maps)):
        decoded = fused
        for k in range(len(settings.decoder_widths) + 1):
            name = f"decoders.{level}.{k}"
            weight = p[name + ".weight"]
            decoded = active((weight / math.sqrt(weight.shape[1])) @ decoded, p[name + ".bias"])
        fused = decoded + maps[level + 1] if level + 1 < len(maps) else decoded
    color = linear(p, "to_rgb", fused.transpose(1, 2)).transpose(1, 2)
    for k in range(len(settings.refinement_widths)):
        for layer in range(2):
            fused = modulated(p, f"refinement.{k}.layers.{layer}", fused, w)
        color = color + modulated(p, f"refinement.{k}.to_rgb", fused, w, emits=True)
    return color.unflatten(2, (len(ys), len(xs)))


def blur(x: Tensor, padding: int, stride: int) -> Tensor:
    """The binomial low-pass on every channel."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device)
    kernel = torch.outer(taps, taps) / 64
    kernel = kernel.expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, padding=padding, stride=stride, groups=x.shape[1])


def judge(p: Weights, config: TrainConfig, x: Tensor) -> Tensor:
    """The residual discriminator, layer by layer."""

    def conv(name: str, x: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
        weight = p[name + ".weight"]
        scale = 1 / math.sqrt(weight[0].numel())
        return F.conv2d(x, weight * scale, stride=stride, padding=padding)

    x = active(conv("from_rgb", x), p["from_rgb.bias"])
    for k in range(len(config.discriminator.sizes)):
        name = f"blocks.{k}"
        skip = conv(f"{name}.skip", blur(x, 1, 2)) * math.sqrt(0.5)
        x = active(conv(f"{name}.conv0", x, padding=1), p[f"{name}.conv0.bias"])
        x = active(conv(f"{name}.conv1", blur(x, 2, 1), stride=2), p[f"{name}.conv1.bias"])
        x = x * math.sqrt(0.5) + skip
    group = min(config.discriminator.minibatch_group, len(x))
    # neighbors form a group, as in our step
    y = x.unflatten(0, (-1, group))
    y = (y.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    y = y.repeat_interleave(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    x = active(conv("conv", torch.cat([x, y], 1), padding=1), p["conv.bias"])
    x = F.leaky_relu(linear(p, "fc", x.flatten(1)), 0.2) * math.sqrt(2)
    return linear(p, "out", x)


class PlainTraining:
    """Copies of a state's networks, trained plainly.

    Args:
        state: copied.
        config: a run of CREPS with the relativistic loss.
    """

    def __init__(self, state: TrainState, config: TrainConfig) -> None:
        self.config = config
        self.generator = copy.deepcopy(state.generator)
        self.discriminator = copy.deepcopy(state.discriminator).requires_grad_(True)
        self.average = copy.deepcopy(state.average)
        settings = config.optimizer
        betas = (settings.beta1, settings.beta2)
        self.optimizers = [
            torch.optim.Adam(net.parameters(), settings.learning_rate, betas, settings.epsilon)
            for net in (self.generator, self.discriminator)
        ]
        self.steps = 0

    def step(self, batch: Batch, latents: tuple[Tensor, Tensor]) -> tuple[float, float]:
        """One step; the losses of generator and discriminator."""
        config, grid = self.config, batch.region.grid()
        ys, xs = grid.ys.to(batch.image), grid.xs.to(batch.image)
        g = {**dict(self.generator.named_parameters()), **dict(self.generator.named_buffers())}
        d = dict(self.discriminator.named_parameters())
        fake = judge(d, config, generate(g, config, latents[0], ys, xs))
        loss_g = F.softplus(judge(d, config, batch.image).detach() - fake).mean()
        self._descend(0, self.generator, loss_g)
        with torch.no_grad():
            image = generate(g, config, latents[1], ys, xs)
        loss_d = F.softplus(judge(d, config, image) - judge(d, config, batch.image)).mean()
        self._descend(1, self.discriminator, loss_d)
        if self.steps % config.loss.discriminator_interval == 0:
            penalty = torch.zeros((), device=image.device)
            gammas = config.loss.r1_gamma, config.loss.r2_gamma
            for gamma, pictures in zip(gammas, (batch.image, image), strict=True):
                pictures = pictures.detach().requires_grad_(True)
                logits = judge(d, config, pictures).sum()
                (slope,) = torch.autograd.grad(logits, pictures, create_graph=True)
                penalty = penalty + slope.square().sum((1, 2, 3)).mean() * gamma / 2
            self._descend(1, self.discriminator, penalty * config.loss.discriminator_interval)
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
            for mine, theirs in pairs:
                mine.copy_(theirs.lerp(mine, 0.5 ** (config.batch / config.ema_half_life)))
        self.steps += 1
        return float(loss_g.detach()), float(loss_d.detach())

    def _descend(self, which: int, network: nn.Module, loss: Tensor) -> None:
        self.optimizers[which].zero_grad()
        inputs = [p for p in network.parameters() if p.requires_grad]
        loss.backward(inputs=inputs)
        self.optimizers[which].step()
