"""Transitions of a monophone system against what the Bakis topology says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from dasr.hmm.topology import STAY, Transitions


def test_every_state_has_a_loop_and_an_arc_and_the_last_one_leaves(transitions: Transitions) -> None:
    assert transitions.num_pdfs == 6
    assert transitions.is_loop[1:].tolist() == [True, False] * 6
    assert transitions.phone_of[1:].tolist() == [1] * 6 + [2] * 6
    assert transitions.class_of[1:].tolist() == [0, 0, 1, 1, 2, 2] * 2
    assert np.flatnonzero(transitions.is_last).tolist() == [6, 12]
    assert len(set(transitions.pdf_of[1:].tolist())) == 6


def test_probabilities_are_shares_of_what_was_counted(transitions: Transitions) -> None:
    counts = np.zeros(13, np.int64)
    counts[[1, 2]] = 300, 100  # a loop three times as often
    found = np.exp(transitions.reestimated(counts).model.log_probs)
    assert found[1] == pytest.approx(0.75) and found[2] == pytest.approx(0.25)
    assert found[3] == pytest.approx(STAY)  # never seen: as it was


def test_a_model_passes_a_process_border_with_its_probabilities(transitions: Transitions) -> None:
    counts = np.zeros(13, np.int64)
    counts[[1, 2]] = 10, 90
    trained = transitions.reestimated(counts)
    again = pickle.loads(pickle.dumps(trained))
    np.testing.assert_array_equal(again.model.log_probs, trained.model.log_probs)
    np.testing.assert_allclose(
        again.model.non_self_loop_log_probs, trained.model.non_self_loop_log_probs, atol=1e-6
    )


def test_a_phone_starts_where_another_was_left_even_the_same_one(transitions: Transitions) -> None:
    once = [2, 1, 4, 6, 5]  # arc, loop, arc, leaving, its loop
    ids = np.array(once + once + [8, 10, 12])
    assert np.flatnonzero(transitions.phone_starts(ids)).tolist() == [0, 5, 10]
