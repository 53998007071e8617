from ._config import (
    ConsistencySettings,
    DataSettings,
    LossSettings,
    OptimizerSettings,
    TeacherSettings,
    TrainConfig,
    WatchSettings,
)
from ._loop import run_steps, train
from ._losses import discriminator_loss, generator_loss, gradient_penalty, path_lengths
from ._presets import PRESETS, Preset, preset
from ._run import Callback, Run, open_run
from ._transfer import pack
from .augment import AugmentSettings
from .monitoring._doctor import diagnose_run
from .monitoring._report import write_report

__all__ = [
    "PRESETS",
    "AugmentSettings",
    "Callback",
    "ConsistencySettings",
    "DataSettings",
    "LossSettings",
    "OptimizerSettings",
    "Preset",
    "Run",
    "TeacherSettings",
    "TrainConfig",
    "WatchSettings",
    "diagnose_run",
    "discriminator_loss",
    "generator_loss",
    "gradient_penalty",
    "open_run",
    "pack",
    "path_lengths",
    "preset",
    "run_steps",
    "train",
    "write_report",
]
