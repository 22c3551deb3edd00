"""`dasr corpus` on Kaldi data directories, and one clear line for each kind of bad input."""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dasr.corpora.command import make
from dasr.corpora.datadir import read_data_dir
from dasr.corpora.language import LanguageModel, Lexicon
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from tests.support.corpora import SPLITS, config, settings, table


def test_a_kaldi_corpus_is_taken_as_it_stands(data: Path) -> None:
    results = data.parent / "results"
    make(config(results, **settings(data)))
    assert [len(table(results / "corpus" / split / "text")) for split in SPLITS] == [15, 5, 20]
    assert all(Path(p).is_file() for p in table(results / "corpus" / "train" / "wav.scp").values())
    assert "ngram 1=4" in (results / "corpus" / "lang" / "unigram.arpa").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lexicon", "oov", "name"),
    [
        ("<unk> SPN\n", None, "<unk>"),
        ("[noise] NSN\n!SIL SIL\n", "[noise]", "[noise]"),
        ("!SIL SIL\n", None, None),
    ],
)
def test_a_word_for_unknown_ones_and_silence_are_kept_from_language_models(
    data: Path, lexicon: str, oov: str | None, name: str | None
) -> None:
    (data / "dict").mkdir()
    (data / "dict" / "lexicon.txt").write_text((data / "lang" / "lexicon.txt").read_text() + lexicon)
    (data / "lang" / "lexicon.txt").unlink()
    if oov:
        (data / "lang" / "oov.txt").write_text(f"{oov}\n")
    make(config(data.parent / "results", **settings(data)))
    lang = data.parent / "results" / "corpus" / "lang"
    assert Lexicon.read(lang / "lexicon.txt").unknown == name
    assert (lang / "oov.txt").exists() == bool(name)
    assert re.findall(r"\t(\S+)", (lang / "unigram.arpa").read_text()) == ["<s>", "</s>", "HÉLLO", "WORLD"]


def test_a_model_that_is_compressed_is_read_too(data: Path) -> None:
    model = LanguageModel({"WORLD": -0.1, "</s>": -0.2}).arpa()
    with gzip.open(data / "lang" / "lm.arpa.gz", "wt") as file:
        file.write(model)
    make(config(data.parent / "results", **settings(data)))
    assert (data.parent / "results/corpus/lang/unigram.arpa").read_text() == model


def test_segments_survive_all_stages(data: Path) -> None:
    (data / "test" / "segments").write_text("test0-u0 test0-u1 0.1 0.35\ntest0-u2 test0-u1 0.2 -1\n")
    for name in ("text", "utt2spk"):
        lines = (data / "test" / name).read_text().splitlines()
        kept = [line for line in lines if line.split()[0] in ("test0-u0", "test0-u2")]
        (data / "test" / name).write_text("\n".join(kept) + "\n")
    results = data.parent / "results"
    make(config(results, **settings(data)))
    entries = read_data_dir(results / "corpus" / "test" / "shards" / "0000", Rejects(""))
    assert [(e.begin, e.end) for e in entries] == [(0.1, 0.35), (0.2, None)]


def _edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return apply


BAD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing audio": (lambda f: (f / "train0-u0.flac").unlink(), "train0-u0", "train0-u0.flac is missing"),
    "empty file": (lambda f: (f / "train0-u0.flac").write_bytes(b""), "train0-u0", "is empty"),
    "no transcript": (
        _edit("text", lambda t: t.split(b"\n", 1)[1]),
        "train0-u0",
        "audio without a transcript",
    ),
    "no words": (
        _edit("text", lambda t: b"train0-u0\n" + t.split(b"\n", 1)[1]),
        "train0-u0",
        "empty transcript",
    ),
    "no audio": (_edit("text", lambda t: t + b"other A\n"), "other", "transcript without audio"),
    "no speaker": (_edit("utt2spk", lambda t: t.split(b"\n", 1)[1]), "train0-u0", "no speaker in "),
    "duplicate text": (_edit("text", lambda t: t + b"train0-u0 B\n"), "train0-u0", "text:21: duplicate id"),
    "duplicate audio": (
        _edit("wav.scp", lambda t: t + b"train0-u0 B\n"),
        "train0-u0",
        "wav.scp:21: duplicate id",
    ),
    "not UTF-8": (
        _edit("text", lambda t: t.replace("É".encode(), b"\xc9", 1)),
        "train0-u0",
        "text:1 is not UTF-8",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_utterance_is_rejected_and_beyond_the_fraction_stops_with_one_line(
    data: Path, what: str
) -> None:
    damage, utterance, reason = BAD[what]
    damage(data / "train")
    results = data.parent / "results"
    make(config(results, **settings(data)))
    rows = [json.loads(line) for line in (results / "corpus/train/rejected.jsonl").read_text().splitlines()]
    assert [row["utterance"] for row in rows] == [utterance] and reason in rows[0]["reason"]
    assert utterance not in table(results / "corpus" / "train" / "text")
    with pytest.raises(
        UserError, match=rf"corpus train: 1 of 2[01] utterances are bad.*{utterance}: "
    ) as stopped:
        make(config(data.parent / "strict", **settings(data, max_bad_fraction=0)))
    assert "\n" not in str(stopped.value)
    assert not (data.parent / "strict").exists()


def test_a_pipe_is_refused_unless_allowed(data: Path) -> None:
    scp = data / "train" / "wav.scp"
    scp.write_text(scp.read_text().replace("train0-u0.flac", "touch /nowhere/x |"))
    with pytest.raises(UserError, match="runs a command; set corpus"):
        make(config(data.parent / "results", **settings(data)))
    make(config(data.parent / "results", **settings(data, allow_pipes=True)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: shutil.rmtree(d / "test"), r"there is no data directory .*test"),
        (lambda d: (d / "train" / "text").unlink(), r"cannot read .*text: No such file"),
        (lambda d: (d / "lang" / "lexicon.txt").unlink(), "no lexicon below"),
        (
            lambda d: (d / "lang" / "lexicon.txt").write_text("A\n"),
            "lexicon.txt:1: the word 'A' has no phones",
        ),
        (lambda d: (d / "lang" / "lexicon.txt").write_bytes(b"\xc9 A\n"), "lexicon.txt:1 is not UTF-8"),
        (
            lambda d: (d / "lang" / "oov.txt").write_text("<unk>\n"),
            "names '<unk>' for words .* not there itself",
        ),
        (lambda d: (d / "lm.arpa.gz").write_text("no"), "cannot read the language model .*lm.arpa.gz: "),
        (shutil.rmtree, "corpus.path: there is no folder"),
    ],
)
def test_what_stops_the_stage_is_one_line(data: Path, change: Callable[[Path], Any], message: str) -> None:
    change(data)
    with pytest.raises(UserError, match=message):
        make(config(data.parent / "results", **settings(data)))
    assert not (data.parent / "results").exists()
