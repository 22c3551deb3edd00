"""The paper's network with forward and backward pass written out on flat buffers, in parts: after each part a
slice of the gradient is final.

float32 weights are cast once a step into a flat copy of the compute type; each gradient is written once into
its place in the flat gradient. The order of parameters is that of `AcousticModel.parameters()`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from dasr.models.acoustic import AcousticModel
from dasr.models.fast_head import CHUNK_ROWS, linear_cross_entropy
from dasr.models.fast_recurrence import (
    TILE,
    Direction,
    Layer,
    LibraryLayer,
    PersistentLayer,
    persistent_possible,
    product_into,
    sum_into,
)
from dasr.torch_private import copy_each

ALL = slice(None)


class FastBLSTM:
    """Computes the gradient of one batch shape. `run` is a sequence of parts; a CUDA graph may hold each of
    them."""

    def __init__(
        self,
        model: AcousticModel,
        batch: int,
        steps: int,
        gradient: Tensor,
        dtype: torch.dtype,
        *,
        persistent: bool | None = None,
        chunk_rows: int = CHUNK_ROWS,
        team: int | None = None,
    ):
        """`model`: its shapes only; `gradient`: flat, float32 or `dtype`, the type of computing;
        `persistent`: None where possible."""
        self.config, self.batch, self.steps, self.gradient = model.config, batch, steps, gradient
        self.chunk_rows = chunk_rows
        self.device = gradient.device
        self.copy = torch.empty_like(gradient, dtype=dtype)  # of the weights, in the compute type
        biases = 16 * model.config.cells * model.config.layers
        self.biases = torch.empty(biases, dtype=torch.float32, device=self.device)
        self.network_inputs = model.config.inputs(model.feature_dim)
        self.padded_inputs = -(-self.network_inputs // 8) * 8  # rows of 16 bytes: what matrix units read
        self._places: dict[str, tuple[int, torch.Size]] = {}
        begin = 0
        for name, parameter in model.network.named_parameters():
            self._places[name] = (begin, parameter.shape)
            begin += parameter.numel()
        # Lengths of stretches of the flat weights: the LSTM's biases are every second one
        runs = itertools.groupby(self._places.items(), lambda place: place[0].startswith("lstm.bias"))
        self._cuts = [sum(shape.numel() for _, (_, shape) in run) for _, run in runs]
        self._bias_parts = torch.split(self.biases, self._cuts[1::2])
        self._taken: tuple[Tensor, tuple[Tensor, ...]] | None = None  # weights, and their biases of the LSTM
        if persistent is None:
            persistent = persistent_possible(model.config.cells, self.device, dtype)
        tiles = -(-batch // TILE)
        self._counters = torch.zeros(model.config.layers, 2, 2 * tiles, dtype=torch.int32, device=self.device)
        self.layers: list[Layer] = [
            PersistentLayer(model.config.cells, batch, self.device, self._counters[layer], team)
            if persistent
            else LibraryLayer()
            for layer in range(model.config.layers)
        ]

    def take(self, weights: Tensor, where: slice = ALL) -> None:
        """Copy (a part of) flat float32 `weights`, in the compute type, and the biases of the LSTM as they
        are."""
        self.copy[where].copy_(weights[where])
        if self._taken is None or self._taken[0].data_ptr() != weights.data_ptr():
            self._taken = weights, torch.split(weights, self._cuts)[1::2]  # 50 views: made once
        copy_each(self._bias_parts, self._taken[1])

    def run(self, frames: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """frames: [batch, steps, inputs]; labels: int32 [batch, steps]. At each part's end yields (slice of
        the gradient
        that is final, sum of the losses), last layers first."""
        self._counters.zero_()
        rows = self.steps * self.batch
        x = self.copy.new_zeros(rows, self.padded_inputs)
        x.view(self.steps, self.batch, -1)[:, :, : self.network_inputs].copy_(frames.transpose(0, 1))
        masks: list[Tensor | None] = []
        first = [self._padded(w) for w in self._directions(self.copy, 0)]
        for number, layer in enumerate(self.layers):
            weights = self._directions(self.copy, number) if number else first
            x = layer.forward(x, self.steps, weights, self._float_biases(number))
            mask = None
            if self.config.dropout:
                x, mask = torch.native_dropout(x, self.config.dropout, True)
            masks.append(mask)
        dy, loss = self._outputs(x, labels.t().reshape(-1))
        del x
        cut = self._places["bottleneck.weight"][0]
        yield self.gradient[cut:], loss
        for number in reversed(range(len(self.layers))):
            mask = masks.pop()
            if mask is not None:
                dy = torch.ops.aten.native_dropout_backward(dy, mask, 1 / (1 - self.config.dropout))
            gradients = self._directions(self.gradient, number)
            into = gradients if number else [self._padded(g) for g in gradients]
            dx = self.layers[number].backward(dy, into, need_dx=number > 0)
            if number == 0 and self.padded_inputs != self.network_inputs:
                for padded, place in zip(into, gradients, strict=True):
                    place.ih.copy_(padded.ih[:, : self.network_inputs])
            dy = dx if dx is not None else dy
            begin = self._places[f"lstm.weight_ih_l{number}"][0]
            yield self.gradient[begin:cut], loss
            cut = begin

    def _outputs(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Bottleneck, softmax and back: (gradient of x, sum of the losses)."""
        narrow, wide = self._view(self.copy, "bottleneck.weight"), self._view(self.copy, "output.weight")
        z = functional.linear(x, narrow, self._view(self.copy, "bottleneck.bias"))
        d_wide = self._view(self.gradient, "output.weight")
        loss, dz = linear_cross_entropy(
            z,
            wide,
            self._view(self.copy, "output.bias"),
            labels,
            1 / labels.numel(),
            d_wide,
            self._view(self.gradient, "output.bias"),
            self.chunk_rows,
        )
        product_into(self._view(self.gradient, "bottleneck.weight"), dz.t(), x)
        sum_into(self._view(self.gradient, "bottleneck.bias"), dz)
        return dz @ narrow, loss

    def _view(self, flat: Tensor, name: str) -> Tensor:
        begin, shape = self._places[name]
        return flat[begin : begin + shape.numel()].view(shape)

    def _directions(self, flat: Tensor, layer: int) -> list[Direction]:
        directions = []
        for end in ("", "_reverse"):
            ih, hh = (self._view(flat, f"lstm.weight_{kind}_l{layer}{end}") for kind in ("ih", "hh"))
            begin, _ = self._places[f"lstm.bias_ih_l{layer}{end}"]  # that of hh comes next
            directions.append(Direction(ih, hh, self._pair_of_biases(flat[begin:])))
        return directions

    def _float_biases(self, layer: int) -> list[Direction]:
        """They lie in the order of layers, and of directions in each."""
        width, empty = 8 * self.config.cells, self.biases[:0]
        begins = [(2 * layer + direction) * width for direction in (0, 1)]
        return [Direction(empty, empty, self._pair_of_biases(self.biases[begin:])) for begin in begins]

    def _pair_of_biases(self, flat: Tensor) -> Tensor:
        return flat[: 8 * self.config.cells].view(2, 4 * self.config.cells)

    def _padded(self, d: Direction) -> Direction:
        """The same with zero columns added to the input weights, where rows are not a multiple of 16
        bytes."""
        if self.padded_inputs == self.network_inputs:
            return d
        padded = functional.pad(d.ih, (0, self.padded_inputs - self.network_inputs))
        return Direction(padded, d.hh, d.biases)
