"""What may be given to be transcribed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.inference import sources


def wav(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(800, np.float32), 8000)
    return path


def test_files_and_folders_are_named_by_where_they_lie(tmp_path: Path) -> None:
    wav(tmp_path / "x" / "ann" / "one.wav")
    wav(tmp_path / "x" / "bob" / "a talk.flac")
    (tmp_path / "x" / "notes.txt").write_text("no audio")
    one = wav(tmp_path / "alone.ogg")
    found = sources.entries([tmp_path / "x", one], Rejects("t"))
    assert [entry.utterance for entry in found] == ["alone", "ann/one", "bob/a_talk"]
    assert [entry.speaker for entry in found] == ["alone", "ann/one", "bob/a_talk"]
    by_folder = sources.entries([tmp_path / "x"], Rejects("t"), speaker_a_folder=True)
    assert [Path(entry.speaker).name for entry in by_folder] == ["ann", "bob"]


def test_a_data_directory_needs_no_transcripts_and_gives_its_speakers_and_segments(tmp_path: Path) -> None:
    audio = wav(tmp_path / "r.wav")
    (tmp_path / "wav.scp").write_text(f"r {audio}\ngone {tmp_path}/gone.wav\n")
    (tmp_path / "segments").write_text("u2 r 0.05 0.1\nu1 r 0 0.05\nu3 gone 0 1\nu4 other 0 1\n")
    (tmp_path / "utt2spk").write_text("u1 z\nu2 a\n")
    rejects = Rejects("t")
    found = sources.entries([tmp_path], rejects)
    assert [(e.utterance, e.speaker, e.begin, e.end) for e in found] == [
        ("u2", "a", 0.05, 0.1),
        ("u1", "z", 0.0, 0.05),
    ]
    assert rejects.reasons.keys() == {"u3", "u4"}
    other = tmp_path / "some.scp"
    other.write_text(f"v {audio}\n")
    (tmp_path / "segments").unlink()
    (found_one,) = sources.entries([other], Rejects("t"))
    assert (found_one.utterance, found_one.speaker) == ("v", "v")


def test_what_is_not_there_and_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file or folder"):
        sources.entries([tmp_path / "nothing"], Rejects("t"))
    with pytest.raises(UserError, match="no audio in"):
        sources.entries([tmp_path], Rejects("t"))
    wav(tmp_path / "a.wav"), wav(tmp_path / "a.flac")
    with pytest.raises(UserError, match="one id, 'a'"):
        sources.entries([tmp_path], Rejects("t"))
