"""Several processes that train as one, started by ``torchrun``; in a single process, every function here does nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_f
from torch import Tensor, nn

from handviz.errors import HandvizError
from training.data.sample import WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process's place among all: rank, count, and its rank on this machine (which selects its GPU)."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0


@contextmanager
def join_world(device_type: str) -> Iterator[World]:
    """Join the processes torchrun started (NCCL on GPUs, gloo on CPUs), or run alone.

    Raises HandvizError where there are more processes on this machine than GPUs.
    """
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if device_type == "cuda":
        gpus = torch.cuda.device_count()
        if local_rank >= gpus:
            raise HandvizError(
                f"process {local_rank + 1} on this machine has no GPU of its own (GPUs: {gpus}). Start one process per GPU."
            )
        # Otherwise, whatever names no GPU would go to the first one.
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
    try:
        yield World(rank=dist.get_rank(), size=dist.get_world_size(), local_rank=local_rank)
    finally:
        dist.destroy_process_group()


def my_rows(size: int, world: World) -> slice:
    """Return this process's rows of a global batch; all parts are equally large. Raises HandvizError where they cannot be."""
    if world.size == 1:
        return WHOLE
    if size % world.size:
        raise HandvizError(f"a batch of {size} cannot be shared equally by {world.size} processes. Make it a multiple.")
    return slice(world.rank, None, world.size)


def largest(value: float, world: World, device: torch.device) -> float:
    """Return the largest value among processes, so that all see the same clock."""
    if world.size == 1:
        return value
    vote = torch.tensor(value, device=device)
    dist.all_reduce(vote, dist.ReduceOp.MAX)
    return float(vote)


def anyone(flag: bool, world: World, device: torch.device) -> bool:
    """Say whether the flag is set in any process, so that all stop at the same step."""
    return largest(float(flag), world, device) > 0


def average_gradients(parameters: Iterator[nn.Parameter], world: World) -> None:
    """Replace each gradient by the mean over processes, in one message."""
    if world.size == 1:
        return
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= world.size
    for g, mean in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        g.copy_(mean.view_as(g))


class SharedNorm(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, on CPUs as well (torch's own needs a GPU)."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the normalised input; running statistics move as one process's would at the global batch."""
        if not self.training:
            return super().forward(x_BCHW)
        x = x_BCHW.float()
        moments = torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])
        mean, square = dist_f.all_reduce(moments) / dist.get_world_size()
        var = (square - mean.square()).clamp_min(0)
        self._remember(mean.detach(), var.detach(), x[:, 0].numel() * dist.get_world_size())
        scale = self.weight * torch.rsqrt(var + self.eps)
        return (x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]).to(x_BCHW.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * count / max(count - 1, 1), self.momentum)
        self.num_batches_tracked.add_(1)


def share_norms(network: nn.Module) -> None:
    """Make every batch norm of the network normalise over all processes; names and values of its tensors stay."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedNorm
