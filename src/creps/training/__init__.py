"""Training: from a folder of pictures to a model.

    >>> from creps.training import preset
    >>> config = preset("small-32", "images=20000", "data.mirror=true")

`train` makes a run and goes on with it, `preset` has settings that are known to work, `TrainConfig`
holds them; a `Callback` looks on; `diagnose_run` says how a run is doing. For a loop of your own
there are `open_run`, `run_steps` and the losses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from creps._lazy import attach

if TYPE_CHECKING:
    from creps.training._config import (
        ConsistencySettings,
        DataSettings,
        LossSettings,
        OptimizerSettings,
        TeacherSettings,
        TrainConfig,
        WatchSettings,
    )
    from creps.training._loop import run_steps, train
    from creps.training._losses import (
        discriminator_loss,
        generator_loss,
        gradient_penalty,
        path_lengths,
    )
    from creps.training._presets import RECIPES, Recipe, preset
    from creps.training._run import Callback, Run, open_run
    from creps.training.augment import AugmentSettings
    from creps.training.monitoring._doctor import diagnose_run
    from creps.training.monitoring._report import write_report
else:
    __getattr__, __dir__ = attach(__name__, __file__)

__all__ = [
    "RECIPES",
    "AugmentSettings",
    "Callback",
    "ConsistencySettings",
    "DataSettings",
    "LossSettings",
    "OptimizerSettings",
    "Recipe",
    "Run",
    "TeacherSettings",
    "TrainConfig",
    "WatchSettings",
    "diagnose_run",
    "discriminator_loss",
    "generator_loss",
    "gradient_penalty",
    "open_run",
    "path_lengths",
    "preset",
    "run_steps",
    "train",
    "write_report",
]
