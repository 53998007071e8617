"""The processes that train together: each computes its share of a batch and knows the same sums.

Every process draws the numbers of the whole batch and takes its share, so K processes make the step
that one process would make with the whole batch, up to the rounding of sums. Gradients are added up
plainly, once a backward pass is complete: unlike hooks on parameters, this works with second
derivatives too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import torch
import torch.distributed as distributed
from torch import Tensor

from creps.errors import CrepsError, UsageError


class Vote(IntEnum):
    """What a process wants before the next step; the largest vote of all counts."""

    GO_ON = 0
    STOP = 1
    FAIL = 2


@dataclass(frozen=True)
class ProcessGroup:
    """This process, the `rank`-th of `count` that train together; a single one by default."""

    rank: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """The places of this process's pictures in a joint batch, which the count divides."""
        own = batch // self.count
        return slice(self.rank * own, (self.rank + 1) * own)

    def sum_(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.count > 1:
            distributed.all_reduce(tensor)
        return tensor

    def mean(self, rows: Tensor) -> Tensor:
        """The mean over the rows (N, ...) of all processes: (...); N may be any on each."""
        if self.count == 1:
            return rows.mean(0)
        total = torch.cat([rows.sum(0).flatten(), rows.new_full((1,), len(rows))])
        self.sum_(total)
        return (total[:-1] / total[-1]).reshape(rows.shape[1:])

    def vote(self, own: Vote) -> Vote:
        """The largest vote of all processes; each must vote once a step.

        A CrepsError if another process failed.
        """
        if self.count == 1:
            return own
        largest = torch.tensor(int(own))  # on the CPU: no wait for the device
        distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
        agreed = Vote(int(largest))
        if agreed is Vote.FAIL and own is not Vote.FAIL:
            raise CrepsError("another process of this run failed: see its message")
        return agreed

    def same(self, number: int) -> bool:
        """Whether all processes gave the same number."""
        if self.count == 1:
            return True
        ends = torch.tensor([number, -number])
        distributed.all_reduce(ends, op=distributed.ReduceOp.MAX)
        return int(ends[0]) == -int(ends[1])


SINGLE = ProcessGroup()
"""One process."""


@contextmanager
def process_group(device: str) -> Iterator[tuple[ProcessGroup, str]]:
    """The processes that `torchrun` started this one among, and the device of this one.

    Without torchrun it is alone; "cuda" becomes the GPU that this process is to use.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield SINGLE, device
        return
    if device == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise UsageError(
                f"process {local} of this machine finds {torch.cuda.device_count()} GPUs: "
                "start as many processes as there are (torchrun --nproc-per-node)"
            )
        device = f"cuda:{local}"
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend)
    try:
        yield ProcessGroup(distributed.get_rank(), count), device
    finally:
        distributed.destroy_process_group()
