"""Streams where there is no GPU: everything is done at once, in the order of the calls."""

from __future__ import annotations

import torch

from dasr.cuda import streams

CPU = torch.device("cpu")


def test_on_a_cpu_nothing_waits_and_nothing_is_entered() -> None:
    order = streams.StreamOrder(CPU)
    assert not order.needed
    with order, streams.of_activity(CPU, own=True), streams.Streams()("copies", CPU):
        event = streams.record_event(torch.zeros(2))
    assert event is None
    streams.wait_for(event)
    streams.synchronize(CPU)


def test_an_exception_leaves_the_order_and_is_not_hidden() -> None:
    try:
        with streams.StreamOrder(CPU):
            raise KeyError("inside")
    except KeyError as error:
        assert error.args == ("inside",)
    else:
        raise AssertionError("the exception was hidden")


def test_an_operation_is_on_its_cell_and_counts_from_zero() -> None:
    cell = torch.zeros(1, dtype=torch.int32)
    wait, write = (streams.StreamMemoryOp(cell, waits) for waits in (True, False))
    assert wait.waits and not write.waits and wait.number == write.number == 0
    assert wait.cell is cell


def test_on_a_cpu_side_by_side_is_one_after_the_other() -> None:
    beside = streams.SideBySide(torch.device("cpu"))
    values = torch.zeros(3)
    beside.join()
    with beside:
        values += 1
    beside.join()
    assert values.tolist() == [1, 1, 1]
