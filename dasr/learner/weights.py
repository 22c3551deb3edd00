"""A learner's flat weights, which several of its activities read and change, each of them alone.

On a GPU a pass over the weights is what a change costs. So a copy that is only read is the old weights
themselves (the next change goes elsewhere), and what is to be added can wait for the pass of an update.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from dasr.cuda.linear_combination import combine_
from dasr.cuda.streams import StreamOrder, current
from dasr.strategies.parts.linear_combination import LinearCombination


class Weights:
    """`(Alone.)`: for who is alone() already."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        self.lock = threading.Condition()  # notified when what was deferred has been added
        self._order = StreamOrder(tensor.device)  # of those who hold the lock
        self._changed = 0
        self._shared = False  # others may write into this very vector
        self._lent = False
        self._spare: Tensor | None = None  # where changed weights go, while others' are lent
        self._deferred: LinearCombination = ()
        # What is deferred has been computed
        self._made = torch.cuda.Event() if tensor.is_cuda else None  # type: ignore[no-untyped-call]

    def alone(self) -> contextlib.AbstractContextManager[Any]:
        """No other thread touches them meanwhile, nor what others have put on a GPU's streams. What was to
        be added soon is not there yet."""
        return self._in_order() if self._order.needed else self.lock

    @contextlib.contextmanager
    def _in_order(self) -> Iterator[None]:
        with self.lock, self._order:
            yield

    def share(self, make: Callable[[Tensor], Tensor]) -> Tensor:
        """Move them into a vector that `make` makes like them, for good."""
        with self.alone():
            if not self._shared:
                self.tensor = make(self.tensor).copy_(self.tensor)
                self._shared = True
            return self.tensor

    def settled(self) -> Tensor:
        """The vector, with what was deferred."""
        if self._deferred:
            with self.lock:
                self._settle_if_needed()
        return self.tensor

    def copy(self) -> Tensor:
        with self.alone():
            self.settle()
            return self.tensor.clone()

    def snapshot_view(self, patience_s: float) -> Tensor:
        """On a GPU it waits at most `patience_s` for an update that adds what is deferred."""
        if self._shared:
            return self.copy()
        with self.lock:
            if self._order.needed:  # a pass of its own would hold up the gradients
                self.lock.wait_for(lambda: not self._deferred, patience_s)
            self._settle_if_needed()
            self._lent = True
            if self._order.needed:
                self._order.wait()
                self.tensor.record_stream(current())
            return self.tensor

    def assign(self, model: Tensor, where: slice) -> None:
        """They are that vector, lent to this learner until it changes them."""
        with self.alone():
            self.settle()
            self.changes()
            if self._shared:
                self.tensor[where].copy_(model[where])
            elif self.tensor is not model:
                self._spare = self._spare if self._lent else self.tensor
                self.tensor, self._lent = model, True

    def add(self, delta: LinearCombination) -> None:
        with self.alone():
            self.change((*self.deferred(), *delta))

    def defer(self, delta: LinearCombination) -> None:
        with self.lock:
            self._settle_if_needed()
            self._deferred = delta
            if self._made is not None:
                self._made.record(current())

    def _settle_if_needed(self) -> None:
        if self._deferred:
            with self.alone():
                self.settle()

    def settle(self) -> None:
        """(Alone.) Add what is deferred."""
        self.change(self.deferred())

    def deferred(self) -> LinearCombination:
        """(Alone.) What is deferred, for the caller to add."""
        deferred, self._deferred = self._deferred, ()
        if self._made is not None and deferred:
            self.lock.notify_all()
            current().wait_event(self._made)
            for _, vector in deferred:  # another stream's memory: not to be given to others before it is read
                vector.record_stream(current())
        return deferred

    def change(self, delta: LinearCombination) -> None:
        """(Alone.) Add a sum of vectors."""
        if delta:
            self.tensor = combine_(self.room(), [*delta, (1.0, self.tensor)])

    def room(self) -> Tensor:
        """(Alone.) Where changed weights go: in their place, unless that is lent."""
        self.changes()
        lent, self._lent = self._lent, False
        if not lent:
            return self.tensor
        spare, self._spare = self._spare, None
        return torch.empty_like(self.tensor) if spare is None else spare

    def changes(self) -> None:
        """(Alone.) They change, in a way that PyTorch does not count."""
        self._changed += 1

    def state(self) -> object:
        """(Alone.) Another one after every change of this learner's, if all parts of one count as one."""
        return self._changed, self.tensor.data_ptr(), self.tensor._version
