"""Long recordings cut where they are quiet, and pieces put into groups that fit into memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dasr.corpora.datadir import Entry

LONGEST_S, SHORTEST_S = 30.0, 10.0  # of a piece of a longer recording
GROUP_S = 600.0  # of speech in memory together; statistics of speakers are over what a group has of them
STEP_S, QUIET_STEPS = 0.01, 30  # a cut lies in the middle of the quietest 0.3 s


def cut(entry: Entry) -> Iterator[Entry]:
    """The entry, or pieces of it, with their lengths; names are `id@begin`.

    What cannot be opened as a file is left whole: the reader says what is wrong with it."""
    import soundfile

    try:
        with soundfile.SoundFile(entry.audio) as stream:
            begin = entry.begin or 0.0
            end = stream.frames / stream.samplerate if entry.end is None else entry.end
            if end - begin <= LONGEST_S:
                yield replace(entry, seconds=end - begin)
                return
            while end - begin > LONGEST_S:
                middle = begin + _quietest(stream, begin)
                yield _piece(entry, begin, middle)
                begin = middle
            yield _piece(entry, begin, end)
    except (soundfile.LibsndfileError, OSError, RuntimeError):
        yield entry


def _piece(entry: Entry, begin: float, end: float) -> Entry:
    return replace(
        entry, utterance=f"{entry.utterance}@{begin:.2f}", begin=begin, end=end, seconds=end - begin
    )


def _quietest(stream: object, begin: float) -> float:
    """Seconds from `begin` to the quietest moment that is SHORTEST_S to LONGEST_S later."""
    rate = int(stream.samplerate)  # type: ignore[attr-defined]
    stream.seek(round((begin + SHORTEST_S) * rate))  # type: ignore[attr-defined]
    length = round((LONGEST_S - SHORTEST_S) * rate)
    samples = stream.read(length, dtype="float32", always_2d=True)[:, 0]  # type: ignore[attr-defined]
    return SHORTEST_S + quiet_step(samples, round(STEP_S * rate)) * STEP_S


def quiet_step(samples: NDArray[np.float32], step: int) -> int:
    """The middle of the QUIET_STEPS steps of least energy. samples: [num_samples]; step: in samples."""
    count = len(samples) // step
    energy = np.square(samples[: count * step]).reshape(count, step).sum(1, dtype=np.float64)
    window = min(QUIET_STEPS, max(1, count))
    smooth = np.convolve(energy, np.ones(window), "valid")
    return int(np.argmin(smooth)) + window // 2 if len(smooth) else 0


def groups(pieces: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Pieces in their order, GROUP_S of speech at most; only a speaker with more than that is divided."""
    group: list[Entry] = []
    seconds = 0.0
    for _, own in itertools.groupby(pieces, key=lambda piece: piece.speaker):
        mine = list(own)
        room = GROUP_S - sum(map(_seconds, mine))
        if group and seconds > room:
            yield group
            group, seconds = [], 0.0
        for piece in mine:
            if group and seconds + _seconds(piece) > GROUP_S:
                yield group
                group, seconds = [], 0.0
            group.append(piece)
            seconds += _seconds(piece)
    if group:
        yield group


def _seconds(piece: Entry) -> float:
    return LONGEST_S if piece.seconds is None else piece.seconds
