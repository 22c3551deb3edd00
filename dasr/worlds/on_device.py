"""Streams of a learner on a GPU: those of its activities, and those of transfers beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


def stream(device: torch.device, activity: str) -> contextlib.AbstractContextManager[Any]:
    """Activities beside the gradient loop have a stream of their own, so that their copies overlap its
    work."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    torch.cuda.set_device(device)
    if activity == "main":
        return contextlib.nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


class Streams:
    """Streams by the names of the work that they carry; on a CPU, where all is done at once, nothing.

    Their kernels are short and others wait for them: they come first (-1) where one of the gradient loop has
    more blocks than fit."""

    def __init__(self) -> None:
        self._streams: dict[str, torch.cuda.Stream] = {}

    @contextlib.contextmanager
    def __call__(self, work: str, device: torch.device, after: bool = True) -> Iterator[None]:
        """On the stream of that work; `after`: what is on the current one."""
        if device.type != "cuda":
            yield
            return
        if work not in self._streams:
            self._streams[work] = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
        stream = self._streams[work]
        if after:
            stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            yield


def marked(tensor: Tensor) -> torch.cuda.Event | None:
    """A mark on the current stream that another can wait for."""
    return torch.cuda.current_stream().record_event() if tensor.is_cuda else None


def wait_for(event: torch.cuda.Event | None) -> None:
    """The current stream waits."""
    if event is not None:
        torch.cuda.current_stream().wait_event(event)


def write(cell: Tensor, value: int) -> None:
    """The current stream writes that number into an int32, once all that it did before can be seen there."""
    _on_stream("cuStreamWriteValue32", cell, value)


def wait_until(cell: Tensor, value: int) -> None:
    """The current stream waits until an int32 has come to that number, modulo 2^32."""
    _on_stream("cuStreamWaitValue32", cell, value)


def _on_stream(operation: str, cell: Tensor, value: int) -> None:
    """Raises RuntimeError."""
    from cuda.bindings import driver

    stream = torch.cuda.current_stream(cell.device).cuda_stream
    (code,) = getattr(driver, operation)(stream, cell.data_ptr(), value, 0)
    if code != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"{operation}: {code.name}")


def synchronize(device: torch.device) -> None:
    """The thread waits for the current stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
