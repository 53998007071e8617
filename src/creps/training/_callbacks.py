"""What goes on beside the steps of a run: watching, saving, keeping to a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from creps.checkpoints import save
from creps.errors import CrepsError
from creps.training._config import TrainConfig
from creps.training._engine import Stats
from creps.training._loop import Callback, StopRequest
from creps.training._run import Run
from creps.training._snapshots import save_snapshot
from creps.training._state import TrainState
from creps.training.monitoring._doctor import Alarms
from creps.training.monitoring._log import Journal, Log, divergence_advice
from creps.training.monitoring._previews import Previews


def standard_callbacks(run: Run, *, journal: Journal, alarms: Alarms) -> list[Callback]:
    """What every run has, in the order in which it must be called: broken states are not saved."""
    return [
        Log(journal, run.config),
        alarms,
        Previews(run.folder / "previews", run.config, journal=journal),
        Snapshots(run.folder, run.config, record=run.record),
    ]


class Snapshots:
    """The state of the run and its model, every `snapshot_every` steps and at the end.

    Args:
        run: the folder.
        config: the run.
        record: what the model remembers of its making.
    Raises:
        CrepsError: from both methods, if a weight is no longer finite; what was saved stays.
    """

    def __init__(self, run: Path, config: TrainConfig, *, record: Mapping[str, Any]) -> None:
        self.run, self.config, self.record = run, config, record
        self.saved_step = -1

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Save when due."""
        if state.step % self.config.snapshot_every == 0:
            self._save(state)

    def at_end(self, state: TrainState) -> None:
        """Save what the last snapshot does not hold yet."""
        if state.step != self.saved_step:
            self._save(state)

    def _save(self, state: TrainState) -> None:
        self._refuse_broken(state)
        save_snapshot(state, self.run / "snapshots")
        seen = {"steps": state.step, "images": state.step * self.config.batch}
        record = {**self.record, "training": {**self.record["training"], **seen}}
        save(state.average, self.run / "model", record=record)
        self.saved_step = state.step

    def _refuse_broken(self, state: TrainState) -> None:
        """Raise where a weight is not finite: such a snapshot would push out those that work."""
        for name, network in state.networks():
            for key, tensor in network.state_dict().items():
                if not bool(torch.isfinite(tensor).all()):
                    raise CrepsError(
                        f"{name}.{key} is not finite at step {state.step}: the run has diverged; "
                        "the last snapshot is kept, start a new run with "
                        f"{divergence_advice(self.config)}"
                    )


class TimeLimit:
    """Asks the loop to stop after so many seconds."""

    def __init__(self, seconds: float, stop: StopRequest) -> None:
        self.deadline, self.stop = time.monotonic() + seconds, stop

    def after_step(self, state: TrainState, stats: Stats) -> None:
        """Ask once the time is over."""
        if time.monotonic() >= self.deadline and self.stop.reason is None:
            self.stop.reason = "time limit reached"

    def at_end(self, state: TrainState) -> None:
        """Nothing."""
