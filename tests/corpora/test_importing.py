"""Corpora in the layouts of others become data directories that the corpus stage reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import soundfile
from click.testing import CliRunner

from dasr.cli import dasr
from dasr.corpora import importing
from dasr.corpora.datadir import Entry, read_data_dir
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError


def audio(path: Path, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(8000 * seconds), np.float32), 8000)
    return path


def read(folder: Path) -> dict[str, Entry]:
    rejects = Rejects("t")
    found = {entry.utterance: entry for entry in read_data_dir(folder, rejects)}
    assert not rejects
    return found


def test_librispeech_has_its_speakers_words_and_files(tmp_path: Path) -> None:
    chapter = tmp_path / "LibriSpeech" / "dev" / "84" / "121"
    first = audio(chapter / "84-121-0000.flac")
    (chapter / "84-121.trans.txt").write_text("84-121-0000 GO ON\n84-121-0001 GONE\n")
    assert importing.write("librispeech", chapter.parents[1], tmp_path / "out")[0] == 1
    found = read(tmp_path / "out")["84-121-0000"]
    assert (found.speaker, found.words, found.audio) == ("84", ("GO", "ON"), str(first))
    rejected = json.loads((tmp_path / "out" / "rejected.jsonl").read_text())
    assert rejected["utterance"] == "84-121-0001"


def test_common_voice_takes_quotes_as_they_are(tmp_path: Path) -> None:
    audio(tmp_path / "clips" / "cv_1.wav")
    (tmp_path / "train.tsv").write_text('client_id\tpath\tsentence\nabc\tcv_1.wav\t"Go on, he said.\n')
    importing.write("commonvoice", tmp_path / "train.tsv", tmp_path / "out")
    assert read(tmp_path / "out")["abc-cv_1"].words == ('"Go', "on,", "he", "said.")
    (tmp_path / "other.tsv").write_text("id\tpath\n")
    with pytest.raises(UserError, match="no column 'client_id'"):
        importing.write("commonvoice", tmp_path / "other.tsv", tmp_path / "more")
    assert not (tmp_path / "more").exists()


def manifest(path: Path, *records: dict[str, Any]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in records)


def test_lhotse_cuts_and_supervisions_give_the_same_segments(tmp_path: Path) -> None:
    place = str(audio(tmp_path / "talk.wav", 3.0))
    source = {"type": "file", "channels": [0], "source": place}
    recording = {"id": "talk", "sources": [source], "sampling_rate": 8000, "duration": 3.0}
    said = {
        "id": "u1",
        "recording_id": "talk",
        "start": 1.5,
        "duration": 1.0,
        "text": "GO ON",
        "speaker": "s",
    }
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
    manifest(tmp_path / "a" / "recordings.jsonl.gz", recording)
    manifest(tmp_path / "a" / "supervisions.jsonl.gz", said)
    # In a cut, times of supervisions are relative to its start.
    cut = {"id": "c", "start": 1.0, "duration": 2.0, "type": "MonoCut", "recording": recording}
    manifest(tmp_path / "b" / "cuts.jsonl.gz", {**cut, "supervisions": [{**said, "start": 0.5}]})
    for kind in ("a", "b"):
        importing.write("lhotse", tmp_path / kind, tmp_path / f"out-{kind}")
    one, other = (read(tmp_path / f"out-{kind}") for kind in ("a", "b"))
    assert one == other
    found = one["s-u1"]
    assert (found.recording, found.begin, found.end, found.speaker) == ("talk", 1.5, 2.5, "s")
    assert found.audio == place


def test_hugging_face_audio_is_taken_out_of_the_arrow_files(tmp_path: Path) -> None:
    data = audio(tmp_path / "x.flac").read_bytes()
    split = tmp_path / "set" / "train"
    split.mkdir(parents=True)
    rows = [
        {"id": "u1", "audio": {"bytes": data, "path": "x.flac"}, "text": "GO ON", "speaker_id": 7},
        {
            "id": "u2",
            "audio": {"bytes": None, "path": str(tmp_path / "x.flac")},
            "text": "OFF",
            "speaker_id": 8,
        },
        {"id": "u3", "audio": {"bytes": None, "path": "gone.flac"}, "text": "OFF", "speaker_id": 8},
    ]
    table = pyarrow.Table.from_pylist(rows)
    with pyarrow.ipc.new_stream(str(split / "data-00000-of-00001.arrow"), table.schema) as stream:
        stream.write_table(table)
    count, rejects = importing.write("huggingface", split, tmp_path / "out")
    found = read(tmp_path / "out")
    assert count == 2 and rejects.reasons.keys() == {"u3"}
    assert Path(found["7-u1"].audio).read_bytes() == data
    assert Path(found["7-u1"].audio).is_relative_to(tmp_path / "out")
    assert found["8-u2"].audio == str(tmp_path / "x.flac")
    with pytest.raises(UserError, match="has the splits train: give the folder of one"):
        importing.write("huggingface", tmp_path / "set", tmp_path / "more")


@pytest.mark.parametrize("kind", importing.READERS)
def test_a_folder_of_another_kind_is_refused_on_the_command_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    arguments = ["corpus", "import", "--from", kind, str(tmp_path / "source"), str(tmp_path / "out")]
    with pytest.raises(UserError, match=str(tmp_path / "source")):
        CliRunner().invoke(dasr, arguments, catch_exceptions=False)
    assert not (tmp_path / "out").exists()
