"""The phonetic decision tree that ties the states of triphones (Young, Odell, Woodland 1994; Kaldi's
build-tree).

One root a phone, shared by its HMM states; a leaf is split by the question about its left phone, its right
phone or its HMM state whose answer raises the likelihood of single Gaussians most, the best leaf first, until
there are `leaves`. Questions are sets of phones found by clustering the data. Silence is never split by
context.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr.errors import UserError
from dasr.hmm.kaldi_io import Writer

LEFT, CENTRE, RIGHT, PDF_CLASS = 0, 1, 2, -1  # Kaldi's keys of an event; here they are columns too
VARIANCE_FLOOR = 0.01
MIN_FRAMES = 30.0  # a leaf with fewer has no usable Gaussian


@dataclass(frozen=True)
class TreeStatistics:
    """Sums over frames of each triphone state. events: int [num_events, 4] (left, centre, right, pdf class);
    sums: float64 [num_events, 2 dim + 1] of (x, x^2, 1)."""

    events: NDArray[np.int64]
    sums: NDArray[np.float64]


def gather(frames: NDArray[np.float32], events: NDArray[np.int64]) -> TreeStatistics:
    """Statistics of every distinct event. frames: [num_frames, dim]; events: [num_frames, 4]."""
    base = int(events.max()) + 2
    keys = np.ravel_multi_index(tuple((events + 1).T), (base,) * 4)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    x = frames[order].astype(np.float64)
    parts = [
        np.add.reduceat(x, first),
        np.add.reduceat(x * x, first),
        np.diff(np.r_[first, len(keys)])[:, None],
    ]
    return TreeStatistics(events[order][first], np.concatenate(parts, axis=1))


def log_likelihood(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-likelihood of frames under their own diagonal Gaussian. sums: [..., 2 dim + 1]; returns [...]."""
    dim = sums.shape[-1] // 2
    count = sums[..., -1]
    safe = np.maximum(count, 1e-10)[..., None]
    variances = np.maximum(sums[..., dim:-1] / safe - (sums[..., :dim] / safe) ** 2, VARIANCE_FLOOR)
    return np.asarray(-0.5 * count * (np.log(2 * np.pi * variances).sum(-1) + dim))


def cluster_phones(statistics: TreeStatistics, pdf_class: int = 1) -> list[frozenset[int]]:
    """Questions: every cluster met while phones are merged, the nearest two (in likelihood) first, into one.

    As Kaldi's cluster-phones does, each phone is one Gaussian over its middle state in all contexts.
    """
    chosen = statistics.events[:, PDF_CLASS] == pdf_class
    centres = statistics.events[chosen, CENTRE]
    clusters = {frozenset([int(p)]): statistics.sums[chosen][centres == p].sum(0) for p in np.unique(centres)}
    questions = list(clusters)
    while len(clusters) > 2:
        names = sorted(clusters, key=sorted)
        sums = np.array([clusters[name] for name in names])
        own = log_likelihood(sums)
        rows, columns = np.triu_indices(len(names), 1)
        loss = own[rows] + own[columns] - log_likelihood(sums[rows] + sums[columns])
        best = int(np.argmin(loss))
        one, other = names[rows[best]], names[columns[best]]
        clusters[one | other] = clusters.pop(one) + clusters.pop(other)
        questions.append(one | other)
    return questions


@dataclass
class Node:
    """A leaf (key None) or a split: `yes` for events whose value of `key` is in `values`."""

    members: NDArray[np.int64]  # events of the statistics that fall here
    root: int  # phone
    key: int | None = None
    values: frozenset[int] = frozenset()
    yes: Node | None = None
    no: Node | None = None
    pdf: int = -1


@dataclass
class TreeBuilder:
    """Grows the tree. Deterministic: ties go to the earlier question, the older leaf."""

    statistics: TreeStatistics
    questions: list[frozenset[int]]
    context_independent: frozenset[int] = frozenset()
    num_classes: int = 3
    _order: Any = field(default_factory=itertools.count)

    def build(self, phones: list[int], leaves: int) -> Tree:
        """phones: ids of all phones, seen or not. Raises UserError if `leaves` is less than their number."""
        if leaves < len(phones):
            raise UserError(
                f"hmm.leaves is {leaves}, but the lexicon has {len(phones)} phones; each needs a leaf"
            )
        roots = {p: Node(np.flatnonzero(self.statistics.events[:, CENTRE] == p), p) for p in phones}
        queue: list[Any] = []
        for root in roots.values():
            self._offer(queue, root)
        count = len(roots)
        while count < leaves and queue:
            *_, node, (key, values) = heapq.heappop(queue)
            answers = np.isin(self.statistics.events[node.members, key], list(values))
            node.key, node.values = key, values
            node.yes, node.no = (
                Node(node.members[answers], node.root),
                Node(node.members[~answers], node.root),
            )
            self._offer(queue, node.yes)
            self._offer(queue, node.no)
            count += 1
        return Tree(roots)

    def _offer(self, queue: list[Any], node: Node) -> None:
        gain, question = self._best_question(node)
        if question is not None:
            heapq.heappush(queue, (-gain, next(self._order), node, question))

    def _best_question(self, node: Node) -> tuple[float, tuple[int, frozenset[int]] | None]:
        sums = self.statistics.sums[node.members]
        total = sums.sum(0)
        best: tuple[float, tuple[int, frozenset[int]] | None] = (0.0, None)
        if len(sums) < 2:
            return best
        states = [frozenset(range(n)) for n in range(1, self.num_classes)]
        keys = [(PDF_CLASS, states)]
        if node.root not in self.context_independent:
            keys += [(LEFT, self.questions), (RIGHT, self.questions)]
        for key, sets in keys:
            values = self.statistics.events[node.members, key]
            present = np.unique(values)
            each = np.array([sums[values == value].sum(0) for value in present])
            asked = np.array([[value in one for value in present] for one in sets], np.float64)
            yes = asked @ each
            no = total - yes
            gain = log_likelihood(yes) + log_likelihood(no) - log_likelihood(total)
            gain[(yes[:, -1] < MIN_FRAMES) | (no[:, -1] < MIN_FRAMES)] = 0
            top = int(np.argmax(gain))
            if gain[top] > best[0]:
                best = (float(gain[top]), (key, sets[top]))
        return best


@dataclass
class Tree:
    """A grown tree; tied states are numbered phone by phone, in the order of the leaves."""

    roots: dict[int, Node]

    def __post_init__(self) -> None:
        self.leaves = [leaf for phone in sorted(self.roots) for leaf in _leaves(self.roots[phone])]
        for number, leaf in enumerate(self.leaves):
            leaf.pdf = number

    def kaldi(self) -> bytes:
        """Kaldi's binary `ContextDependency` for triphones, without the file header."""
        writer = Writer()
        writer.token("ContextDependency")
        writer.int32(3)  # context width
        writer.int32(1)  # central position
        writer.token("ToPdf", "TE")
        writer.int32(CENTRE)
        writer.uint32(max(self.roots) + 1)
        writer.token("(")
        for phone in range(max(self.roots) + 1):
            if phone in self.roots:
                _write(writer, self.roots[phone])
            else:
                writer.token("NULL")
        writer.token(")", "EndContextDependency")
        return bytes(writer.data)


def _leaves(node: Node) -> list[Node]:
    if node.yes is None or node.no is None:
        return [node]
    return _leaves(node.yes) + _leaves(node.no)


def _write(writer: Writer, node: Node) -> None:
    if node.key is None or node.yes is None or node.no is None:
        writer.token("CE")
        writer.int32(node.pdf)
        return
    writer.token("SE")
    writer.int32(node.key)
    writer.integers(sorted(node.values))
    writer.token("{")
    _write(writer, node.yes)
    _write(writer, node.no)
    writer.token("}")
