"""What is odd about a corpus is said in a line each: words, case, rates, channels, lengths, speakers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dasr.config import complete
from dasr.corpora.command import make
from dasr.corpora.datadir import Entry
from dasr.corpora.language import Lexicon
from dasr.corpora.survey import Expected, oddities, summary
from dasr.errors import UserError

LEXICON = Lexicon((("ENTER", ("EH", "N")), ("YES", ("Y", "EH", "S"))))
UNKNOWN = Lexicon((*LEXICON.pronunciations, ("<UNK>", ("SPN",))), unknown="<UNK>")
EXPECTED = Expected(16000, resample=False)


def spoken(text: str, number: int = 0, speaker: str = "ann", seconds: float | None = 2.0) -> Entry:
    return Entry(f"{speaker}-{number}", speaker, tuple(text.split()), seconds=seconds)


def odd(train: list[Entry], test: list[Entry] | None = None, lexicon: Lexicon = LEXICON) -> list[str]:
    return list(oddities({"train": train, "test": test or []}, lexicon, EXPECTED))


def test_a_usual_corpus_is_summed_up_and_nothing_is_odd() -> None:
    corpus = {
        "train": [spoken("YES ENTER"), spoken("YES", 1, seconds=4.0)],
        "test": [spoken("YES", speaker="bob")],
    }
    assert list(summary(corpus, LEXICON)) == [
        "train: 2 utterances, 1 speakers, 0.002 h, 2.0 to 4.0 s, median 3.0 s",
        "test: 1 utterances, 1 speakers, 0.001 h, 2.0 to 2.0 s, median 2.0 s",
        "words: 4 spoken, 2 different, 2 in the lexicon; 0 % spoken are not in it",
    ]
    assert list(oddities(corpus, LEXICON, EXPECTED)) == []


def test_unknown_words_are_counted_the_commonest_first() -> None:
    (line,) = odd([spoken("YES NO NO NO MAYBE YES YES YES")])
    assert line == (
        "train: 50 % of the words are not in the lexicon and reject their utterances: NO (3), MAYBE (1); "
        "add them to the lexicon, or name a word for them in lang/oov.txt"
    )
    assert "and are aligned as <UNK>" in odd([spoken("YES NO")], lexicon=UNKNOWN)[0]


def test_words_in_another_case_than_the_lexicon_are_said_so() -> None:
    (line,) = odd([spoken("enter yes enter")])
    assert line.endswith("'ENTER' is in the lexicon, 'enter' is not: write both in one case")


def test_rates_and_channels_are_read_from_the_headers(tmp_path: Path) -> None:
    entries = []
    for number, (rate, channels) in enumerate([(16000, 1), (8000, 1), (8000, 1), (16000, 2)]):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.zeros((rate, channels), np.int16), rate)
        entries.append(Entry(f"u{number}", "ann", ("YES",), audio=str(path), seconds=1.0))
    rates, channels_said = odd(entries)
    assert rates == (
        "train: audio of 8000 Hz (2 of 4 files), but corpus.sample_rate is 16000: "
        "set corpus.resample: true, or corpus.sample_rate"
    )
    assert channels_said.startswith("train: 1 of 4 files have several channels (")
    assert list(oddities({"train": entries[:3]}, LEXICON, Expected(16000, resample=True))) == []


def test_odd_lengths_name_the_utterance() -> None:
    short, long = odd([spoken("YES", 1, seconds=0.05), spoken("YES", 2, seconds=90.0), spoken("YES", 3)])
    assert short == "train: 1 utterances are shorter than 0.1 s (ann-1: 0.050 s)"
    assert long.startswith("train: 1 utterances are longer than 60 s (ann-2: 90 s)")


def test_speakers_of_the_test_set_must_not_be_in_train() -> None:
    (line,) = odd(
        [spoken("YES", speaker="ann"), spoken("YES", speaker="bob")], [spoken("YES", speaker="bob")]
    )
    assert line == "test: 1 speakers are in train too (bob): its error rates are too good"


def test_strict_stops_at_an_oddity_and_a_missing_file_names_both_folders(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for split in ("train", "test"):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        names = [f"{split}{speaker}-{n}" for speaker in "ab" for n in range(3)]
        for name in names:
            soundfile.write(folder / f"{name}.wav", np.zeros(16000, np.int16), 16000)
        (folder / "wav.scp").write_text("".join(f"{n} {n}.wav\n" for n in names))
        (folder / "text").write_text("".join(f"{n} enter\n" for n in names))
        (folder / "utt2spk").write_text("".join(f"{n} {n[:-2]}\n" for n in names))
    (tmp_path / "data/train/traina-0.wav").unlink()
    (tmp_path / "data/lexicon.txt").write_text("ENTER EH N\n")
    corpus = {"kind": "kaldi", "path": str(tmp_path / "data"), "max_bad_fraction": 0.5, "dev_speakers": 1}
    shards = {"train": 1, "dev": 1, "test": 1}
    config = complete({"results": str(tmp_path / "r"), "corpus": corpus, "features": {"shards": shards}})
    with pytest.raises(UserError, match=r"oddities .* --strict allows none"):
        make(config, strict=True)
    assert not (tmp_path / "r").exists()
    make(config)
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "'ENTER' is in the lexicon, 'enter' is not" in said
    assert f"is missing (looked for in {Path.cwd()} and in {tmp_path / 'data' / 'train'})" in said
