"""Inversion: the styles of a model whose picture comes closest to a given one.

As in StyleGAN2 (section 5, appendix D): gradient descent on the styles; the network is not changed.
Ours uses that the model paints any size: it begins with small pictures from several places, and
continues with larger ones from the best of them. Nothing random is added on the way.

Shapes: B starts, K styles, D width of a style, C colors, h and w the pixels compared.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from creps._files import write_atomically
from creps.coordinates import WHOLE_PLANE, Canvas, Window
from creps.data._framing import area_average
from creps.errors import ConfigError, UsageError
from creps.metrics._models import on_white
from creps.metrics._similarity import LayeredExtractor, perceptual_distance
from creps.networks.base import Generator
from creps.rendering import contact_sheet, made_by, save_picture, save_styles, to_uint8

if TYPE_CHECKING:
    from creps.data._framing import Pixels

Space = Literal["w", "w+"]

COMPARED = 128
"""Pixels of the longer side that are compared by default, or the model's own if these are more."""
SMALLEST = 8
"""Pixels of the shorter side below which nothing is compared."""
CANDIDATES, FEW_CANDIDATES, LOOKED_AT = 256, 32, 16
"""Latents that starts are chosen from, fewer where a picture costs much, and the pixels a side that
are compared for it."""
WARM_UP, COOL_DOWN = 0.05, 0.25
"""Shares of a stage in which the step size rises, and of all in which it falls (appendix D)."""


class _Stage(NamedTuple):
    """A part of the search."""

    share: float  # of all steps
    kept: float  # share of the starts that continue, at least one
    reduction: int  # pixels are compared at 1 / this of the size
    perceptual: bool  # whether features are compared too


STAGES = (
    _Stage(0.25, 1.0, 4, False),
    _Stage(0.25, 0.5, 2, True),
    _Stage(0.5, 0.0, 1, True),
)
"""Many starts where steps are cheap, one where they are dear."""


@dataclass(frozen=True, kw_only=True)
class InversionSettings:
    """Settings of the search."""

    space: Space = "w"
    """"w": one vector for all layers, whose pictures look like the model's own; "w+": one for each
    layer from the middle on, closer to any picture."""
    steps: int = 300
    """Steps of gradient descent, over all stages."""
    starts: int = 4
    """Places to start from: the best of many random latents."""
    seed: int = 0
    """Of those latents."""
    learning_rate: float = 0.05
    """Of Adam, in standard deviations of the model's w."""
    perceptual: float = 0.02
    """Weight of the perceptual distance relative to the squared error of pixels in [-1, 1]."""
    together: float = 0.001
    """"w+": weight of the variance among the vectors of the layers, in the same unit."""

    def __post_init__(self) -> None:
        if self.space not in ("w", "w+"):
            raise ConfigError(f"space {self.space!r}: expected w or w+")
        for name, least in (("steps", 1), ("starts", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} {getattr(self, name)}: expected at least {least}")
        if self.seed >= 2**63:
            raise ConfigError(f"seed {self.seed}: expected less than 2**63")
        if self.starts > FEW_CANDIDATES:
            raise ConfigError(f"starts {self.starts}: expected at most {FEW_CANDIDATES}")
        for name in ("learning_rate", "perceptual", "together"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} {getattr(self, name)}: expected 0 or more")


@dataclass(frozen=True)
class Inversion:
    """What was found.

    Attributes:
        styles: (1, K, D) on the CPU, for `creps.render(generator, styles=...)`.
        image: (1, C, h, w) picture of them, at the size compared, in [-1, 1] nominally.
        target: (1, C, h, w), what it was compared with.
        losses: of the best start, one a step: what is made small, over all stages. It jumps where a
            stage begins that compares more.
    """

    styles: Tensor
    image: Tensor
    target: Tensor
    losses: tuple[float, ...]

    @property
    def psnr(self) -> float:
        """Likeness of `image`, clipped, and `target`, in decibels."""
        error = float((self.image.clamp(-1, 1) - self.target).double().square().mean())
        return math.inf if error == 0 else 10 * math.log10(4 / error)


def invert(
    generator: Generator,
    picture: Pixels,
    *,
    settings: InversionSettings | None = None,
    window: Window = WHOLE_PLANE,
    size: int | None = None,
    label: int | str | Tensor | None = None,
    extractor: LayeredExtractor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Search for the styles whose picture in a window of the plane is closest to a given one.

    Args:
        generator: the model; it stays as and where it is.
        picture: (H, W, C) pixels on the scale 0 .. 255, C the model's own; any H and W.
        settings: how to look; `InversionSettings()` by default.
        window: (y0, x0, y1, x1): the part of the plane that the picture shows, all of it.
        size: pixels of the longer side that are compared, never more than the picture has; by
            default `COMPARED`, or the model's own resolution if that is more.
        label: index or name of a class, or (1,) of the index or (1, label_dim) one-hot row, for
            class-conditional models.
        extractor: whose features are compared besides pixels; None compares pixels alone.
        progress: called with the steps done and the steps in all.
    Raises:
        UsageError: for a picture with other channels or too few pixels.
        GridError: for an invalid window, or one that the model cannot paint.
        LabelError: if the label is missing, unexpected or unknown.
    Example:
        >>> import creps
        >>> generator = creps.load("portraits")
        >>> face = creps.render(generator, seed=5, size=32)
        >>> quick = InversionSettings(steps=8, starts=1)
        >>> found = creps.invert(generator, face, settings=quick)
        >>> creps.render(generator, styles=found.styles, size=(30, 40)).shape
        (30, 40, 3)
    """
    settings = settings or InversionSettings()
    canvas = _compared_canvas(generator, picture, window=window, size=size)
    target = _pixels_of(picture, (canvas.height, canvas.width), generator)
    search = _Search(generator, canvas, target, settings=settings, extractor=extractor)
    if not isinstance(label, Tensor):
        index = generator.class_index(label)
        label = None if index is None else torch.tensor([index])
    offsets = search.start(label)  # (B, 1, D)
    curves: list[list[float]] = [[] for _ in offsets]
    done = 0
    for number, (stage, steps) in enumerate(zip(STAGES, _steps(settings.steps), strict=True)):
        if number:
            kept = max(round(stage.kept * settings.starts), 1)
            best = search.errors(offsets, stage).argsort()[:kept].tolist()
            offsets, curves = offsets[best], [curves[k] for k in best]
        if settings.space == "w+" and stage is STAGES[-1]:
            offsets = offsets.repeat(1, generator.num_styles, 1)
        descent = search.descend(offsets, stage, steps=steps, done=done)
        for step, (now, losses) in enumerate(descent):
            offsets = now
            for curve, loss in zip(curves, losses, strict=True):
                curve.append(loss)
            if progress is not None:
                progress(done + step + 1, settings.steps)
        done += steps
    with torch.no_grad():
        styles = search.styles(offsets)
        image = search.images(styles, STAGES[-1])
    return Inversion(styles.cpu(), image.cpu(), target.cpu(), tuple(curves[0]))


def save_inversion(
    found: Inversion, folder: Path, generator: Generator, *, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the styles, their picture, both pictures side by side, and last the record.

    Args:
        found: what `invert` returns.
        folder: where to; made if missing. Files of the same names are replaced.
        generator: the model, whose weights and credits are noted.
        record: JSON values that describe the search.
    Returns:
        what is noted in every file.
    """
    about = {**made_by(generator), **record}
    folder.mkdir(parents=True, exist_ok=True)
    save_styles(folder / "styles.safetensors", found.styles, record=about)
    save_picture(to_uint8(found.image[0]), folder / "picture.png", settings=about)
    target, image = (to_uint8(on_white(each[0])) for each in (found.target, found.image))
    difference = np.abs(image.astype(np.int16) - target)
    beside = contact_sheet([target, image, difference.astype(np.uint8)], columns=3)
    save_picture(beside, folder / "comparison.png", settings=about)
    lines = {**about, "losses": [float(f"{loss:.4g}") for loss in found.losses]}
    write_atomically(folder / "record.json", (json.dumps(lines, indent=1) + "\n").encode())
    return about


class _Search:
    """A model, what its picture is to be like, and where its styles usually lie."""

    def __init__(
        self,
        generator: Generator,
        canvas: Canvas,
        target: Tensor,
        *,
        settings: InversionSettings,
        extractor: LayeredExtractor | None,
    ) -> None:
        self.generator, self.canvas, self.settings = generator, canvas, settings
        self._targets = {
            stage: _reduced(target, _stage_size(canvas, stage.reduction)) for stage in STAGES
        }
        used = extractor if settings.perceptual else None
        self._remembering = None if used is None else _Remembering(used)
        self._center = self._spread = target.new_zeros(1)

    @torch.no_grad()
    def start(self, label: Tensor | None) -> Tensor:
        """(B, 1, D) offsets of the best of many random latents."""
        generator, canvas = self.generator, self.canvas
        cheap = generator.tileable and not generator.margin
        count = CANDIDATES if cheap else FEW_CANDIDATES
        draw = torch.Generator().manual_seed(self.settings.seed)
        z = torch.randn(count, generator.config.z_dim, generator=draw).to(self._center)
        labels = None if label is None else label.expand(count, *label.shape[1:])
        w = generator.map(z, labels)[:, :1]  # (count, 1, D)
        self._center, self._spread = w.mean(0), w.std(0)
        # Directions that the model does not use get a step too, a small one.
        self._spread = self._spread.clamp(min=1e-3 * float(self._spread.mean()) + 1e-12)
        small = max(min(canvas.height, canvas.width) // LOOKED_AT, 1)
        looked = _Stage(0, 1, small, False)
        self._targets[looked] = _reduced(self._targets[STAGES[-1]], _stage_size(canvas, small))
        offsets = (w - self._center) / self._spread
        offsets = torch.cat([torch.zeros_like(offsets[:1]), offsets])  # the average picture too
        errors = torch.cat([self.errors(part, looked) for part in torch.split(offsets, 16)])
        return offsets[errors.argsort()[: self.settings.starts]]

    def descend(
        self, offsets: Tensor, stage: _Stage, *, steps: int, done: int
    ) -> Iterator[tuple[Tensor, list[float]]]:
        """After each step: where it has led to, and the losses it was taken from."""
        offsets = offsets.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([offsets], betas=(0.9, 0.99))
        for step in range(steps):
            ramp = _ramp(step / steps, (done + step + 1) / self.settings.steps)
            optimizer.param_groups[0]["lr"] = self.settings.learning_rate * ramp
            losses = self.losses(offsets, stage)
            optimizer.zero_grad()
            torch.autograd.backward(losses.sum())
            optimizer.step()
            yield offsets.detach(), losses.tolist()

    def styles(self, offsets: Tensor) -> Tensor:
        """(B, K, D) styles of offsets (B, 1, D) or (B, K, D), which count standard deviations."""
        return (self._center + self._spread * offsets).expand(-1, self.generator.num_styles, -1)

    def images(self, styles: Tensor, stage: _Stage) -> Tensor:
        """(B, C, h, w) pictures at the size that a stage compares."""
        generator, canvas = self.generator, self.canvas
        size = _stage_size(canvas, stage.reduction)
        if not generator.tileable:  # paints one grid only
            return _reduced(generator.synthesize(styles, canvas.grid()), size)
        small = Canvas(*size, canvas.window, canvas.sampling)
        n, (height, width) = generator.margin, size
        rows, columns = small.rows(-n, height + 2 * n), small.columns(-n, width + 2 * n)
        image = generator.synthesize(styles, type(small.grid())(rows, columns))
        return image[..., n : n + height, n : n + width]

    def losses(self, offsets: Tensor, stage: _Stage) -> Tensor:
        """(B,) what a stage makes small."""
        images = self.images(self.styles(offsets), stage)
        target = self._targets[stage].expand_as(images)
        total = _pyramid_error(images, target)
        if stage.perceptual and self._remembering is not None:
            self._remembering.target = target
            distance = perceptual_distance(images, target, extractor=self._remembering)
            total = total + self.settings.perceptual * distance.to(total)
        if offsets.shape[1] > 1:
            apart = (offsets - offsets.mean(1, keepdim=True)).square().mean((1, 2))
            total = total + self.settings.together * apart
        return total

    @torch.no_grad()
    def errors(self, offsets: Tensor, stage: _Stage) -> Tensor:
        """(B,) losses, without gradients."""
        return self.losses(offsets, stage)


class _Remembering:
    """An extractor that evaluates the target of a stage once, not at every step."""

    def __init__(self, extractor: LayeredExtractor) -> None:
        self.name = extractor.name
        self.target: Tensor | None = None
        self._extractor = extractor
        self._seen: tuple[int, list[Tensor]] | None = None

    def layers(self, images: Tensor, /) -> list[Tensor]:
        """Feature maps, those of the target from memory."""
        if self.target is None or images is not self.target:
            return self._extractor.layers(on_white(images))
        storage = images.untyped_storage().data_ptr()
        if self._seen is None or self._seen[0] != storage:
            with torch.no_grad():
                self._seen = storage, self._extractor.layers(on_white(images[:1]))
        return self._seen[1]


def _pyramid_error(images: Tensor, target: Tensor) -> Tensor:
    """Squared error (B,) of pixels, and of their means over 2 x 2, 4 x 4 and 8 x 8 of them.

    The means see a shape that is near its place, where single pixels see nothing.
    """
    difference = images - target
    errors = [difference.square().mean((1, 2, 3))]
    while len(errors) < 4 and min(difference.shape[2:]) >= 2 * SMALLEST:
        difference = F.avg_pool2d(difference, 2)
        errors.append(difference.square().mean((1, 2, 3)))
    return torch.stack(errors).mean(0)


def _compared_canvas(
    generator: Generator, picture: Pixels, *, window: Window, size: int | None
) -> Canvas:
    """The pixels that are compared: the picture's, or fewer; the only ones of some families."""
    own = int(generator.config.resolution)
    if generator.config.map_names:
        raise UsageError("the model paints a material with maps: expected one of colors alone")
    channels = int(generator.config.img_channels)
    if picture.ndim != 3 or picture.shape[2] != channels:
        raise UsageError(
            f"picture of shape {picture.shape}: expected (H, W, {channels}), as the model paints"
        )
    height, width = picture.shape[:2]
    if not generator.tileable:
        height = width = own
    else:
        wanted = max(COMPARED, own) if size is None else size
        scale = min(wanted / max(height, width), 1)
        height, width = round(scale * height), round(scale * width)
    if min(height, width) < SMALLEST:
        raise UsageError(
            f"{height}x{width} pixels to compare: expected at least {SMALLEST} a side, "
            "give a larger picture or size"
        )
    return Canvas(height, width, window, generator.sampling)


def _pixels_of(picture: Pixels, size: tuple[int, int], generator: Generator) -> Tensor:
    """(1, C, h, w) in [-1, 1]: the mean colors of a picture over the areas of fewer pixels."""
    box = (0.0, 0.0, float(picture.shape[0]), float(picture.shape[1]))
    mean = torch.from_numpy(area_average(picture, box, size)) / 127.5 - 1
    weight: Any = next(generator.parameters())
    return mean.permute(2, 0, 1)[None].to(weight)


def _stage_size(canvas: Canvas, reduction: int) -> tuple[int, int]:
    """(h, w) at a reduction, which leaves the shorter side some pixels."""
    scale = min(1.0, max(1 / reduction, 2 * SMALLEST / min(canvas.height, canvas.width)))
    return round(scale * canvas.height), round(scale * canvas.width)


def _reduced(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture (B, C, H, W) as the averages over fewer pixels."""
    return image if image.shape[2:] == size else F.interpolate(image, size=size, mode="area")


def _steps(total: int) -> list[int]:
    """The steps of each stage; the last has what the others leave."""
    early = [int(stage.share * total) for stage in STAGES[:-1]]
    return [*early, total - sum(early)]


def _ramp(within: float, done: float) -> float:
    """Share of the learning rate at a share of a stage, and of all."""
    up = min((within + 0.01) / WARM_UP, 1.0)
    down = min((1 - done) / COOL_DOWN, 1.0)
    return up * (0.5 - 0.5 * math.cos(math.pi * down))
