"""The acoustic model on a GPU: the gradient in CUDA graphs; the next batch is transferred while they run.

Slices of the gradient are announced as they become final (output layers first), so that an all-reduce of one
starts while those before it are still computed. On a CPU the same steps run uncaptured, in float32.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from dasr.config import AugmentConfig
from dasr.cuda.streams import current
from dasr.models.acoustic import AcousticModel
from dasr.tasks.captured_steps import AnyBatch, Step, StepOptions, Steps, steps_of
from dasr.tasks.own_randomness import GraphRandomness
from dasr.worlds.interface import ALL, Ready

# Steps that the host may be ahead of the GPU: enough to keep it busy, few enough that clocks and claims are
# true
IN_FLIGHT = 2


class Batches(Protocol):
    """Where batches come from: a Feed or an UtteranceFeed, as a rule."""

    batch: int

    def next(self) -> AnyBatch: ...
    def describe(self) -> object: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class CapturedTask:
    """What AutogradTask does on chunks and UtteranceTask on whole utterances: the same data, the same order,
    the same initial weights."""

    def __init__(
        self,
        model: AcousticModel,
        feed: Batches,
        seed: int,
        rank: int = 0,
        device: str = "cuda",
        augmentation: AugmentConfig | None = None,
        *,
        criterion: str = "ce",
        dtype: torch.dtype | None = None,
        gradient_dtype: torch.dtype = torch.float32,
        alone: bool = True,
        **options: Any,
    ):
        """`feed`: this learner's, with the model's margin as context; `dtype`: of computing (default:
        bfloat16 on a GPU); `gradient_dtype`: float32, or that of computing; `alone`: no other learner
        computes on that GPU; `options`: FastBLSTM's."""
        model.initialise(seed)
        self.model, self.feed = model, feed
        self.device = torch.device(device)
        if self.device == torch.device("cuda"):
            self.device = torch.device("cuda", torch.cuda.current_device())
        dtype = dtype or (torch.bfloat16 if self.device.type == "cuda" else torch.float32)
        self.gradient_dtype = gradient_dtype
        self.options = StepOptions(model, criterion, augmentation or AugmentConfig(), dtype, alone, options)
        self._initial = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
        self.num_parameters = self._initial.numel()
        self._randomness: GraphRandomness | None = None
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            self._randomness = GraphRandomness(self.device, seed * 100_003 + rank)
        self._steps: Steps | None = None
        self._staged: _Staged | None = None
        self._in_flight: deque[torch.cuda.Event] = deque()
        self._described: object = ""
        self._position = feed.state_dict()  # after the last batch that was computed, not the last one fetched

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [tuple(parameter.shape) for parameter in self.model.parameters()]

    def initial(self) -> Tensor:
        return self._initial.to(self.device, torch.float32, copy=True)

    def load_weights(self, weights: Tensor, gradient: Tensor, where: slice = ALL) -> None:
        """Copy the weights at which the next gradient is wanted; they may change as soon as this returns
        (on this stream)."""
        with self._drawing():
            self._prepare(weights, gradient).take(weights, where)

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> Tensor | float:
        """As in Task; `weights` are not read again after load_weights()."""
        steps = self._prepare(weights, gradient)
        staged = self._staged or self._stage(steps)
        self._staged = None
        self._position, self._described = staged.position, staged.described
        if len(self._in_flight) == IN_FLIGHT:
            self._in_flight.popleft().synchronize()
        with self._drawing():
            loss = staged.step.run(staged.batch, ready)
        if self.device.type == "cuda":
            self._in_flight.append(current().record_event())
            self._staged = self._stage(steps)  # the graphs are under way: send the next batch meanwhile
            return loss
        return float(loss)

    def finish(self, weights: Tensor) -> AcousticModel:
        """The model with these weights, for saving and decoding."""
        begin = 0
        for parameter in self.model.parameters():
            parameter.data = weights[begin : begin + parameter.numel()].view(parameter.shape).clone()
            begin += parameter.numel()
        return self.model

    def describe_batch(self) -> object:
        return self._described

    def state_dict(self) -> dict[str, Any]:
        own = self._randomness
        random = torch.get_rng_state() if own is None else own.generator.get_state()
        return {"feed": dict(self._position), "random": random}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._staged = None
        self.feed.load_state_dict(state["feed"])
        self._position = self.feed.state_dict()
        if self._randomness is not None:
            self._randomness.generator.set_state(state["random"])
        else:
            torch.set_rng_state(state["random"])

    def _drawing(self) -> contextlib.AbstractContextManager[None]:
        """What draws random numbers inside draws this learner's."""
        return contextlib.nullcontext() if self._randomness is None else self._randomness()

    def _prepare(self, weights: Tensor, gradient: Tensor) -> Steps:
        if self._steps is None or self._steps.gradient is not gradient:
            batch = self.feed.next() if self._staged is None else self._staged.batch
            self._steps = steps_of(self.options, self.feed, batch, weights, gradient)
            self._staged = self._loaded(self._steps, batch)
        return self._steps

    def _stage(self, steps: Steps) -> _Staged:
        return self._loaded(steps, self.feed.next())

    def _loaded(self, steps: Steps, batch: AnyBatch) -> _Staged:
        step = steps.of(batch)
        step.inputs.load(batch)
        return _Staged(batch, self.feed.state_dict(), self.feed.describe(), step)


class _Staged(NamedTuple):
    """A batch in the inputs of its step, or on its way there."""

    batch: AnyBatch  # keeps the pinned memory until the batch is used
    position: dict[str, Any]
    described: object
    step: Step
