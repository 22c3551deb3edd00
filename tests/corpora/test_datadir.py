"""Kaldi data directories: what is written is read back, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.corpora.datadir import Entry, read_data_dir, write_data_dir
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError


def test_a_speaker_is_one_word(data: Path) -> None:
    table = data / "train" / "utt2spk"
    first, *rest = table.read_text().splitlines()
    table.write_text("\n".join([f"{first} b", *rest]) + "\n")
    rejects = Rejects("corpus")
    read_data_dir(data / "train", rejects)
    assert "is not one speaker in" in rejects.reasons[first.split()[0]]


def test_a_reserved_symbol_in_a_transcript_stops_the_stage(data: Path) -> None:
    text = data / "train" / "text"
    text.write_text(text.read_text().replace("\n", " </s>\n"))
    with pytest.raises(UserError, match=r"train/text: .*'</s>' is a reserved symbol"):
        read_data_dir(data / "train", Rejects("corpus"))


def test_what_is_written_is_read_back_with_times_and_durations(tmp_path: Path) -> None:
    audio = tmp_path / "r.wav"
    audio.write_bytes(b"RIFF")
    entries = [
        Entry("u1", "s", ("A", "B"), "r", str(audio), 0.25, 1.5, 1.25),
        Entry("u2", "s", ("B",), "r", str(audio), 1.5, None, 2.0),
    ]
    (tmp_path / "split").mkdir()
    write_data_dir(tmp_path / "split", entries)
    rejects = Rejects("corpus")
    assert read_data_dir(tmp_path / "split", rejects) == entries
    assert not rejects.reasons
