"""A bidirectional LSTM layer, forward and backward, without autograd: gradients go where the caller says.

`PersistentLayer` runs on Hopper GPUs (our kernels, dasr/cuda/blstm_forward.cu and blstm_backward.cu),
`LibraryLayer` elsewhere (cuDNN or the CPU, through torch.lstm).
Both take time-major rows: x [steps * batch, inputs].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dasr.cuda import kernels
from dasr.torch_private import copy_each

TILE = 64  # sequences that a block of the kernels carries at once


@dataclass(frozen=True)
class Direction:
    """One direction's parameters (or their gradients): ih [4H, inputs], hh [4H, H], biases [2, 4H]."""

    ih: Tensor
    hh: Tensor
    biases: Tensor  # of ih, of hh


class Layer(Protocol):
    """A layer between its forward and its backward pass keeps what the backward pass needs."""

    def forward(
        self, x: Tensor, steps: int, weights: Sequence[Direction], biases: Sequence[Direction]
    ) -> Tensor:
        """x: [steps * batch, inputs] -> [steps * batch, 2H]. `biases`: where to read the biases from
        (float32)."""
        ...

    def backward(self, dy: Tensor, gradients: Sequence[Direction], need_dx: bool) -> Tensor | None:
        """dy: [steps * batch, 2H]. Writes `gradients`; the gradient of x, if needed."""
        ...


def product_into(out: Tensor, a: Tensor, b: Tensor) -> None:
    """out = a @ b, accumulated in float32 whatever the types of `a`, `b` and `out`."""
    if a.dtype == out.dtype:
        torch.mm(a, b, out=out)
    elif not a.is_cuda:
        out.copy_(a.float() @ b.float())
    else:
        torch.ops.aten.mm.dtype_out(a, b, out.dtype, out=out)


def sum_into(out: Tensor, x: Tensor) -> None:
    """out = x.sum(0) in float32, whatever the types. No copy of equal types, which a copy engine would do: in
    the midst of a step it would wait for what that engine sends to other GPUs."""
    if out.dtype == torch.float32:
        torch.sum(x, 0, dtype=torch.float32, out=out)
    else:
        out.copy_(x.sum(0, dtype=torch.float32))


class LibraryLayer:
    """torch.lstm, with autograd inside the layer only."""

    def forward(
        self, x: Tensor, steps: int, weights: Sequence[Direction], biases: Sequence[Direction]
    ) -> Tensor:
        cells = weights[0].hh.shape[1]
        with torch.enable_grad():
            self.x = x.view(steps, -1, x.shape[1]).detach().requires_grad_()
            self.weights = [
                tensor.detach().requires_grad_() for w in weights for tensor in (w.ih, w.hh, *w.biases)
            ]
            zeros = x.new_zeros(2, self.x.shape[1], cells)
            self.y: Tensor
            self.y, _, _ = torch.lstm(self.x, (zeros, zeros), self.weights, True, 1, 0.0, True, True, False)
        return self.y.detach().flatten(0, 1)

    def backward(self, dy: Tensor, gradients: Sequence[Direction], need_dx: bool) -> Tensor | None:
        wanted = [*self.weights, self.x] if need_dx else self.weights
        found = torch.autograd.grad(self.y, wanted, dy.view_as(self.y))
        targets = [tensor for g in gradients for tensor in (g.ih, g.hh, *g.biases)]
        copy_each(targets, list(found[: len(targets)]))
        del self.y
        return found[-1].flatten(0, 1) if need_dx else None


class PersistentLayer:
    """Our kernels. `counters`: zeroed int32 [2, 2 * tiles] at the begin of each step (forward and
    backward)."""

    def __init__(
        self, cells: int, batch: int, device: torch.device, counters: Tensor, team: int | None = None
    ):
        """`team`: threads that carry a tile backward: 256 (a tile at a time) or 128 (two tiles, which hide
        each other's waiting)."""
        index = device.index if device.index is not None else torch.cuda.current_device()
        self.cells, self.batch, self.counters = cells, batch, counters
        self.tiles = -(-batch // TILE)
        blocks = cells // 32
        room = torch.cuda.get_device_properties(device).multi_processor_count // (2 * blocks)
        self.groups = min(room, self.tiles)
        self.blocks = 2 * blocks * self.groups
        self.team = team or (128 if self.tiles > self.groups else 256)
        self.kernel_forward, self.kernel_backward = kernels.recurrence(cells, self.team, index)

    def scratch_elements(self) -> int:
        """bf16 elements through which blocks exchange partial sums in the backward pass."""
        blocks = self.cells // 32
        return 4 * self.groups * (256 // self.team) * blocks * blocks * TILE * 32

    def forward(
        self, x: Tensor, steps: int, weights: Sequence[Direction], biases: Sequence[Direction]
    ) -> Tensor:
        width = 4 * self.cells
        self.x, self.steps, self.weights = x, steps, weights
        self.gates = x.new_empty(x.shape[0], 2, width)
        for direction, w in enumerate(weights):
            torch.mm(x, w.ih.t(), out=self.gates[:, direction])
        self.y = x.new_empty(x.shape[0], 2 * self.cells)
        self.state = torch.empty_like(self.y, dtype=torch.float32)
        recurrent = [w.hh for w in weights]
        bias = [tensor for b in biases for tensor in b.biases]
        sizes = (steps, self.batch, self.groups, self.tiles)
        tensors = (self.gates, *recurrent, *bias, self.y, self.state, self.counters[0])
        self.kernel_forward(self.blocks, *tensors, *sizes)
        return self.y

    def backward(self, dy: Tensor, gradients: Sequence[Direction], need_dx: bool) -> Tensor | None:
        cells, device = self.cells, dy.device
        scratch = dy.new_empty(self.scratch_elements())
        bias = torch.empty(self.groups, 2, 4 * cells, dtype=torch.float32, device=device)
        recurrent = [w.hh for w in self.weights]
        sizes = (self.steps, self.batch, self.groups)
        tensors = (self.gates, *recurrent, dy, self.state, scratch, bias, self.counters[1])
        self.kernel_backward(self.blocks, *tensors, *sizes)
        del scratch, self.state
        d_gates = self.gates.view(self.steps, self.batch, 2, 4 * cells)
        y = self.y.view(self.steps, self.batch, 2, cells)
        dx = None
        for direction, (w, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
            sum_into(gradient.biases, bias[:, direction].unsqueeze(1).expand(-1, 2, -1))  # the same for both
            mine = self.gates[:, direction]
            product_into(gradient.ih, mine.t(), self.x)
            # h of the step before: earlier in time for the first direction, later for the second
            later, earlier = (
                (slice(1, None), slice(None, -1)) if direction == 0 else (slice(None, -1), slice(1, None))
            )
            before = y[earlier, :, direction].flatten(0, 1)
            product_into(gradient.hh, d_gates[later, :, direction].flatten(0, 1).t(), before)
            if need_dx:
                dx = torch.mm(mine, w.ih) if dx is None else dx.addmm_(mine, w.ih)
        del self.gates, self.y, self.x
        return dx


def persistent_possible(cells: int, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether PersistentLayer serves that width, on that device, in that type."""
    fits = cells % 64 == 0 and 64 <= cells <= 512 and dtype == torch.bfloat16
    return fits and kernels.available(device) and torch.cuda.get_device_capability(device) == kernels.HOPPER
