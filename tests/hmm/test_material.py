"""What an alignment is made from: frames and transcripts."""

from pathlib import Path

import numpy as np
import pytest

from dasr.corpora.language import Lexicon
from dasr.corpora.rejects import Rejects
from dasr.features.store import Shard
from dasr.hmm import material
from dasr.hmm.lexicon_transducer import LexiconTransducer
from dasr.hmm.system import HmmSystem, write_lang
from tests.support.small_corpus import load


def test_words_that_are_not_in_the_lexicon_are_aligned_as_the_one_that_stands_for_them(
    small: Path, tmp_path: Path
) -> None:
    plain = Lexicon.read(small / "corpus" / "lang" / "lexicon.txt")
    (tmp_path / "lexicon.txt").write_text(plain.text() + "<noise> SPN\n")
    (tmp_path / "oov.txt").write_text("<noise>\n")
    write_lang(tmp_path / "hmm", LexiconTransducer(Lexicon.read(tmp_path / "lexicon.txt")))
    system, rejects = HmmSystem(tmp_path / "hmm"), Rejects("align")
    given, _ = load(small)
    text = tmp_path / "text"
    text.write_text("".join(f"{name} ONE XYLOPHONE TWO\n" for name in given.utterances))
    shards = [small / "features/mfcc/train/0000"]
    listed = material.listing(shards, text, system.words, rejects, system.unknown)
    ids = [system.words[word] for word in ("ONE", "<noise>", "TWO")]
    assert listed.transcripts == [ids] * len(given.utterances) and not len(rejects)
    assert HmmSystem(small / "hmm").unknown is None


def test_some_hours_of_a_corpus_are_read_without_the_frames_of_the_rest(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, system = load(small)
    text = small / "corpus" / "train" / "text"
    shards = [small / "features/mfcc/train/0000"] * 6  # as if there were six
    listed = material.listing(shards, text, system.words, Rejects("test")).usable()
    opened: list[Path] = []
    read = Shard.read_frames

    def observed(shard: Shard) -> np.ndarray:
        opened.append(shard.folder)
        return read(shard)

    monkeypatch.setattr(Shard, "read_frames", observed)
    some = listed.limit_duration(0.01 * len(whole.frames)).read()  # of six times as much
    assert len(some.utterances) == len(whole.utterances) and len(opened) == 6
    for n in range(0, len(some.utterances), 7):
        twin = whole.utterances.index(some.utterances[n])
        np.testing.assert_array_equal(some.frames_of(n), whole.frames_of(twin))
    opened.clear()
    few = listed.select(np.arange(3)).read()
    assert len(opened) == 1 and list(few.utterances) == list(whole.utterances[:3])
