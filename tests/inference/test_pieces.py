"""Where long recordings are cut, and how pieces are grouped."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dasr.corpora.datadir import Entry
from dasr.inference import pieces

RATE = 8000


@pytest.fixture
def long(tmp_path: Path) -> Entry:
    """70 s of noise with half a second of silence from 21 s and from 45 s."""
    samples = np.random.default_rng(0).normal(0, 0.1, 70 * RATE).astype(np.float32)
    for second in (21, 45):
        samples[second * RATE : second * RATE + RATE // 2] = 0
    path = tmp_path / "long.wav"
    soundfile.write(path, samples, RATE)
    return Entry("long", "s", (), "long", str(path))


def test_a_long_recording_is_cut_in_its_silences_and_nothing_is_lost(long: Entry) -> None:
    found = list(pieces.cut(long))
    bounds = [(piece.begin, piece.end) for piece in found]
    assert bounds[0][0] == 0 and bounds[-1][1] == 70
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))
    for cut, silence in zip([piece.begin for piece in found[1:]], (21, 45), strict=True):
        assert cut is not None and silence < cut < silence + 0.5
    assert len({piece.utterance for piece in found}) == 3


def test_a_segment_of_a_recording_keeps_its_bounds(long: Entry) -> None:
    segment = Entry("u", "s", (), "long", long.audio, 5.0, 50.0)
    found = list(pieces.cut(segment))
    assert found[0].begin == 5 and found[-1].end == 50 and 21 < (found[0].end or 0) < 21.5


def test_a_short_file_stays_whole_and_so_does_what_is_no_file(long: Entry) -> None:
    (whole,) = pieces.cut(Entry("u", "s", (), "long", long.audio, 5.0, 30.0))
    assert (whole.utterance, whole.seconds) == ("u", 25.0)
    command = Entry("u", "s", (), "u", "cat u.wav |")
    assert list(pieces.cut(command)) == [command]


def test_groups_hold_whole_speakers_unless_one_is_larger_than_a_group() -> None:
    def speech(speaker: str, count: int) -> list[Entry]:
        return [Entry(f"{speaker}{n}", speaker, (), seconds=30.0) for n in range(count)]

    found = [[p.utterance for p in group] for group in pieces.groups(speech("a", 15) + speech("b", 10))]
    assert [len(group) for group in found] == [15, 10]
    assert [len(group) for group in pieces.groups(speech("a", 45))] == [20, 20, 5]
    assert [len(group) for group in pieces.groups(speech("a", 5) + speech("b", 5))] == [10]
