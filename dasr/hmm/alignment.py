"""Alignments: a transition id for every frame of an utterance, by a system's GMM or imported from Kaldi."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dasr.corpora.archives import read_alignments
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.features.labels import REJECTED
from dasr.hmm.aligner import Aligner, Beams, Ids, Worker, adapt_and_align, aligner
from dasr.hmm.material import AlignmentData
from dasr.hmm.system import HmmSystem
from dasr.hmm.topology import Transitions


def align(material: AlignmentData, system: HmmSystem, jobs: int, rejects: Rejects) -> list[Ids | None]:
    """Transition ids of every utterance, None where there is no alignment; the reasons go to `rejects`."""
    usable = np.array([n for n, words in enumerate(material.transcripts) if words], int)
    found: list[Ids | None] = [None] * len(material.utterances)
    if not len(usable):
        return found
    chosen = material.select(usable)
    with aligner(chosen, system.lexicon_fst, jobs) as pool:
        for n, ids in zip(usable, in_passes(pool, chosen, system), strict=True):
            found[n] = ids
    for n in usable:
        if found[n] is None:
            rejects.add(material.utterances[n], _why(material, int(n), system))
    return found


def in_passes(pool: Aligner, material: AlignmentData, system: HmmSystem) -> list[Ids | None]:
    """Align; where the system is speaker-adapted, once to find each speaker's fMLLR and once with it."""
    if system.speaker_independent is None:
        return pool.align(system.acoustics, Beams())
    return adapt_and_align(pool, material, system.speaker_independent, system.acoustics)[1]


def _why(material: AlignmentData, index: int, system: HmmSystem) -> str:
    has = len(material.frames_of(index))
    needs = Worker(material, system.lexicon_fst).shortest(system.transitions, index)
    if has < needs:
        return f"too short to align: {has} frames, its transcript needs at least {needs}"
    return f"no alignment within the beam ({has} frames): does the transcript belong to this audio?"


def read_kaldi(folder: Path) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """(utterance, transition ids) from `ali.*.gz`, `ali.*.ark` or `ali.ark`. Raises UserError."""
    files = sorted([*folder.glob("ali.*.gz"), *folder.glob("ali*.ark")])
    if not files:
        raise UserError(f"{folder} has no alignments (ali.*.gz or ali.*.ark)")
    for file in files:
        yield from read_alignments(file)


def imported(
    utterances: Sequence[str],
    lengths: NDArray[np.int64],
    folder: Path,
    transitions: Transitions,
    rejects: Rejects,
) -> list[Ids | None]:
    """Kaldi's alignment of each utterance, None (and a reason) where it is absent or of another length."""
    wanted = set(utterances)
    alignments = {utterance: ids for utterance, ids in read_kaldi(folder) if utterance in wanted}
    out: list[Ids | None] = []
    for utterance, length in zip(utterances, lengths, strict=True):
        ids = alignments.get(utterance)
        if ids is None:
            rejects.add(utterance, f"{folder} has no alignment of it")
        elif len(ids) != length:
            rejects.add(utterance, f"its alignment in {folder} has {len(ids)} frames, its features {length}")
            ids = None
        out.append(None if ids is None else checked_ids(folder, utterance, ids, transitions))
    return out


def checked_ids(folder: Path, utterance: str, ids: Ids, transitions: Transitions) -> Ids:
    """The ids. Raises UserError where one of them is no transition of the model."""
    if len(ids) and not 0 < ids.min() <= ids.max() < len(transitions.pdf_of):
        raise UserError(
            f"{folder}: the alignment of {utterance} is not of this final.mdl (transition id {ids.max()})"
        )
    return ids


def pdf_counts(aligned: Iterable[Ids | None], transitions: Transitions) -> NDArray[np.int64]:
    """Frames of each tied state, [num_pdfs]."""
    counts = np.zeros(transitions.num_pdfs, np.int64)
    for ids in aligned:
        if ids is not None:
            counts += np.bincount(transitions.pdf_of[ids], minlength=transitions.num_pdfs)
    return counts


def labels_of(
    aligned: Sequence[Ids | None], offsets: NDArray[np.int64], transitions: Transitions
) -> NDArray[np.int32]:
    """The pdf of every frame, int32 [num_frames]; REJECTED in utterances without an alignment."""
    labels = np.full(int(offsets[-1]), REJECTED, np.int32)
    for n, ids in enumerate(aligned):
        if ids is not None:
            labels[offsets[n] : offsets[n + 1]] = transitions.pdf_of[ids]
    return labels
