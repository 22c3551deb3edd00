"""A learner's flat weights, which several of its activities read and change under one lock.

On a GPU the cost of a change is its pass over memory. So a copy that is only read is the old vector itself
(copy on write: the next change goes into another one), and an addition can wait for the pass of an update.
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
from dasr.strategies.linear_combination import LinearCombination


class Weights:
    """Methods marked *lock held* must be called inside `with weights.locked():`."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        self.lock = threading.Condition()  # notified when what was deferred has been added
        self._order = StreamOrder(tensor.device)  # of those who hold the lock
        self._changed = 0
        self._shared = False  # others may write into this very vector
        self._lent = False  # somebody reads this vector: the next change goes into another one
        self._spare: Tensor | None = None  # that other one
        self._deferred: LinearCombination = ()
        # What is deferred has been computed
        self._made = torch.cuda.Event() if tensor.is_cuda else None  # type: ignore[no-untyped-call]

    def locked(self) -> contextlib.AbstractContextManager[Any]:
        """Holds the lock, and makes this stream wait for the streams of earlier holders. What is deferred has
        not been added yet."""
        return self._in_order() if self._order.needed else self.lock

    @contextlib.contextmanager
    def _in_order(self) -> Iterator[None]:
        with self.lock, self._order:
            yield

    def move_into(self, make: Callable[[Tensor], Tensor]) -> Tensor:
        """Move the weights, for good, into the vector that `make` makes like them."""
        with self.locked():
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
        with self.locked():
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
        """The weights become `model`, which they leave as it is at their next change. Raises ValueError."""
        if model.numel() != self.tensor.numel():
            raise self._of_another_length(model, "the model that the weights become")
        with self.locked():
            self.settle()
            self.changes()
            if self._shared:
                self.tensor[where].copy_(model[where])
            elif self.tensor is not model:
                self._spare = self._spare if self._lent else self.tensor
                self.tensor, self._lent = model, True

    def add(self, delta: LinearCombination) -> None:
        with self.locked():
            self.change((*self.deferred(), *delta))

    def defer(self, delta: LinearCombination) -> None:
        with self.lock:
            self._settle_if_needed()
            self._deferred = delta
            if self._made is not None:
                self._made.record(current())

    def _settle_if_needed(self) -> None:
        if self._deferred:
            with self.locked():
                self.settle()

    def settle(self) -> None:
        """Lock held. Add what is deferred."""
        if self._deferred:
            self.change(self.deferred())

    def deferred(self) -> LinearCombination:
        """Lock held. What is deferred, for the caller to add."""
        deferred, self._deferred = self._deferred, ()
        if self._made is not None and deferred:
            self.lock.notify_all()
            current().wait_event(self._made)
            for _, vector in deferred:  # another stream's memory: not to be given to others before it is read
                vector.record_stream(current())
        return deferred

    def change(self, delta: LinearCombination) -> None:
        """Lock held. Add a sum of vectors."""
        if delta:
            length = self.tensor.numel()
            for _, vector in delta:
                if vector.numel() != length:
                    raise self._of_another_length(vector, "a vector that is added to the weights")
            self.tensor = combine_(self.room(), [*delta, (1.0, self.tensor)])

    def _of_another_length(self, vector: Tensor, what: str) -> ValueError:
        return ValueError(f"{what} has {vector.numel():,} elements, not {self.tensor.numel():,}")

    def room(self) -> Tensor:
        """Lock held. Where changed weights go: in place, unless somebody reads the vector."""
        self.changes()
        lent, self._lent = self._lent, False
        if not lent:
            return self.tensor
        spare, self._spare = self._spare, None
        return self.tensor.new_empty(self.tensor.shape) if spare is None else spare

    def changes(self) -> None:
        """Lock held. Invalidate prefetched copies: in-place changes through symmetric memory do not bump
        `Tensor._version`."""
        self._changed += 1

    def state(self) -> object:
        """Lock held. Differs after every change that this learner made."""
        return self._changed, self.tensor.data_ptr(), self.tensor._version
