"""Forward and backward pass of any network on a GPU as CUDA graphs, in a compute type of its own.

float32 weights are cast once a step into a flat copy of the compute type, which the network's parameters
are views of. Each shape of the inputs has two graphs: the forward pass, and the backward pass from the
gradient of its outputs. The loss runs between them, uncaptured, because a CTC loss wants its lengths on the
host. As the gradient of a group of parameters becomes final, the backward graph records an event, so that
the group can be sent while the rest is still being computed. All shapes share one pool of memory.

On a CPU, and where a network cannot be captured, the same passes run as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dasr.cuda.streams import Streams, current
from dasr.models.flat import FlatModule
from dasr.worlds.interface import ALL, Ready

logger = logging.getLogger(__name__)

WARM_UP = 3  # uncaptured passes first: libraries choose their kernels

Forward = Callable[..., tuple[Tensor, ...]]
"""From the buffers of a pass to the network's outputs, and what else the loss needs; it keeps no reference
to the buffers."""
Loss = Callable[..., tuple[Tensor, Tensor]]
"""From float32 outputs, and what else the forward pass gave, to the scalar that is differentiated and the
one that is reported."""


class CapturedNetwork:
    """A network's flat weights in the compute type, its flat gradient, and what its passes share."""

    def __init__(
        self,
        module: nn.Module,
        groups: Sequence[Sequence[nn.Parameter]],
        gradient: Tensor,
        dtype: torch.dtype,
    ):
        """`module` is converted in place; `groups`: of its parameters, in their order, announced together;
        `gradient`: flat, float32 or `dtype`, on the device of computing."""
        self.gradient = gradient
        self.on_gpu = gradient.is_cuda
        self.side = Streams()
        self.stream: torch.cuda.Stream | None = None
        self.capturable = self.on_gpu  # until a shape shows that it is not
        if self.on_gpu:
            self.stream = torch.cuda.Stream(gradient.device)  # type: ignore[no-untyped-call]
            self.pool = torch.cuda.graph_pool_handle()
        with torch.cuda.stream(self.stream):  # gradients are accumulated on the stream that is current here
            self.flat = FlatModule(module.to(gradient.device, dtype), groups)
        self.computed = gradient if gradient.dtype == dtype else torch.zeros_like(self.flat.weights)
        self.flat.point_gradients_at(self.computed)

    def take(self, weights: Tensor, where: slice = ALL) -> None:
        """Copy (a part of) flat float32 `weights` into the compute type."""
        self.flat.weights[where].copy_(weights[where])

    def backward(self, outputs: Tensor, of_outputs: Tensor, ready: Ready) -> None:
        """Backward pass into the gradient; `ready(slice of it)` as each group becomes final."""

        def final(computed: Tensor) -> None:
            begin = int(computed.storage_offset() - self.computed.storage_offset())
            part = self.gradient[begin : begin + computed.numel()]
            if self.gradient is not self.computed:
                part.copy_(computed)
            ready(part)

        self.flat.backward(outputs, final, of_outputs)
        if self.stream is not None and not torch.cuda.is_current_stream_capturing():
            current().wait_stream(self.stream)


class CapturedPass:
    """Forward and backward pass for one shape of the inputs."""

    def __init__(self, network: CapturedNetwork, forward: Forward, inputs: tuple[Tensor, ...]):
        """`inputs`: the buffers that every run reads, filled once with values that can be computed with."""
        self.network, self.forward, self.inputs = network, forward, inputs
        self._graphs: tuple[torch.cuda.CUDAGraph, torch.cuda.CUDAGraph] | None = None
        self._outputs: tuple[Tensor, ...] = ()
        self._of_outputs = torch.empty(0)
        self._final: list[tuple[Tensor, torch.cuda.Event]] = []
        if network.stream is not None and network.capturable:
            try:
                self._capture(network.stream)
            except RuntimeError as error:
                network.capturable = False
                reason = str(error).splitlines()[0]
                logger.warning(f"steps run eagerly: the network cannot be a CUDA graph ({reason})")

    def run(self, loss: Loss, ready: Ready, were_read: Callable[[], None] = lambda: None) -> Tensor:
        """The loss of the inputs, and its gradient, of which each slice is announced as it becomes final (on
        a GPU: on a stream that has waited for it). `were_read` is called when the inputs may change."""
        if self._graphs is None or not self.network.capturable:
            outputs, *others = self.forward(*self.inputs)
            value, of_outputs = _of_loss(loss, outputs, others)
            self.network.backward(outputs, of_outputs, ready)
            were_read()
            return value
        forward, backward = self._graphs
        forward.replay()
        were_read()
        outputs, *others = self._outputs
        value, of_outputs = _of_loss(loss, outputs, others)
        self._of_outputs.copy_(of_outputs)
        backward.replay()
        with self.network.side("final gradients", outputs.device, after=False):
            for part, event in self._final:
                current().wait_event(event)
                ready(part)
            end = current().record_event()
        current().wait_event(end)
        return value

    def _capture(self, stream: torch.cuda.Stream) -> None:
        network, device = self.network, self.network.gradient.device
        random = torch.cuda.get_rng_state(device)
        generator = torch.cuda.default_generators[torch.device(device).index]
        stream.wait_stream(torch.cuda.current_stream(device))
        forward, backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    outputs = self.forward(*self.inputs)
                    network.backward(outputs[0], torch.zeros_like(outputs[0]), lambda part: None)
                del outputs
                torch.cuda.synchronize(device)
                torch.cuda.empty_cache()  # what warming up took is the graphs' pool's now
                with self._captured(forward, stream):
                    outputs = self.forward(*self.inputs)
                self._of_outputs = torch.zeros_like(outputs[0])
                with self._captured(backward, stream):
                    network.backward(outputs[0], self._of_outputs, self._record)
        except RuntimeError:
            # The state of the generator takes itself for one of a capture for ever: it gets a new one
            generator.graphsafe_set_state(torch.Generator(device).graphsafe_get_state())
            raise
        finally:
            torch.cuda.current_stream(device).wait_stream(stream)
            torch.cuda.set_rng_state(random, device)
        self._outputs = tuple(output.detach() for output in outputs)
        self._graphs = forward, backward

    def _captured(self, graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream) -> Any:
        """A context: what is launched in it goes into the graph."""
        pool = self.network.pool
        return torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local")

    def _record(self, part: Tensor) -> None:
        """Called while the backward graph is captured: it records an event that others can wait for."""
        event = torch.cuda.Event(external=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(part.device))
        self._final.append((part, event))


def _of_loss(loss: Loss, outputs: Tensor, others: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The loss that is reported, and the gradient with respect to the outputs."""
    leaf = outputs.detach().float().requires_grad_()
    differentiated, reported = loss(leaf, *others)
    (of_outputs,) = torch.autograd.grad(differentiated, leaf)
    return reported.detach(), of_outputs.to(outputs.dtype)
