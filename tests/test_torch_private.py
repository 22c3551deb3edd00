"""Private names of PyTorch do what dasr takes them for, with the version that is installed."""

from __future__ import annotations

from datetime import timedelta

import pytest
import torch
from torch.distributed import HashStore  # type: ignore[attr-defined]

from dasr import torch_private


def test_lists_of_tensors_are_copied_each_into_its_own() -> None:
    targets, sources = [torch.zeros(2), torch.zeros(3)], [torch.ones(2), torch.full((3,), 2.0)]
    torch_private.copy_each(targets, sources)
    assert [one.tolist() for one in targets] == [[1.0, 1.0], [2.0, 2.0, 2.0]]


def test_a_tensor_class_is_not_asked_where_that_is_switched_off() -> None:
    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *arguments: object, **more: object) -> object:
            raise AssertionError("asked")

    loud = torch.zeros(2).as_subclass(Loud)
    with pytest.raises(AssertionError, match="asked"):
        loud.numel()
    with torch_private.without_torch_function():
        assert loud.numel() == 2


def test_a_gloo_group_of_its_own_reduces_without_a_default_group() -> None:
    device = torch_private.gloo_device("127.0.0.1")
    group = torch_private.gloo_group(HashStore(), 0, 1, device, timedelta(seconds=60))
    vector = torch.arange(3.0)
    group.allreduce([vector]).wait()
    assert vector.tolist() == [0.0, 1.0, 2.0]
    assert not torch.distributed.is_initialized()
