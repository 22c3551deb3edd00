"""Lexicons: reserved symbols and probabilities are never taken for words or phones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dasr.corpora import kaldi
from dasr.corpora.language import Lexicon
from dasr.errors import UserError


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        *(
            ("lexicon.txt", f"{word} AH", "reserved symbol, not a word")
            for word in ("#0", "<eps>", "<s>", "</s>")
        ),
        *(
            ("lexicon.txt", f"ODD AH {phone}", "reserved symbol, not a phone")
            for phone in ("#", "#1", "#x", "<eps>")
        ),
        ("lexicon.txt", "A 0.9 AH", "'0.9' looks like a probability"),
        ("lexicon.txt", "A\t0.99\t0.2\t1.0\tAH", "'0.99' looks like a probability"),
        ("lexiconp.txt", "ONE W AH N", "'W' is no probability"),
        ("lexiconp.txt", "D 0 D IY", "must be above 0"),
        ("lexiconp.txt", "D nan D IY", "'nan' is no probability"),
        ("lexicon.txt", "ALONE", "has no phones"),
    ],
)
def test_what_is_no_pronunciation_is_named_with_its_line(
    tmp_path: Path, name: str, line: str, message: str
) -> None:
    first = "B 1.0 B IY" if name == "lexiconp.txt" else "B B IY"
    path = written(tmp_path, name, f"{first}\n{line}\n")
    with pytest.raises(UserError, match=rf"{name}:2: .*{message}"):
        Lexicon.read(path)


def test_a_phone_may_be_a_number(tmp_path: Path) -> None:
    read = Lexicon.read(written(tmp_path, "lexicon.txt", "MA m a 1\nTWO 2\n"))
    assert read.pronunciations == (("MA", ("m", "a", "1")), ("TWO", ("2",)))


def test_probabilities_reach_the_transducer(tmp_path: Path) -> None:
    from dasr.hmm.lexicon_transducer import LexiconTransducer

    given = written(tmp_path / "dict", "lexiconp.txt", "A 0.75 AH\nA 0.25 EY\nB 1 B IY\n")
    for name, text in Lexicon.read(given).files().items():
        written(tmp_path / "lang", name, text)
    read = LexiconTransducer(Lexicon.of_lang(tmp_path / "lang"))
    assert read.lexicon.probabilities[("A", ("EY",))] == 0.25
    weights = {}
    for line in read.fst(disambiguate=False).to_str(show_weight_one=True).splitlines():
        fields = line.split()
        if len(fields) == 5 and fields[0] == "1" and fields[1] == "1":
            weights[int(fields[2])] = float(fields[4])
    import math

    ids = read.phone_ids
    assert weights[ids["AH"]] - weights[ids["EY"]] == pytest.approx(math.log(0.25 / 0.75), abs=1e-5)


def test_silence_phones_are_those_that_the_folder_names(tmp_path: Path) -> None:
    written(tmp_path / "dict", "lexicon.txt", "<sil> sil\n<laughs> lau\nONE w ah n\n")
    written(tmp_path / "dict", "optional_silence.txt", "sil\n")
    written(tmp_path / "dict", "silence_phones.txt", "sil\nlau\n")
    read = kaldi.lexicon(tmp_path)
    assert read.silence == "sil" and read.spoken == {"ONE"}


def test_two_lexicons_that_differ_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "dict", "lexicon.txt", "ONE w ah n\nTWO t uw\n")
    written(tmp_path / "dict", "lexiconp.txt", "ONE 1.0 w ah n\n")
    with pytest.raises(UserError, match="differ in words or phones"):
        kaldi.lexicon(tmp_path)


@pytest.mark.parametrize(
    "name", ["lm.arpa.bz2", "lm.arpa.xz", "3-gram.pruned.1e-7.arpa.gz", "G.arpa", "LM.ARPA"]
)
def test_a_language_model_is_found_under_every_name(tmp_path: Path, name: str) -> None:
    import bz2
    import gzip
    import lzma

    text = b"\\data\\\nngram 1=2\n\n\\1-grams:\n-0.5\t</s>\n-0.5\tONE\n\n\\end\\\n"
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".gz": gzip.compress,
    }
    (tmp_path / "lang").mkdir()
    (tmp_path / "lang" / name).write_bytes(packers.get(Path(name).suffix, bytes)(text))
    kaldi.write_language_model(kaldi.language_model(tmp_path), {"ONE"}, tmp_path / "out.arpa")
    assert (tmp_path / "out.arpa").read_bytes() == text


def test_of_several_language_models_the_usual_name_is_taken_and_the_others_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "\\data\\\nngram 1=1\n\n\\1-grams:\n-0.5\tONE\n\n\\end\\\n"
    for name in ("big.arpa", "small.arpa"):
        written(tmp_path / "lang", name, text)
    with pytest.raises(UserError, match=r"several language models .*big\.arpa, lang/small\.arpa"):
        kaldi.language_model(tmp_path)
    written(tmp_path / "lang", "lm.arpa", text)
    with caplog.at_level("INFO"):
        assert kaldi.language_model(tmp_path) == tmp_path / "lang" / "lm.arpa"
    assert "not read: lang/big.arpa, lang/small.arpa" in caplog.text
