"""A learner's flat weights, which several of its activities read and change, each of them alone.

On a GPU a pass over the weights is what a change costs. So a copy that is only read is the old weights
themselves (the next change goes elsewhere), and what is to be added can wait for the pass of an update.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dasr.strategies.strategy import Terms
from dasr.training.combine import combine_
from dasr.worlds.sized import Sized


class Weights:
    """`(Alone.)`: for who is alone() already."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        self._lock = threading.Lock()
        self._touched = torch.cuda.Event() if tensor.is_cuda else None  # type: ignore[no-untyped-call]
        self._lendable = not isinstance(tensor, Sized)  # a timing-only simulation's never change
        self._lent = False
        self._soon: Terms = ()

    def alone(self) -> contextlib.AbstractContextManager[Any]:
        """No other thread touches them meanwhile, nor what others have put on a GPU's streams. What was to
        be added soon is not there yet."""
        return self._lock if self._touched is None else self._in_order(self._touched)

    @contextlib.contextmanager
    def _in_order(self, touched: torch.cuda.Event) -> Iterator[None]:
        with self._lock:
            torch.cuda.current_stream().wait_event(touched)
            yield
            touched.record()

    def copy(self) -> Tensor:
        with self.alone():
            self.settle()
            return self.tensor.clone()

    def lend(self) -> Tensor:
        with self.alone():
            self.settle()
            self._lent = self._lendable
            if self._touched is not None:
                self.tensor.record_stream(torch.cuda.current_stream())
            return self.tensor

    def add(self, delta: Terms) -> None:
        with self.alone():
            self.change((*self.soon(), *delta))

    def add_soon(self, delta: Terms) -> None:
        with self.alone():
            self.settle()
            self._soon = delta

    def settle(self) -> None:
        """(Alone.) Add what is to be added soon."""
        self.change(self.soon())

    def soon(self) -> Terms:
        """(Alone.) What is to be added soon, for the caller to add."""
        soon, self._soon = self._soon, ()
        if self._touched is not None:
            for _, vector in soon:  # another stream's memory: not to be given to others before it is read
                vector.record_stream(torch.cuda.current_stream())
        return soon

    def change(self, delta: Terms) -> None:
        """(Alone.) Add a sum of vectors."""
        if delta:
            self.tensor = combine_(self.room(), [*delta, (1.0, self.tensor)])

    def room(self) -> Tensor:
        """(Alone.) Where changed weights go: in their place, unless that is lent."""
        lent, self._lent = self._lent, False
        return torch.empty_like(self.tensor) if lent else self.tensor

    def own(self) -> Tensor:
        """(Alone.) The weights, to be changed in place."""
        room = self.room()
        self.tensor = room if room is self.tensor else room.copy_(self.tensor)
        return self.tensor
