"""One thread a process, so that sums do not depend on the number of cores; no time limits."""

from __future__ import annotations

import os

# Before torch is imported, and for the processes that tests start: idle OpenMP threads would spin.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

# Drawing examples is slow on a busy machine, and that is no failure.
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("people", ANY_TIME)
settings.register_profile("ci", ANY_TIME, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "people")


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is read from, or left in, the caches of whoever runs the tests."""
    os.environ["CREPS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
