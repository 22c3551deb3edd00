"""A learner's own random numbers, whoever else draws in its process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType

import torch
from torch import Tensor


class OwnRandomness:
    """A context in which torch draws from this learner's generator. `state`: for checkpoints."""

    def __init__(self, device: torch.device, seed: int):
        self.device = device
        self.state: Tensor = torch.Generator(device=device).manual_seed(seed).get_state()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> None:
        on_gpu = self.device.type == "cuda"
        self._stack.enter_context(torch.random.fork_rng(devices=[self.device] if on_gpu else []))
        if on_gpu:
            torch.cuda.set_rng_state(self.state, self.device)
        else:
            torch.set_rng_state(self.state)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        on_gpu = self.device.type == "cuda"
        self.state = torch.cuda.get_rng_state(self.device) if on_gpu else torch.get_rng_state()
        self._stack.close()


class GraphRandomness:
    """A generator for what a learner's CUDA graphs draw, so that another learner's graphs may run at the same
    time: a replay sets the seed and the offset of the generator that was the device's at the capture."""

    def __init__(self, device: torch.device, seed: int):
        self.generator = torch.Generator(device)
        self.generator.manual_seed(seed)
        self._mine = self.generator.graphsafe_get_state()
        self._of_device = torch.cuda.default_generators[self.generator.device.index]

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """It is the device's generator inside."""
        before = self._of_device.graphsafe_get_state()
        self._of_device.graphsafe_set_state(self._mine)
        try:
            yield
        finally:
            self._mine = self._of_device.graphsafe_get_state()  # another one after a capture that failed
            self.generator.graphsafe_set_state(self._mine)
            self._of_device.graphsafe_set_state(before)
