"""A sample of damaged sets, pictures, masks and arrays: each is read or refused in one line."""

import pytest

from faults.mutants import try_mutants


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pictures", "masks", "npy", "zip", "tar", "labels"])
def test_damaged_files_are_read_or_refused(kind: str) -> None:
    tally = try_mutants(kind, count=100, seed=7)
    assert sum(tally.ends.values()) == 100
    assert tally.ends["refused"] > 5
    assert not tally.faults, tally.faults[:3]
