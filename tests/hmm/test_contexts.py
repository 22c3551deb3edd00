"""Triphone states of an alignment that is written by hand."""

from __future__ import annotations

import numpy as np

from dasr.hmm.contexts import converted, frame_events, triphone_events
from dasr.hmm.topology import Transitions
from dasr.hmm.tree import TreeBuilder, gather

ONE = [2, 1, 4, 6]  # phone 1: its first state twice, then its second and third
TWO = [8, 10, 12]


def test_a_frame_knows_its_phone_its_neighbours_and_its_state(transitions: Transitions) -> None:
    events = triphone_events(transitions, np.array(ONE + TWO, np.int32))
    assert events.tolist() == [
        *([0, 1, 2, state] for state in (0, 0, 1, 2)),
        *([1, 2, 0, state] for state in (0, 1, 2)),
    ]


def test_frames_without_alignment_are_left_out(transitions: Transitions) -> None:
    ids = np.array(TWO, np.int32)
    events, kept = frame_events(transitions, [None, ids], np.array([0, 2, 5]))
    assert kept.tolist() == [False, False, True, True, True]
    assert events[2:].tolist() == triphone_events(transitions, ids).tolist()


def test_an_alignment_in_another_tree_keeps_phones_states_and_loops(transitions: Transitions) -> None:
    aligned = [np.array(ONE + TWO, np.int32), None, np.array(TWO, np.int32)]
    offsets = np.array([0, 7, 9, 12])
    events, kept = frame_events(transitions, aligned, offsets)
    statistics = gather(np.zeros((kept.sum(), 1), np.float32), events[kept])
    tree = TreeBuilder(statistics, [frozenset([1])], frozenset([1])).build([1, 2], 2)  # a state a phone
    new = Transitions(tree.kaldi(), transitions.topology_text)
    found = converted(aligned, transitions, new, events, offsets)
    assert found[1] is None
    for one, other in ((found[0], aligned[0]), (found[2], aligned[2])):
        assert one is not None and other is not None
        for name in ("phone_of", "class_of", "is_loop"):
            assert getattr(new, name)[one].tolist() == getattr(transitions, name)[other].tolist()
    assert found[0] is not None
    pdfs = [new.tree.compute(event[:3], event[3])[1] for event in events[:7].tolist()]
    assert new.pdf_of[found[0]].tolist() == pdfs
