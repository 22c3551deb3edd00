"""Streams of a learner's GPU: one for each activity, and side streams for transfers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from dasr import torch_private

_streams: dict[tuple[int, int], torch.cuda.Stream] = {}


def current() -> torch.cuda.Stream:
    """The stream of this thread on its device, as torch.cuda.current_stream(), which takes a slow host 14 us
    and is asked 60 times a step; this takes it 4. Streams are never destroyed."""
    device = torch.cuda.current_device()
    key = device, torch_private.raw_stream(device)
    if key not in _streams:
        _streams[key] = torch.cuda.current_stream()
    return _streams[key]


def of_activity(device: torch.device, own: bool) -> contextlib.AbstractContextManager[Any]:
    """Make it this thread's device, and enter a new stream of it (`own`) or stay on its default stream."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    torch.cuda.set_device(device)
    if not own:
        return contextlib.nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


class StreamOrder:
    """Orders the work of threads that have a stream each: what is put on a stream after wait() runs after
    what was on the stream of the last record(). Nothing on a CPU, where all is done at once.

    As a context manager, inside a lock, it orders the work of the lock's successive holders."""

    def __init__(self, device: torch.device) -> None:
        self._event = torch.cuda.Event() if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self.needed = self._event is not None

    def wait(self) -> None:
        if self._event is not None:
            current().wait_event(self._event)

    def record(self) -> None:
        if self._event is not None:
            self._event.record(current())

    def __enter__(self) -> None:
        self.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.record()


class Streams:
    """Side streams, named by the work that they carry; on a CPU, where all is done at once, nothing.

    Their kernels are short and others wait for them, so they have priority (-1) over the gradient's."""

    def __init__(self) -> None:
        self._streams: dict[str, torch.cuda.Stream] = {}

    @contextlib.contextmanager
    def __call__(self, work: str, device: torch.device, after: bool = True) -> Iterator[None]:
        """Enter the stream of that work; `after`: it waits for the current one first."""
        if device.type != "cuda":
            yield
            return
        if work not in self._streams:
            self._streams[work] = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
        stream, before = self._streams[work], current()
        if after:
            stream.wait_stream(before)
        torch.cuda.set_stream(stream)
        try:
            yield
        finally:
            torch.cuda.set_stream(before)


def allow_many() -> None:
    """Let 32 streams run side by side, CUDA's most, not 8. Called before this process uses its GPU."""
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")


class SideBySide:
    """As a context manager: what is done in it goes to a stream of its own, after all that is on the current
    one; what the current one is given then runs beside it, until join() makes it wait. Nothing on a CPU,
    where all is done at once."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._before: torch.cuda.Stream | None = None
        self._joined = True

    def __enter__(self) -> None:
        if self._stream is not None:
            self._before, self._joined = current(), False
            self._stream.wait_stream(self._before)
            torch.cuda.set_stream(self._stream)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            torch.cuda.set_stream(self._before)

    def join(self) -> None:
        if not self._joined and self._stream is not None:
            current().wait_stream(self._stream)
            self._joined = True


def record_event(tensor: Tensor) -> torch.cuda.Event | None:
    """An event on the current stream of a GPU, for wait_for(); None on a CPU."""
    return current().record_event() if tensor.is_cuda else None


def wait_for(event: torch.cuda.Event | None) -> None:
    """The current stream waits."""
    if event is not None:
        current().wait_event(event)


class StreamMemoryOp:
    """A stream memory operation on `cell`, an int32 in a GPU's memory: write `number` there once all earlier
    work of the stream is visible, or wait until the cell has reached it, modulo 2^32."""

    def __init__(self, cell: Tensor, waits: bool):
        self.cell, self.waits, self.number = cell, waits, 0
        self.operation: Any = None  # the driver's form of it


def submit_stream_ops(touches: Sequence[StreamMemoryOp]) -> None:
    """Put these on the current stream, in their order. One call for all: each takes a slow host 20 us. Raises
    RuntimeError."""
    from cuda.bindings import driver

    operations = [_operation(one) for one in touches]
    (code,) = driver.cuStreamBatchMemOp(current().cuda_stream, len(operations), operations, 0)
    if code != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"cuStreamBatchMemOp: {code.name}")


def _operation(one: StreamMemoryOp) -> Any:
    from cuda.bindings import driver

    if one.operation is None:
        kinds, one.operation = driver.CUstreamBatchMemOpType, driver.CUstreamBatchMemOpParams()
        wait, write = kinds.CU_STREAM_MEM_OP_WAIT_VALUE_32, kinds.CU_STREAM_MEM_OP_WRITE_VALUE_32
        one.operation.operation = wait if one.waits else write
        one.operation.waitValue.address = one.cell.data_ptr()  # these fields lie where writeValue's do
        one.operation.waitValue.flags = 0
    one.operation.waitValue.value = one.number
    return one.operation


def synchronize(device: torch.device) -> None:
    """The thread waits for the current stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
