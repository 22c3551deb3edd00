"""The HMM topology (3-state Bakis, left to right) and the transition model, on top of kaldi-hmm-gmm.

Transition ids number the arcs of all tied HMM states, as in Kaldi. Rebuilding a TransitionModel from (tree,
topology, log-probabilities) is exact, so workers get those three and no C++ object crosses a process border.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import kaldi_hmm_gmm
import numpy as np
from numpy.typing import NDArray

STATES_A_PHONE = 3
STAY = 0.75  # initial probability of a self-loop


def bakis(phones: Iterable[int], states: int = STATES_A_PHONE) -> str:
    """Kaldi's `topo` text: left to right with self-loops, no skips, the same for every phone (ids from 1)."""
    lines = ["<Topology>", "<TopologyEntry>", "<ForPhones>", " ".join(map(str, phones)), "</ForPhones>"]
    for n in range(states):
        arcs = f"<Transition> {n} {STAY} <Transition> {n + 1} {1 - STAY}"
        lines.append(f"<State> {n} <PdfClass> {n} {arcs} </State>")
    return "\n".join([*lines, f"<State> {states} </State>", "</TopologyEntry>", "</Topology>", ""])


def parse_topology(text: str) -> Any:
    """kaldi_hmm_gmm.HmmTopology from the text of Kaldi's `topo`."""
    topology = kaldi_hmm_gmm.HmmTopology()
    topology.read(text)
    return topology


def make_tree(data: bytes) -> Any:
    """kaldi_hmm_gmm.ContextDependency from Kaldi's binary form (without the file header)."""
    tree = kaldi_hmm_gmm.ContextDependency.__new__(kaldi_hmm_gmm.ContextDependency)
    tree.__setstate__((np.frombuffer(data, np.int8).tolist(),))
    return tree


@dataclass(frozen=True)
class Transitions:
    """A transition model as plain data. log_probs: float32 [num_transition_ids + 1], entry 0 unused."""

    tree_data: bytes
    topology_text: str
    log_probs: tuple[float, ...] | None = None  # None: the topology's own

    def __reduce__(self) -> tuple[Any, ...]:
        return Transitions, (self.tree_data, self.topology_text, self.log_probs)  # C++ objects stay behind

    @cached_property
    def tree(self) -> Any:
        return make_tree(self.tree_data)

    @cached_property
    def model(self) -> Any:
        model = kaldi_hmm_gmm.TransitionModel(self.tree, parse_topology(self.topology_text))
        if self.log_probs is None:
            return model
        *head, _, _ = model.__getstate__()
        log_probs = np.array(self.log_probs, np.float32)
        loops = np.array([0] + [model.is_self_loop(tid) for tid in range(1, len(log_probs))], bool)
        others = np.zeros(model.num_transition_states + 1, np.float32)
        states = np.array(model.id2state)[loops]
        others[states] = np.log(-np.expm1(log_probs[loops].astype(np.float64)))
        restored = kaldi_hmm_gmm.TransitionModel.__new__(kaldi_hmm_gmm.TransitionModel)
        restored.__setstate__((*head, log_probs.tolist(), others.tolist()))
        return restored

    @cached_property
    def pdf_of(self) -> NDArray[np.int32]:
        """Tied state of each transition id, int32 [num_transition_ids + 1]; entry 0 unused."""
        return np.array(self.model.transition_id_to_pdf_array(), np.int32)

    @cached_property
    def is_loop(self) -> NDArray[np.bool_]:
        return np.array([False, *map(self.model.is_self_loop, range(1, len(self.pdf_of)))])

    @cached_property
    def is_last(self) -> NDArray[np.bool_]:
        """Whether a transition id leaves its phone."""
        return np.array([False, *map(self.model.is_final, range(1, len(self.pdf_of)))])

    @cached_property
    def phone_of(self) -> NDArray[np.int32]:
        return np.array([0, *map(self.model.transition_id_to_phone, range(1, len(self.pdf_of)))], np.int32)

    @cached_property
    def class_of(self) -> NDArray[np.int32]:
        """HMM state within the phone (= pdf class) of each transition id."""
        states = np.array([0, *(entry.__getstate__()[1] for entry in self.model.tuples)], np.int32)
        return np.asarray(states[np.array(self.model.id2state)])

    @property
    def num_pdfs(self) -> int:
        return int(self.model.num_pdfs)

    def reestimated(self, counts: NDArray[np.int64]) -> Transitions:
        """Maximum-likelihood transition probabilities. counts: occurrences of each transition id, [ids +
        1].
        """
        model = Transitions(self.tree_data, self.topology_text, self.log_probs).model
        model.mle_update(counts.astype(np.float64), kaldi_hmm_gmm.MleTransitionUpdateConfig())
        return Transitions(self.tree_data, self.topology_text, tuple(float(p) for p in model.log_probs))

    def phone_starts(self, ids: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which frames begin a phone. ids: transition ids of one utterance, self-loops after the arc (Kaldi's
        reorder).
        """
        forward = ~self.is_loop[ids]
        latest = np.maximum.accumulate(np.where(forward, np.arange(len(ids)), 0))
        starts = np.ones(len(ids), bool)
        starts[1:] = forward[1:] & self.is_last[ids[latest[:-1]]]
        return starts
