"""One thread a process, so that sums do not depend on the number of cores; no time limits."""

from __future__ import annotations

import os

# Before torch is imported, and for the processes that tests start: idle OpenMP threads would spin.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)

settings.register_profile("people", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "people")


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is read from, or left in, the caches of whoever runs the tests."""
    os.environ["CREPS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
