"""Our model format: `model.safetensors` with `config.json`, or one file that carries the same JSON.

The weights file is complete in itself: its metadata holds the document. In a directory
`config.json` repeats it for readers and for the Hub, and the two must agree.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from shlex import quote
from typing import Any
from weakref import WeakKeyDictionary

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from creps._devices import find_device
from creps._files import refuse_foreign_name, write_atomically, write_directory
from creps._json import parse_json
from creps._urls import fetched, is_url
from creps.errors import CheckpointError, ConfigError, UsageError, nearest, utf8
from creps.networks.base import Generator, build_generator, describe_generator

_FORMAT = "creps-model"
_VERSION = 1
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
_OFFICIAL = (".pkl", ".pt")
"""Endings of files that are converted before they are loaded."""
_METADATA_KEY = "creps"
"""Where the document lies in the metadata of a weights file."""

_STORED_TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
"""What weights may be stored as, and how safetensors calls it; they are loaded as float32."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """What `config.json` says of a model.

    Attributes:
        family: registered name of the generator family.
        config: fields of the family's config, as JSON types.
        record: free JSON: training, source, credits, license.
        weights_id: as `weights_id` finds it; None in files of before it was stored.
    """

    family: str
    config: Mapping[str, Any]
    record: Mapping[str, Any]
    weights_id: str | None = field(default=None, compare=False)

    def to_json(self) -> str:
        """The text of `config.json`."""
        document = {"format": _FORMAT, "version": _VERSION, **asdict(self)}
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Document:
        """Read the text of `config.json`, strictly."""
        try:
            values = parse_json(text)
        except ValueError as error:
            raise CheckpointError(str(error)) from None
        if values.get("format") != _FORMAT:
            raise CheckpointError(f"not a creps model (no format {_FORMAT!r})")
        version = values.get("version")
        if version != _VERSION:
            raise CheckpointError(
                f"format version {version!r:.20}, this creps reads {_VERSION}: upgrade creps"
            )
        family, config, record = (values.get(key) for key in ("family", "config", "record"))
        if not isinstance(family, str) or not isinstance(config, dict):
            raise CheckpointError("family or config is missing")
        weights = values.get("weights_id")
        return cls(
            family=family,
            config=config,
            record=record if isinstance(record, dict) else {},
            weights_id=weights if isinstance(weights, str) else None,
        )


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """What can be said of a model without reading its weights.

    Attributes:
        path: its weights file.
        document: its family, config and record.
        parameters: number of trained values.
        file_bytes: size of the weights file.
        stored_as: precision of the stored weights: F32, F16 or BF16.
    """

    path: Path
    document: Document
    parameters: int
    file_bytes: int
    stored_as: str


RUN_MODEL = "model"
"""Where a training run has its model, in its folder."""

_OTHER_SUFFIXES = {".pt", ".pth", ".pkl", ".ckpt", ".bin", ".onnx", ".json", ".npz", ".zip"}
"""Names that promise another kind of file."""


def save(
    generator: Generator,
    path: str | os.PathLike[str],
    *,
    record: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model: a directory of `model.safetensors` and `config.json`, or a single file.

    Each file appears at once or not at all; saving over a model replaces it. The same weights and
    record give the same bytes.

    Args:
        generator: a network of any registered family, on any device.
        path: a directory, made if missing; a path that ends with `.safetensors` is a single file.
        record: free JSON that travels with the weights (training, source, credits, license); by
            default the generator's own `record`.
        dtype: torch.float32; or float16 or bfloat16 for half the size (buffers stay float32).
    Raises:
        CheckpointError: if a weight is not finite in `dtype`, or if `path` is a file.
        UsageError: for another dtype, a path that promises another kind of file or is no UTF-8, or
            a record that is not JSON.
    Example:
        >>> save(load("portraits"), "my-model")  # doctest: +SKIP
    """
    if not isinstance(generator, Generator):
        raise UsageError(f"a {type(generator).__name__} given: expected a generator to save")
    path = Path(path)
    if path.suffix.lower() in _OTHER_SUFFIXES and not path.is_dir():
        raise UsageError(
            f"{path}: models are safetensors files: give a name that ends with .safetensors, or "
            "that of a folder"
        )
    refuse_foreign_name(path, "safetensors")
    if dtype not in _STORED_TYPES:
        raise UsageError(f"dtype {dtype}: weights are stored as float32, float16 or bfloat16")
    family, config = describe_generator(generator)
    tensors = _stored(generator, dtype)
    document = Document(
        family=family,
        config=config,
        record=dict(generator.record if record is None else record),
        weights_id=_digest(generator, tensors),
    )
    try:
        text = document.to_json()
        beside = text.encode()  # refuses half of a surrogate pair
    except (TypeError, ValueError) as error:
        raise UsageError(f"the record of a model must be JSON: {error}") from None
    weights = to_safetensors(tensors, {_METADATA_KEY: text})
    if path.suffix == ".safetensors":
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, weights)
    elif path.is_dir():
        # Weights first: should the second step never come, they are still complete in themselves.
        write_atomically(path / WEIGHTS, weights)
        write_atomically(path / CONFIG, beside)
    elif path.exists():
        raise CheckpointError(
            f"{path} is a file: give a directory or a name ending in .safetensors"
        )
    else:
        write_directory(path, {WEIGHTS: weights, CONFIG: beside})


def load(path_or_name: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Generator:
    """Load a trained generator, ready to draw.

    Args:
        path_or_name: the name of a model inside the package ("portraits"); or a path or URL: a
            model's directory, or a `.safetensors` file. What has a slash in it, ends with
            `.safetensors` or is a directory with a model in it is a path; anything else is a name.
            The folder of a training run stands for the model in it.
        device: where to put it, such as "cuda", or "auto": a GPU if there is one.
    Returns:
        A `torch.nn.Module` in evaluation mode, in float32, without gradients.
        `g.config` says what it is and `g.record` where it comes from; `g.map` and `g.synthesize`
        draw with tensors, `creps.render` makes pictures; `g.to("cuda")` and `g.double()` work.
    Raises:
        CheckpointError: for an unknown name (with the nearest known ones), a missing or damaged
            file, weights that do not fit their config, or are not those of the file's weights id.
        UsageError: for a device that is not here.
    Example:
        >>> import creps
        >>> g = creps.load("portraits")
        >>> creps.render(g, seed=7, size=(96, 128)).shape
        (96, 128, 3)
    """
    place = find_device(device)
    with _opened(path_or_name) as (weights, document, generator, file):
        fill(generator, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    if document.weights_id not in (None, weights_id(generator)):
        raise CheckpointError(
            f"{weights}: damaged or edited: its weights or config are not those of its weights_id; "
            "copy or download it again"
        )
    generator.record = document.record
    return generator.to(place)


def place_of(path_or_name: str | os.PathLike[str]) -> Path:
    """Where a run or a model is: a path as it is, a copy of a URL, the folder of a packaged name.

    A CheckpointError for what is none of them.
    """
    if is_url(path_or_name):
        return fetched(str(path_or_name), CheckpointError)
    path = Path(path_or_name)
    return path if path.exists() else _weights_file(path_or_name).parent


def summarize(path_or_name: str | os.PathLike[str]) -> ModelSummary:
    """What a model is, checked like `load` does, without reading its weights."""
    with _opened(path_or_name) as (weights, document, generator, file):
        name = next(name for name, _ in generator.named_parameters())
        return ModelSummary(
            path=weights,
            document=document,
            parameters=sum(p.numel() for p in generator.parameters()),
            file_bytes=weights.stat().st_size,
            stored_as=file.get_slice(name).get_dtype(),
        )


_YOUNGER: dict[str, Any] = {"class_from_latent": False, "period": [0.0, 0.0], "maps": ""}
"""Settings that came after the first ids, at what they were before: ids leave these out."""

_IDS: WeakKeyDictionary[Generator, tuple[object, str]] = WeakKeyDictionary()
"""Ids of generators, and which values of their tensors they are of."""


def weights_id(generator: Generator) -> str:
    """Which weights these are, whatever their file or model is called.

    `creps info`, `config.json`, evaluation records, pictures, films, styles and sites show it, and
    pinned addresses are made of it. It is computed once for a generator, and again when a weight
    has changed.

    Returns:
        64 hexadecimal digits: the SHA-256 of the family, the config and the weights in float32.
        Device, wider types and the record (credits, training) make no difference.
    """
    tensors = [*generator.parameters(), *generator.buffers()]
    if any(tensor.is_inference() for tensor in tensors):  # these do not count their changes
        return _digest(generator, generator.state_dict())
    state = tuple((id(tensor), tensor.data_ptr(), tensor._version) for tensor in tensors)
    known, found = _IDS.get(generator, (None, ""))
    if known != state:
        found = _digest(generator, generator.state_dict())
        _IDS[generator] = state, found
    return found


def _digest(generator: Generator, tensors: Mapping[str, Tensor]) -> str:
    try:
        family, config = describe_generator(generator)
        config = {name: value for name, value in config.items() if _YOUNGER.get(name) != value}
        kind = json.dumps([family, config], sort_keys=True)
        # As it was spelled when the first models got their ids.
        kind = kind.replace('"centers"', '"centres"')
    except ConfigError:  # of no registered family, as in tests of metrics
        kind = f"{type(generator).__name__} {generator.config}"
    digest = hashlib.sha256(kind.encode())
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file that appears at once or not at all, in an existing folder."""
    write_atomically(path, to_safetensors(dict(tensors), dict(metadata or {})))


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Errors about what a file holds name the file."""
    try:
        yield
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"{where}: {error}") from None
    except (SafetensorError, IsADirectoryError, UnicodeEncodeError) as error:
        if utf8(str(where)) != str(where):
            raise CheckpointError(f"{where}: no name in UTF-8, rename it") from None
        raise CheckpointError(
            f"{where}: damaged or truncated ({error}): copy or download it again"
        ) from None


def skeleton(family: str, config: Mapping[str, Any] | Any) -> Generator:
    """A generator without memory for its weights (on the "meta" device).

    Nothing random is drawn, and absurd sizes cost nothing before the weights disagree with them.
    """
    try:
        with torch.device("meta"):
            return build_generator(family, config)
    except (RuntimeError, TypeError, OverflowError):  # torch's ways to refuse sizes that overflow
        raise CheckpointError(f"its config has impossible sizes: {config}") from None


def fill(generator: Generator, tensors: Mapping[str, Tensor]) -> None:
    """Give a skeleton its weights: copies in float32; names and shapes must have been checked.

    A CheckpointError for weights that are not finite.
    """
    copies = {name: t.detach().to(torch.float32, copy=True) for name, t in tensors.items()}
    for name, tensor in copies.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"tensor {name} has values that are not finite")
    generator.load_state_dict(copies, assign=True)
    generator.requires_grad_(False)


def _weights_file(path_or_name: str | os.PathLike[str]) -> Path:
    """Where the weights of a path or packaged name are; those of a URL are fetched."""
    if is_url(path_or_name):
        path_or_name = fetched(str(path_or_name), CheckpointError)
    path = Path(path_or_name)
    text = os.fspath(path_or_name)
    is_path = (
        not isinstance(path_or_name, str)
        or any(separator in text for separator in ("/", os.sep))
        or path.suffix in (".safetensors", *_OFFICIAL)
        or any((path / name).is_file() for name in (WEIGHTS, CONFIG))
        or any((path / RUN_MODEL / name).is_file() for name in (WEIGHTS, CONFIG))
    )
    if not is_path:
        if text not in (names := packaged_names()):
            raise CheckpointError(
                f"no packaged model {text!r}, {nearest(text, names)}; "
                "a path has a slash or ends with .safetensors"
            )
        return _folder() / text / WEIGHTS
    if path.suffix in _OFFICIAL:
        raise CheckpointError(
            f"{path} is an official file: convert it with creps convert {quote(text)} --out DIR"
        )
    if (path / RUN_MODEL / WEIGHTS).is_file() and not (path / WEIGHTS).exists():
        path = path / RUN_MODEL
    weights = path / WEIGHTS if path.is_dir() else path
    if not weights.exists():
        if (path / "snapshots").is_dir():
            raise CheckpointError(
                f"{path} is a run that has not made its model yet: go on with the same creps train "
                f"command; the model will be {path / RUN_MODEL}"
            )
        raise CheckpointError(
            f"{weights}: no such file; a model is a directory with {WEIGHTS}, "
            "or one .safetensors file"
        )
    return weights


def _document(weights: Path) -> Document:
    """The document of a weights file, and of the `config.json` next to it: they must agree."""
    with naming(weights), safe_open(weights, framework="pt") as file:
        text = (file.metadata() or {}).get(_METADATA_KEY)
        inside = None if text is None else Document.from_json(text)
    config = weights.with_name(CONFIG)
    beside = None
    if weights.name == WEIGHTS and config.is_file():
        with naming(config):
            beside = Document.from_json(config.read_bytes())
    document = beside or inside
    if document is None:
        raise CheckpointError(
            f"{weights}: not a creps model: it has no config, and there is no {CONFIG} next to it"
        )
    if inside not in (None, document):
        raise CheckpointError(
            f"{config} does not belong to {WEIGHTS} next to it, from another save or edited: "
            f"remove {CONFIG} to go by what {WEIGHTS} holds"
        )
    return document


@contextmanager
def _opened(
    path_or_name: str | os.PathLike[str],
) -> Iterator[tuple[Path, Document, Generator, Any]]:
    """The weights file of a model, its document, its skeleton, and its open tensors, which fit."""
    weights = _weights_file(path_or_name)
    document = _document(weights)
    with naming(weights), safe_open(weights, framework="pt") as file:
        generator = skeleton(document.family, document.config)
        expected = generator.state_dict()
        check_names(expected, set(file.keys()))
        for name, tensor in expected.items():
            found = file.get_slice(name)
            if found.get_dtype() not in _STORED_TYPES.values():
                raise CheckpointError(
                    f"tensor {name} is {found.get_dtype()}: expected F32, F16 or BF16"
                )
            check_shape(name, found.get_shape(), expected=tensor.shape)
        yield weights, document, generator, file


def check_names(expected: Collection[str], found: Collection[str]) -> None:
    """Refuse missing and surplus tensors, naming the first."""
    for problem, names in (
        ("missing", set(expected) - set(found)),
        ("unexpected", set(found) - set(expected)),
    ):
        if names:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(
                f"tensor {min(names)!r}{others} {problem}: the weights do not fit the config"
            )


def check_shape(name: str, found: Sequence[int], *, expected: Sequence[int]) -> None:
    """Refuse a tensor whose shape is not that of the config."""
    if tuple(found) != tuple(expected):
        raise CheckpointError(
            f"tensor {name} has shape {tuple(found)}: expected {tuple(expected)}, "
            "as the config says"
        )


def _stored(generator: Generator, dtype: torch.dtype) -> dict[str, Tensor]:
    """Contiguous CPU copies to store; buffers (frequencies, averages) keep full precision."""
    parameters = {name for name, _ in generator.named_parameters()}
    tensors = {}
    for name, tensor in generator.state_dict().items():
        stored_type = dtype if name in parameters else torch.float32
        stored = tensor.detach().to("cpu", stored_type).contiguous()
        if not torch.isfinite(stored).all():
            raise CheckpointError(
                f"tensor {name} has values that are not finite in {dtype}: the model is not saved"
            )
        tensors[name] = stored
    return tensors


def packaged_names() -> list[str]:
    """Names of the models inside the package, `creps/models/NAME/`."""
    return sorted(path.parent.name for path in _folder().glob(f"*/{WEIGHTS}"))


def _folder() -> Path:
    return Path(str(files("creps"))) / "models"
