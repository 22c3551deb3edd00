"""A learner's flat weights, which several of its activities read and change, each of them alone.

On a GPU a pass over the weights is what a change costs. So a copy that is only read is the old weights
themselves (the next change goes elsewhere), and what is to be added can wait for the pass of an update.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dasr.strategies.strategy import Terms
from dasr.training.combine import combine_
from dasr.worlds.sized import Sized


class Weights:
    """`(Alone.)`: for who is alone() already."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        self._lock = threading.Condition()
        self._touched = torch.cuda.Event() if tensor.is_cuda else None  # type: ignore[no-untyped-call]
        self._lendable = not isinstance(tensor, Sized)  # a timing-only simulation's never change
        self._shared = False  # others may write into this very vector
        self._lent = False
        self._soon: Terms = ()
        # What is to be added soon has been made
        self._made = torch.cuda.Event() if tensor.is_cuda else None  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other thread touches them meanwhile, nor what others have put on a GPU's streams. What was to
        be added soon is not there yet."""
        with self._lock, self._in_order():
            yield

    @contextlib.contextmanager
    def _in_order(self) -> Iterator[None]:
        """On a GPU: after what others have put on their streams, and before what they will."""
        if self._touched is not None:
            torch.cuda.current_stream().wait_event(self._touched)
        yield
        if self._touched is not None:
            self._touched.record()

    def share(self, make: Callable[[Tensor], Tensor]) -> Tensor:
        """Move them into a vector that `make` makes like them, for good."""
        with self.alone():
            if not self._shared:
                self.tensor = make(self.tensor).copy_(self.tensor)
                self._shared = True
            return self.tensor

    def copy(self) -> Tensor:
        with self.alone():
            self.settle()
            return self.tensor.clone()

    def lend(self, patience_s: float) -> Tensor:
        """No stream waits for who reads it: it does not change any more."""
        if self._shared:
            return self.copy()
        with self._lock:
            if self._touched is not None:  # a pass of its own would hold up the gradients
                self._lock.wait_for(lambda: not self._soon, patience_s)
            self._settle_if_needed()
            self._lent = self._lendable
            if self._touched is not None:
                torch.cuda.current_stream().wait_event(self._touched)
                self.tensor.record_stream(torch.cuda.current_stream())
            return self.tensor

    def add(self, delta: Terms) -> None:
        with self.alone():
            self.change((*self.soon(), *delta))

    def add_soon(self, delta: Terms) -> None:
        with self._lock:
            self._settle_if_needed()
            self._soon = delta
            if self._made is not None:
                self._made.record()

    def _settle_if_needed(self) -> None:
        if self._soon:
            with self._in_order():
                self.settle()

    def settle(self) -> None:
        """(Alone.) Add what is to be added soon."""
        self.change(self.soon())

    def soon(self) -> Terms:
        """(Alone.) What is to be added soon, for the caller to add."""
        soon, self._soon = self._soon, ()
        self._lock.notify_all()
        if self._made is not None and soon:
            torch.cuda.current_stream().wait_event(self._made)
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
