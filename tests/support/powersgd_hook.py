"""PyTorch's PowerSGD hook on two processes: the weights before each step, and the first Q of each matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

LEARNERS, STEPS, START, RATE, SEED = 2, 12, 3, 0.05, 0


def model() -> nn.Module:
    """Two matrices that rank 1 makes less than half as large, one that it does not, and their biases."""
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 2)).double()


def loss(of: nn.Module, rank: int, step: int) -> torch.Tensor:
    draw = np.random.default_rng([rank, step])
    inputs, targets = torch.from_numpy(draw.normal(size=(5, 8))), torch.from_numpy(draw.normal(size=(5, 2)))
    outputs: torch.Tensor = of(inputs)
    return (outputs - targets).square().mean()


def flat(of: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in of.parameters()])


def learner(rank: int, folder: str) -> None:
    """One process; rank 0 leaves the weights and the first Q in `folder`."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=LEARNERS)
    network = model()
    data_parallel = DistributedDataParallel(network)
    state = powerSGD_hook.PowerSGDState(None, 1, START, random_seed=SEED)
    orders: list[list[torch.Size]] = []

    def hook(state, bucket):  # type: ignore[no-untyped-def]  # PyTorch reads the annotations
        orders.append([gradient.shape for gradient in bucket.gradients()])
        return powerSGD_hook.powerSGD_hook(state, bucket)

    data_parallel.register_comm_hook(state, hook)
    optimizer = torch.optim.SGD(network.parameters(), RATE)
    weights = []
    for step in range(STEPS):
        weights.append(flat(network))
        optimizer.zero_grad()
        loss(data_parallel, rank, step).backward()
        optimizer.step()
    weights.append(flat(network))
    if rank == 0:
        torch.save((torch.stack(weights), _first_queries(orders[-1])), Path(folder) / "found.pt")
    dist.destroy_process_group()


def _first_queries(order: list[torch.Size]) -> dict[int, torch.Tensor]:
    """The random Q that the hook begins with, by their columns: it draws them in the bucket's order."""
    torch.manual_seed(int(np.random.RandomState(SEED).randint(1_000_000_000)))
    wide = [shape for shape in order if len(shape) == 2 and sum(shape) * 2 < shape.numel()]
    return {shape[1]: torch.randn(shape[1], 1, dtype=torch.float64) for shape in wide}
