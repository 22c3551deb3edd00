"""The acoustic model on a GPU: the gradient in CUDA graphs; the next batch is transferred while they run.

The step is captured in parts, one graph for each slice of the gradient that becomes final (output layers,
then every LSTM layer from the
last to the first), so that an all-reduce of a slice starts while the parts behind it still run. On a CPU
the same parts run
uncaptured, in float32.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from dasr.config import AugmentConfig
from dasr.cuda.streams import current
from dasr.features.feed import Batch
from dasr.models import frontend
from dasr.models.acoustic import AcousticModel
from dasr.models.fast_blstm import FastBLSTM
from dasr.tasks.augment import augment
from dasr.torch_private import copy_each
from dasr.worlds.interface import ALL, Ready

# Steps that the host may be ahead of the GPU: enough to keep it busy, few enough that clocks and claims are
# true
IN_FLIGHT = 2
WARM_UP = 3  # uncaptured steps first: libraries choose their kernels, Triton and NVRTC compile theirs


class Batches(Protocol):
    """Where batches come from: a Feed, as a rule."""

    batch: int

    def next(self) -> Batch: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class CapturedTask:
    """Cross-entropy of the tied states on chunks of frames; a drop-in for AutogradTask (same data order, same
    initial weights)."""

    def __init__(
        self,
        model: AcousticModel,
        feed: Batches,
        seed: int,
        rank: int = 0,
        device: str = "cuda",
        augmentation: AugmentConfig | None = None,
        *,
        dtype: torch.dtype | None = None,
        gradient_dtype: torch.dtype = torch.float32,
        **options: Any,
    ):
        """`feed`: this learner's, with the model's margin as context; `dtype`: of computing (default:
        bfloat16 on a GPU); `gradient_dtype`: float32, or that of computing; `options`: FastBLSTM's."""
        model.initialise(seed)
        self.model, self.feed = model, feed
        self.device = torch.device(device)
        if self.device == torch.device("cuda"):
            self.device = torch.device("cuda", torch.cuda.current_device())
        self.dtype = dtype or (torch.bfloat16 if self.device.type == "cuda" else torch.float32)
        self.gradient_dtype = gradient_dtype
        self.augmentation = augmentation or AugmentConfig()
        self.options = options
        self._initial = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
        self.num_parameters = self._initial.numel()
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            torch.cuda.manual_seed(seed * 100_003 + rank)
        self._step: _Step | None = None
        self._staged: _Staged | None = None
        self._in_flight: deque[torch.cuda.Event] = deque()
        self._position = feed.state_dict()  # after the last batch that was computed, not the last one fetched

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [tuple(parameter.shape) for parameter in self.model.parameters()]

    def initial(self) -> Tensor:
        return self._initial.to(self.device, torch.float32, copy=True)

    def load_weights(self, weights: Tensor, gradient: Tensor, where: slice = ALL) -> None:
        """Copy the weights at which the next gradient is wanted; they may change as soon as this returns
        (on this stream)."""
        self._prepare(weights, gradient).network.take(weights, where)

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> Tensor | float:
        """As in Task; `weights` are not read again after load_weights()."""
        step = self._prepare(weights, gradient)
        staged = self._staged or self._stage(step)
        self._staged = None
        self._position = staged.position
        if len(self._in_flight) == IN_FLIGHT:
            self._in_flight.popleft().synchronize()
        for slice_ in step.run():
            ready(slice_)
        if self.device.type == "cuda":
            self._in_flight.append(current().record_event())
            self._staged = self._stage(step)  # the graphs are under way: send the next batch meanwhile
            return step.loss * 1.0  # a copy, but not by a copy engine: see `sum_into`
        return float(step.loss)

    def finish(self, weights: Tensor) -> AcousticModel:
        """The model with these weights, for saving and decoding."""
        begin = 0
        for parameter in self.model.parameters():
            parameter.data = weights[begin : begin + parameter.numel()].view(parameter.shape).clone()
            begin += parameter.numel()
        return self.model

    def describe_batch(self) -> str:
        last, epoch = self._position["position"], self._position["epoch"]
        return f"of chunks {last - self.feed.batch} to {last - 1} of epoch {epoch} of its share"

    def state_dict(self) -> dict[str, Any]:
        random = (
            torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else torch.get_rng_state()
        )
        return {"feed": dict(self._position), "random": random}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._staged = None
        self.feed.load_state_dict(state["feed"])
        self._position = self.feed.state_dict()
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random"], self.device)
        else:
            torch.set_rng_state(state["random"])

    def _prepare(self, weights: Tensor, gradient: Tensor) -> _Step:
        if self._step is None or self._step.network.gradient is not gradient:
            staged = self._staged or self._fetch()
            self._step = _Step(self, staged.batch, weights, gradient)
            self._staged = staged  # it is in the inputs
        return self._step

    def _fetch(self) -> _Staged:
        return _Staged(self.feed.next(), self.feed.state_dict())

    def _stage(self, step: _Step) -> _Staged:
        staged = self._fetch()
        step.inputs.load(staged.batch)
        return staged


@dataclass(frozen=True)
class _Staged:
    """A batch in the inputs of the next step, or on its way there."""

    batch: Batch  # keeps the pinned memory until the batch is used
    position: dict[str, Any]


class _Inputs:
    """The buffers that a step reads its batch from. On a GPU the next batch comes straight from the host, on
    a stream of its own, as soon as this one has been read."""

    def __init__(self, like: Batch, device: torch.device):
        self.tensors = tuple(part.to(device, copy=True) for part in like)
        self.stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._read = current().record_event()

    def load(self, batch: Batch) -> None:
        if self.stream is None:
            copy_each(list(self.tensors), list(batch))
            return
        self.stream.wait_event(self._read)
        with torch.cuda.stream(self.stream):
            for place, part in zip(self.tensors, batch, strict=True):
                place.copy_(part, non_blocking=True)

    def arrived(self) -> None:
        """The current stream waits for the batch."""
        if self.stream is not None:
            current().wait_stream(self.stream)

    def were_read(self) -> None:
        if self.stream is not None:
            self._read.record(current())


class _Step:
    """One batch shape and one gradient buffer: buffers for the inputs, and the parts of the step, captured
    on a GPU."""

    def __init__(self, task: CapturedTask, batch: Batch, weights: Tensor, gradient: Tensor):
        self.config, self.augmentation = task.model.config, task.augmentation
        self.inputs = _Inputs(batch, task.device)
        chunks, frames = batch.labels.shape
        self.network = FastBLSTM(
            task.model, chunks, frames // self.config.subsampling, gradient, task.dtype, **task.options
        )
        self.loss = torch.zeros((), device=task.device)
        self.graphs: list[tuple[torch.cuda.CUDAGraph, Tensor]] = []
        if task.device.type == "cuda":
            self.network.take(weights)
            self._capture()

    def run(self) -> Iterator[Tensor]:
        """Slices of the gradient, each as soon as its part of the step is done (on a GPU: under way on this
        stream)."""
        self.inputs.arrived()
        if not self.graphs:
            yield from self._parts()
        for number, (graph, slice_) in enumerate(self.graphs):
            graph.replay()
            if number == 0:  # the forward pass
                self.inputs.were_read()
            yield slice_

    @torch.no_grad()
    def _parts(self) -> Iterator[Tensor]:
        frames, mean, istd, labels = self.inputs.tensors
        frames = frontend.normalise(frames, mean, istd)
        if self.augmentation:
            frames, labels = augment(frames, labels, self.augmentation)
        targets = frontend.middle_labels(labels, self.config.subsampling)
        inputs = frontend.inputs(frames, self.config, self.config.subsampling)
        first = True
        for slice_, total in self.network.run(inputs, targets):
            if first:
                torch.div(total, (targets >= 0).sum().clamp_min(1), out=self.loss)
                first = False
            yield slice_

    def _capture(self) -> None:
        random = torch.cuda.get_rng_state()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                for _ in self._parts():
                    pass
            torch.cuda.synchronize()
            torch.cuda.empty_cache()  # what warming up took is the graphs' now
            parts = self._parts()
            pool = torch.cuda.graph_pool_handle()
            for _ in range(self.config.layers + 1):
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                    slice_ = next(parts)
                self.graphs.append((graph, slice_))
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.set_rng_state(random)
