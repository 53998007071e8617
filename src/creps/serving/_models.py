"""Models that are served, and those pictures of them that are prepared."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import PIL.features
import torch

from creps import __version__
from creps._code import code_id
from creps._devices import find_device
from creps.checkpoints import weights_id
from creps.errors import ConfigError, CrepsError, LabelError, UsageError, nearest
from creps.networks.base import Generator
from creps.rendering._provenance import provenance
from creps.rendering._renderer import Renderer
from creps.rendering._sampling import detail_resolution, trained_resolution
from creps.rendering._view import View, checked_dtype
from creps.serving._identifiers import NAME, PictureId
from creps.serving._settings import ServeSettings
from creps.serving._views import RenderedSource, Source, UpsampledSource, ViewSpec

LINES_OF_A_PICTURE = 2**25
"""Bytes of lines that are kept of each picture: 16,384 rows and columns of the packaged model."""

PIN_DIGITS = 8

ROOMS = ("_devices", "checkpoints", "config", "coordinates", "networks", "rendering", "serving")
"""Of creps, whose code makes the bytes of an answer."""
CODECS = ("jpg", "zlib", "libtiff", "webp", "jpg_2000")
"""Of Pillow."""


class UnknownPictureError(CrepsError):
    """Unknown model name, or a pin of other weights or code."""


@dataclass(frozen=True)
class ServedModel:
    """A model under its name in addresses, as a server of these settings draws it."""

    name: str
    generator: Generator
    settings: ServeSettings = field(default_factory=ServeSettings)

    @property
    def dtype(self) -> str | None:
        """The precision it works in; None: its own."""
        return self.settings.dtype

    @cached_property
    def made_by(self) -> str:
        """A digest of all that the bytes of a view of its pictures depend on, beside the view.

        ETags, kept answers and pins derive from it: none outlives a change of what draws.
        """
        return _digest(
            weights=weights_id(self.generator),
            credits=self.credits,
            default_class=self._default_class,
            precision=[self.dtype, *sorted({str(p.dtype) for p in self.generator.parameters()})],
            samples=self.settings.limits.samples,
            device=_kind(self.generator.device),
            code=code_id(*ROOMS),
            libraries=_libraries(),
        )

    @property
    def pin(self) -> str:
        """What an address may name these very pictures by.

        It also holds what addresses mean here: pixels of a region, the largest answer.
        """
        settings, limits = self.settings, self.settings.limits
        digest = _digest(
            made_by=self.made_by, size=settings.size, pixels=limits.pixels, side=limits.side
        )
        return digest[:PIN_DIGITS]

    @property
    def credits(self) -> str:
        """What must be shown with its pictures; empty for nothing."""
        return str(self.generator.record.get("credits", ""))

    @property
    def _default_class(self) -> int | None:
        """The index of the class that is drawn where none is chosen, if there is one."""
        name = self.generator.default_class
        return None if name is None else self.generator.class_index(name)

    def about(self, picture: PictureId, spec: ViewSpec) -> dict[str, Any]:
        """What a view of one of its pictures records of how it was made, as JSON values."""
        view = View(size=spec.size, window=spec.frame.window)
        made = provenance(self.generator, picture.latent, view, dtype=self.dtype)
        told = {"model": self.name, "picture": str(picture.content), "view": asdict(spec)}
        plain: dict[str, Any] = json.loads(json.dumps({**made, **told}))
        return plain

    def describe(self, *, size: int) -> dict[str, Any]:
        """What the page shows of it."""
        config, record = self.generator.config, self.generator.record
        return {
            "name": self.name,
            "pin": self.pin,
            "family": self.generator.family,
            "parameters": sum(each.numel() for each in self.generator.parameters()),
            "resolution": config.resolution,
            "trained": trained_resolution(self.generator),
            "detail": detail_resolution(self.generator),
            "size": size,
            "styles": self.generator.num_styles,
            "classes": config.label_dim,
            "class_names": list(self.generator.class_names),
            "default_class": self._default_class,
            "needs_class": self.generator.needs_class,
            "channels": config.colors,
            "credits": self.credits,
            "license": str(record.get("license", "")),
        }


def _digest(**parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _kind(device: torch.device) -> str:
    """Which arithmetic it does: GPUs of other kinds round otherwise."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _libraries() -> dict[str, str | None]:
    """Versions of what computes and encodes beside our own code."""
    return {
        "creps": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        **{codec: PIL.features.version(codec) for codec in CODECS},
    }


class ModelRegistry:
    """All pictures of some models; the latest stay prepared, up to a limit of bytes.

    Thread-safe. `nbytes` is what was held at the last call of `settle`.

    Args:
        generators: by name; moved to the device.
        settings: of the server.
    Raises:
        ConfigError: for no models, or a name that no address can have.
        UsageError: for an invalid device or precision.
    """

    def __init__(self, generators: Mapping[str, Generator], *, settings: ServeSettings) -> None:
        if not generators:
            raise ConfigError("no models: expected at least one")
        for name in generators:
            if not NAME.fullmatch(name):
                raise ConfigError(
                    f"model name {name!r}: expected letters, digits, dots and dashes; "
                    "name it as in NAME=PATH"
                )
        self._settings = settings
        self.models: dict[str, ServedModel] = {}
        for name, generator in generators.items():
            device = generator.device if settings.device is None else find_device(settings.device)
            checked_dtype(settings.dtype, device)
            self.models[name] = ServedModel(name, generator.to(device), settings)
        for model in self.models.values():
            _ = model.made_by  # hashed before the first client comes
        self._sources: OrderedDict[PictureId, Source] = OrderedDict()
        self._making: dict[PictureId, threading.Lock] = {}
        self._lock = threading.Lock()
        self.nbytes = 0

    def __len__(self) -> int:
        """Pictures that are ready."""
        return len(self._sources)

    def model(self, picture: PictureId) -> ServedModel:
        """The model of a picture.

        Raises:
            UnknownPictureError: for an unknown name, or another pin.
            LabelError, UsageError: for classes and layers that this model does not have.
        """
        model = self.models.get(picture.model)
        if model is None:
            hint = nearest(picture.model, self.models)
            raise UnknownPictureError(f"no model {picture.model!r} here: {hint}")
        if picture.pin not in (None, model.pin):
            raise UnknownPictureError(
                f"{picture.model}@{picture.pin}: this server draws {picture.model}@{model.pin}"
            )
        classes = model.generator.config.label_dim
        needed = model.generator.needs_class and model.generator.default_class is None
        missing = picture.label is None and needed
        if missing or (picture.label is not None and picture.label >= classes):
            expected = f";c=0 to ;c={classes - 1}" if classes else "no ;c="
            expected += " or no ;c=" * (classes > 0 and not needed)
            raise LabelError(f"model {model.name} has {classes} classes: expected {expected}")
        layers = model.generator.num_styles
        numbers = [
            int(n) for _, text in picture.recipe.mixes for n in text.replace("-", ",").split(",")
        ]
        if max(numbers, default=0) >= layers:
            raise UsageError(f"model {model.name} has the layers 0 to {layers - 1}")
        return model

    def size(self, picture: PictureId) -> tuple[int, int]:
        """Declared (height, width) of a picture: its longer side is that of the settings."""
        y0, x0, y1, x1 = picture.window
        longer, share = self._settings.size, (x1 - x0) / (y1 - y0)
        return max(round(longer / max(share, 1)), 1), max(round(longer * min(share, 1)), 1)

    def source(self, picture: PictureId) -> Source:
        """What draws a picture; prepared now if it is not. Raises as `model`."""
        model = self.model(picture)
        key = picture.content
        with self._lock:
            if key in self._sources:
                self._sources.move_to_end(key)
                return self._sources[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:  # the second one finds it there
            with self._lock:
                if key in self._sources:
                    return self._sources[key]
            try:
                source = self._prepared(model, key)
                with self._lock:
                    self._sources[key] = source
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return source

    def settle(self) -> None:
        """Drop the pictures used least recently until the rest fits the limit."""
        with self._lock:
            sources = list(self._sources.items())  # the least recently used first
        sizes = [(key, source.nbytes) for key, source in sources]  # may wait for drawing threads
        total = sum(size for _, size in sizes)
        for key, size in sizes[:-1]:
            if total <= self._settings.limits.pictures:
                break
            with self._lock:
                self._sources.pop(key, None)
            total -= size
        self.nbytes = total

    def _prepared(self, model: ServedModel, picture: PictureId) -> Source:
        """The source of a picture."""
        renderer = Renderer(
            model.generator, picture.latent, dtype=model.dtype, keep=LINES_OF_A_PICTURE
        )
        if picture.by is None:
            return RenderedSource(renderer)
        native = renderer.picture(supersample="auto")  # its best quality
        return UpsampledSource(native, picture.by)
