"""Starting a run from what another one, or a model, has learnt; passing on what a run has."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from creps.checkpoints import load, save, weights_id
from creps.checkpoints._store import naming, write_tensors
from creps.errors import CheckpointError, UnsupportedError, UsageError
from creps.networks.base import Generator, GeneratorConfig
from creps.training._config import Perceptual, stored_perceptual, stored_settings
from creps.training._state import TrainState, copy_tensors, read_snapshot, snapshots
from creps.training.augment._settings import AugmentSettings

DISCRIMINATORS = "discriminators.safetensors"
"""Beside a model: the networks that taught it, by the state's names."""
_TAUGHT = "weights_id"
"""Where that file's metadata names the model."""

_OWN = frozenset({"step"})
"""What a new run counts for itself."""
_ADAPTED = frozenset({"augment_strength", "augment_signs"})
"""What only a run that adapts its augmentation alike takes over."""


def start_from(state: TrainState, path: Path, *, augment: AugmentSettings) -> None:
    """Give a fresh state what an earlier run, or a model, has learnt.

    A generator with more levels (a larger `generator.resolution`) takes what has the same place in
    it; its new levels add nothing at first. A larger training resolution alone needs nothing:
    the same generator gets more coordinates. An any-resolution generator continues from one without
    its scale branch, or from a StyleGAN3.

    Of a run with the same networks it takes all of the state but the counts, the strength of ADA
    too where both runs adapt it from the same start (`augment`: the new run's); with another
    discriminator (one for another resolution has other outer blocks) generator, average, what fits
    of the discriminator, and the heads of the projected one if they fit; of a model generator and
    average, and the discriminators beside it (see `pack`) as far as they fit.

    Raises:
        CheckpointError: if its generator is another network; the message names the difference. If
            the discriminators beside it are of another model, or damaged.
    """
    tensors, config, before = _learnt(path)
    for name, network in (("generator", state.generator), ("average", state.average)):
        try:
            network.grow_from(config, _part(tensors, name))
        except UnsupportedError as error:
            raise CheckpointError(f"{path} holds {error}") from None
    ours = {
        f"{name}.{key}": tensor.shape
        for name, network in state.networks()
        if network is not state.moments  # of other pictures, perhaps
        for key, tensor in network.state_dict().items()
    }
    theirs = {name: tensor.shape for name, tensor in tensors.items() if name in ours}
    if ours == theirs and "step" in tensors:
        state.allocate_moments(tensors)
        alike = before is not None and _starts(before) == _starts(augment)
        taken = {name for name in tensors if not name.startswith("moments.")}
        copy_tensors(state, tensors, names=taken - (_OWN if alike else _OWN | _ADAPTED))
    else:
        state.discriminator.grow_from(_part(tensors, "discriminator"))
        heads = _part(tensors, "projected")
        if state.projected is not None and _fits(state.projected, heads):
            state.projected.load_state_dict(heads)


def pack(run: Path, out: Path, *, dtype: torch.dtype = torch.float16) -> Path:
    """Write the model of a run, and beside it the discriminators that taught it.

    `out` is a model as `creps.save` writes it, to draw with or to share. What starts from it
    (`--from OUT`) starts from its discriminators too, as far as they fit; fresh ones have all to
    learn first, and tell a trained generator little until then.

    Args:
        run: the folder of a run, active or not.
        out: the model's folder, made if missing.
        dtype: torch.float16, torch.bfloat16 or torch.float32, of the weights in both files.
    Returns:
        `out`.
    Raises:
        CheckpointError: if the run has no snapshot or no model, or they are damaged; if a weight is
            not finite in `dtype`.
        UsageError: if `out` is a file, or a run, or inside of one.
    Example:
        >>> pack(Path("first-run"), Path("my-model"))  # doctest: +SKIP
    """
    if out.suffix == ".safetensors" or out.is_file():
        raise UsageError(f"{out}: a model and its discriminators are two files: give a folder")
    if any(snapshots(folder / "snapshots") for folder in (out, *out.resolve().parents)):
        raise UsageError(f"{out} is a run, or inside of one: give a folder of the model's own")
    kept = snapshots(run / "snapshots")
    if not kept:
        raise CheckpointError(f"{run}: no snapshot, expected the folder of a run that has trained")
    tensors, model, settings = read_snapshot(kept[-1]), load(run), stored_settings(run)[0]
    model.load_state_dict(_part(tensors, "average"))  # RUN/model may be of the step before
    step = int(tensors["step"])
    seen = {"steps": step, "images": step * settings.batch}
    training = {**model.record.get("training", {}), **seen}
    taught_by = () if settings.loss.kind == "statistics" else ("discriminator", "projected")
    narrow = {
        name: tensor.to(dtype)
        for name, tensor in tensors.items()
        if name.partition(".")[0] in taught_by
    }
    for name, tensor in narrow.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{run}: {name} is not finite in {str(dtype)[6:]}")
    (out / DISCRIMINATORS).unlink(missing_ok=True)
    save(model, out, record={**model.record, "training": training}, dtype=dtype)
    if narrow:
        write_tensors(out / DISCRIMINATORS, narrow, metadata={_TAUGHT: weights_id(load(out))})
    return out


def _teachers(path: Path, model: Generator) -> dict[str, Tensor]:
    """The discriminators beside a model by the state's names; none if there are none."""
    beside = path / "model" / DISCRIMINATORS
    file_path = beside if beside.is_file() else path / DISCRIMINATORS
    if not file_path.is_file():
        return {}
    with naming(file_path), safe_open(file_path, framework="pt") as file:
        if (file.metadata() or {}).get(_TAUGHT) != weights_id(model):
            raise CheckpointError(
                "of another model than the one beside it: remove it to start with fresh "
                "discriminators"
            )
        return {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118


def _fits(network: nn.Module, tensors: dict[str, Tensor]) -> bool:
    """Whether tensors are a state of a network."""
    ours = network.state_dict()
    return ours.keys() == tensors.keys() and all(
        tensors[n].shape == t.shape for n, t in ours.items()
    )


def learnt_from(path: Path) -> Perceptual:
    """The network whose features an earlier run, or a model, was trained with, itself or before."""
    if snapshots(path / "snapshots"):
        return stored_perceptual(path)
    taught: Perceptual = load(path).record.get("training", {}).get("perceptual", "none")
    return taught


def _starts(augment: AugmentSettings) -> tuple[object, ...]:
    """How the strength of an augmentation begins, and whether it moves."""
    return augment.kind, augment.adapt, augment.p


def _learnt(path: Path) -> tuple[dict[str, Tensor], GeneratorConfig, AugmentSettings | None]:
    """Tensors of a run or model by the state's names, its generator's config, its augmentation."""
    kept = snapshots(path / "snapshots")
    if not kept:
        model = load(path)
        weights = model.state_dict().items()
        names = ("generator", "average")
        tensors = {f"{name}.{key}": t for name in names for key, t in weights}
        return tensors | _teachers(path, model), model.config, None
    settings = stored_settings(path)[0]
    return read_snapshot(kept[-1]), settings.generator, settings.augment


def _part(tensors: dict[str, Tensor], network: str) -> dict[str, Tensor]:
    """The tensors of one network, by its own names."""
    prefix = f"{network}."
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
