"""The steps of CapturedTask: the BLSTM's own, written out, and that of any other network."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from dasr.config import AugmentConfig
from dasr.criteria import totals
from dasr.cuda.streams import current
from dasr.features.feed import Batch
from dasr.features.utterance_feed import UtteranceBatch, UtteranceFeed
from dasr.models import frontend
from dasr.models.acoustic import AcousticModel
from dasr.models.captured import CapturedNetwork, CapturedPass, Forward, Loss
from dasr.models.fast_blstm import FastBLSTM
from dasr.tasks.augment import augment
from dasr.tasks.utterance_task import scored, total_loss
from dasr.torch_private import copy_each
from dasr.worlds.interface import ALL, Ready

AnyBatch = Batch | UtteranceBatch

WARM_UP = 3  # uncaptured steps first: libraries choose their kernels, Triton and NVRTC compile theirs


class Inputs:
    """The buffers that a step reads its batch from. A GPU fetches a batch from the host on a stream of its
    own, as soon as the one before has been read."""

    def __init__(self, like: AnyBatch, device: torch.device):
        self.tensors = tuple(part.to(device, copy=True) for part in like)
        self.stream: torch.cuda.Stream | None = None
        if device.type == "cuda" and not like[0].is_cuda:
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._read = current().record_event()

    def load(self, batch: AnyBatch) -> None:
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


@dataclass(frozen=True)
class StepOptions:
    """What all steps of a task have in common. `criterion`: "ce" or, on whole utterances, "ctc"; `dtype`: of
    computing; `alone`: no other learner computes on the GPU; `fast`: options of FastBLSTM."""

    model: AcousticModel
    criterion: str
    augmentation: AugmentConfig
    dtype: torch.dtype
    alone: bool
    fast: dict[str, Any]


class Step(Protocol):
    """The gradient of one shape of batch."""

    inputs: Inputs

    def run(self, batch: AnyBatch, ready: Ready) -> Tensor:
        """The loss of the batch that was loaded, [] on the device; `ready(slice of the gradient)` as each
        becomes final. `batch`: the same batch on the host."""
        ...


class Steps(Protocol):
    """All steps of a task that write into one gradient."""

    gradient: Tensor

    def take(self, weights: Tensor, where: slice = ALL) -> None:
        """Copy (a part of) flat float32 `weights`: the next gradient is taken at the copy."""
        ...

    def of(self, batch: AnyBatch) -> Step:
        """The step for batches of this one's shape, captured if it is the first."""
        ...


class FastStep:
    """The step of a BLSTM for its one shape, in parts that are a CUDA graph each: a slice of the gradient is
    final at the end of each part. On a CPU the same parts run uncaptured. Beside other learners on the GPU
    one graph holds all: each costs the host some 30 us."""

    def __init__(self, task: StepOptions, batch: Batch, weights: Tensor, gradient: Tensor):
        self.config, self.augmentation = task.model.config, task.augmentation
        self.gradient = gradient
        self.inputs = Inputs(batch, gradient.device)
        chunks, frames = batch.labels.shape
        # Blocks of a persistent kernel wait for each other: two such kernels can stop each other for ever
        fast = task.fast if task.alone else {"persistent": False, **task.fast}
        self.alone = task.alone
        self.network = FastBLSTM(
            task.model, chunks, frames // self.config.subsampling, gradient, task.dtype, **fast
        )
        self.loss = torch.zeros((), device=gradient.device)
        self.graphs: list[tuple[torch.cuda.CUDAGraph, list[Tensor]]] = []  # each with what it completes
        if gradient.is_cuda:
            self.network.take(weights)
            self._capture()

    def take(self, weights: Tensor, where: slice = ALL) -> None:
        self.network.take(weights, where)

    def of(self, batch: AnyBatch) -> FastStep:
        return self  # a feed of chunks has one shape

    def run(self, batch: AnyBatch, ready: Ready) -> Tensor:
        self.inputs.arrived()
        if not self.graphs:
            for slice_ in self._parts():
                ready(slice_)
        for number, (graph, slices) in enumerate(self.graphs):
            graph.replay()
            if number == 0:  # the forward pass
                self.inputs.were_read()
            for slice_ in slices:
                ready(slice_)
        return self.loss * 1.0  # a copy, but not by a copy engine: see `sum_into`

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
            for count in [1] * (self.config.layers + 1) if self.alone else [self.config.layers + 1]:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                    slices = list(itertools.islice(parts, count))
                self.graphs.append((graph, slices))
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.set_rng_state(random)


class NetworkSteps:
    """The steps of any network: one a shape, which share weights, gradient and memory."""

    def __init__(self, task: StepOptions, weights: Tensor, gradient: Tensor):
        self.augmentation, self.gradient = task.augmentation, gradient
        self.model = copy.deepcopy(task.model).train()
        groups = self.model.network.gradient_groups()
        self.network = CapturedNetwork(self.model, groups, gradient, task.dtype)
        self.network.take(weights)
        self._steps: dict[torch.Size, Step] = {}

    def take(self, weights: Tensor, where: slice = ALL) -> None:
        self.network.take(weights, where)

    def of(self, batch: AnyBatch) -> Step:
        shape = batch.frames.shape
        if shape not in self._steps:
            self._steps[shape] = self._new(batch)
        return self._steps[shape]

    def _new(self, batch: AnyBatch) -> Step:
        raise NotImplementedError


class ChunkSteps(NetworkSteps):
    """Cross-entropy of the tied states on chunks."""

    def _new(self, batch: AnyBatch) -> Step:
        return NetworkStep(self, self._forward, lambda _: mean_cross_entropy, batch)

    def _forward(self, frames: Tensor, mean: Tensor, istd: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        frames = frontend.normalise(frames, mean, istd)
        if self.augmentation:
            frames, labels = augment(frames, labels, self.augmentation)
        return self.model(frames), frontend.middle_labels(labels, self.model.subsampling).long()


def mean_cross_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Divided by the outputs of the batch, counted or not, so that the mean of the learners' gradients is the
    gradient of their batches taken together; and, to report, by those that count."""
    total = totals.cross_entropy(logits, targets)
    return total / targets.numel(), total / (targets >= 0).sum().clamp_min(1)


class UtteranceSteps(NetworkSteps):
    """Cross-entropy or CTC on whole utterances. All padded lengths are captured at once, the longest first:
    what it leaves of the shared memory holds the others, and none is captured in the midst of training."""

    def __init__(self, task: StepOptions, feed: UtteranceFeed, weights: Tensor, gradient: Tensor):
        super().__init__(task, weights, gradient)
        self.criterion, self.normaliser = task.criterion, feed.normaliser
        for frames in reversed(feed.plan.frames):
            self.of(feed.blank(frames))

    def _new(self, batch: AnyBatch) -> Step:
        return NetworkStep(self, self._forward, self._loss, batch)

    def _forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        batch = UtteranceBatch(*inputs)
        return scored(self.model, self.augmentation, batch), batch.targets

    def _loss(self, batch: AnyBatch) -> Loss:
        assert isinstance(batch, UtteranceBatch)

        def loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            total = total_loss(self.criterion, self.model, batch, logits, targets) / self.normaliser
            return total, total

        return loss


class NetworkStep:
    """The step for one shape."""

    def __init__(
        self, steps: NetworkSteps, forward: Forward, loss_of: Callable[[AnyBatch], Loss], batch: AnyBatch
    ):
        """`loss_of`: the loss of a batch that is on the host."""
        self.loss_of = loss_of
        self.inputs = Inputs(batch, steps.gradient.device)
        self.captured = CapturedPass(steps.network, forward, self.inputs.tensors)

    def run(self, batch: AnyBatch, ready: Ready) -> Tensor:
        self.inputs.arrived()
        return self.captured.run(self.loss_of(batch), ready, self.inputs.were_read)


def steps_of(task: StepOptions, feed: Any, batch: AnyBatch, weights: Tensor, gradient: Tensor) -> Steps:
    """The steps of the task's model on the batches of `feed`; `batch`: the first one."""
    if isinstance(feed, UtteranceFeed):
        return UtteranceSteps(task, feed, weights, gradient)
    if task.model.network.fast_step:
        assert isinstance(batch, Batch)
        return FastStep(task, batch, weights, gradient)
    return ChunkSteps(task, weights, gradient)
