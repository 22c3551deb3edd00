"""Streams of the activities of a learner on a GPU."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def stream(device: torch.device, activity: str) -> contextlib.AbstractContextManager[Any]:
    """Activities beside the gradient loop have a stream of their own, so that their copies overlap its
    work."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    torch.cuda.set_device(device)
    if activity == "main":
        return contextlib.nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]
