"""Triphone states along an alignment, and the same alignment in the transition ids of another tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dasr.hmm.aligner import Ids
from dasr.hmm.topology import Transitions


def triphone_events(transitions: Transitions, ids: Ids) -> NDArray[np.int64]:
    """(left, centre, right, pdf class) of each frame of one utterance, [num_frames, 4]; 0 beyond its ends."""
    segment = np.cumsum(transitions.phone_starts(ids)) - 1
    phones = transitions.phone_of[ids][np.flatnonzero(np.diff(segment, prepend=-1))]
    around = np.concatenate([[0], phones, [0]])
    columns = [around[segment], phones[segment], around[segment + 2], transitions.class_of[ids]]
    return np.stack(columns, axis=1).astype(np.int64)


def frame_events(
    transitions: Transitions, aligned: Sequence[Ids | None], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """`triphone_events` of all frames, int64 [num_frames, 4], and which frames are aligned."""
    events = np.zeros((int(offsets[-1]), 4), np.int64)
    kept = np.zeros(len(events), bool)
    for n, ids in enumerate(aligned):
        if ids is not None:
            here = slice(offsets[n], offsets[n + 1])
            events[here], kept[here] = triphone_events(transitions, ids), True
    return events, kept


def converted(
    aligned: Sequence[Ids | None], old: Transitions, new: Transitions, events: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> list[Ids | None]:  # fmt: skip
    """An alignment by `old` in the transition ids of `new` (convert-ali). events: from `frame_events`."""
    distinct, which = np.unique(events, axis=0, return_inverse=True)
    pdfs = np.array([_pdf(new, event) for event in distinct.tolist()], np.int64)[which.reshape(-1)]
    size = np.array([new.phone_of.max() + 1, new.class_of.max() + 1, new.num_pdfs, 2])
    keys = np.ravel_multi_index((new.phone_of, new.class_of, new.pdf_of, new.is_loop.astype(int)), size)
    order = np.argsort(keys[1:]) + 1
    out: list[Ids | None] = []
    for n, ids in enumerate(aligned):
        if ids is None:
            out.append(None)
            continue
        here = slice(offsets[n], offsets[n + 1])
        wanted = (events[here, 1], events[here, 3], pdfs[here], old.is_loop[ids].astype(int))
        place = np.searchsorted(keys[order], np.ravel_multi_index(wanted, size))
        out.append(order[place].astype(np.int32))
    return out


def _pdf(transitions: Transitions, event: list[int]) -> int:
    return int(transitions.tree.compute(event[:3], event[3])[1]) if event[1] else 0
