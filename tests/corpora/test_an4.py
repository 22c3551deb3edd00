"""`dasr corpus` on AN4: the splits, the language, and one clear line for each bad line of its tables."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dasr.corpora.command import make
from dasr.errors import UserError
from tests.support.corpora import SPLITS, config, table

AN4 = Path(__file__).parents[2] / "corpora" / "an4"


@pytest.fixture(scope="module")
def an4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("an4")
    make(config(results, shards=4, path=str(AN4)))
    return results / "corpus"


def test_embedded_an4_has_the_official_test_set_and_every_sample_of_the_original() -> None:
    lengths = {file.stem: soundfile.info(file).frames for file in AN4.glob("wav/*/*/*.ogg")}
    assert len(lengths) == 1078
    assert sum(lengths.values()) == 46_452_800  # of the lossless files, as the corpus' README says
    assert sum(f.stat().st_size for f in AN4.rglob("*")) <= 18_000_000


def test_an4_becomes_train_dev_and_test_of_whole_and_disjoint_speakers(an4: Path) -> None:
    counts = {split: len(table(an4 / split / "text")) for split in SPLITS}
    assert counts["test"] == 130 and counts["train"] + counts["dev"] == 948
    speakers = {split: set(table(an4 / split / "spk2utt")) for split in SPLITS}
    assert [len(speakers[split]) for split in SPLITS] == [66, 8, 10]
    assert not speakers["train"] & speakers["dev"] and {s[0] for s in speakers["dev"]} == {"f", "m"}
    assert sum(len(words.split()) for words in table(an4 / "test" / "text").values()) == 773
    assert table(an4 / "train" / "text")["fash-an255-b"] == "U M N Y H SIX"


def test_shards_hold_whole_speakers_and_are_balanced(an4: Path) -> None:
    shards = sorted((an4 / "train" / "shards").iterdir())
    seconds = [sum(float(s) for s in table(shard / "utt2dur").values()) for shard in shards]
    assert max(seconds) - min(seconds) < 0.05 * max(seconds)
    owners = Counter(speaker for shard in shards for speaker in table(shard / "spk2utt"))
    assert set(owners.values()) == {1} and set(owners) == set(table(an4 / "train" / "spk2utt"))
    merged: dict[str, str] = {}
    for shard in shards:
        merged |= table(shard / "text")
    assert merged == table(an4 / "train" / "text")
    lines = (an4 / "train" / "utt2spk").read_bytes().splitlines()
    assert lines == sorted(lines)


def test_the_unigram_is_a_grammar_and_every_word_has_a_pronunciation(an4: Path) -> None:
    from dasr.hmm.arpa import grammar

    arpa = an4 / "lang" / "unigram.arpa"
    words = [line.split()[1] for line in arpa.read_text().splitlines() if line.startswith("-2.0253")]
    assert len(words) == 100 and "<UNK>" not in words and "</s>" in words
    lexicon = {line.split()[0] for line in (an4 / "lang" / "lexicon.txt").read_text().splitlines()}
    assert set(words) - {"</s>"} <= lexicon and len(lexicon) == 101
    symbols = {w: i for i, w in enumerate(["<eps>", *sorted(lexicon), "#0", "<s>", "</s>"])}
    fst = grammar(arpa, symbols)
    arcs = [line.split() for line in fst.to_str(show_weight_one=True).splitlines() if len(line.split()) >= 4]
    words_read = [arc for arc in arcs if arc[2] != str(symbols["#0"])]
    assert len(words_read) == 99
    assert all(float(arc[4]) == pytest.approx(2.0253 * np.log(10), abs=1e-4) for arc in words_read)


@pytest.mark.parametrize("suffix", ["sph", "wav", "raw"])
def test_the_original_distribution_is_read_as_it_is(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "an4"
    shutil.copytree(AN4 / "etc", source / "etc")
    for split, count in (("train", 40), ("test", 4)):
        for kind in ("fileids", "transcription"):
            file = source / "etc" / f"an4_{split}.{kind}"
            file.write_text("".join(file.read_text().splitlines(keepends=True)[:count]))
        for name in (source / "etc" / f"an4_{split}.fileids").read_text().split():
            target = source / "wav" / f"{name}.{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            samples = np.zeros(1600, np.int16)
            if suffix == "raw":
                samples.astype(">i2").tofile(target)
            else:
                kind = "NIST" if suffix == "sph" else "WAV"
                soundfile.write(target, samples, 16000, format=kind, subtype="PCM_16")
    make(config(tmp_path / "results", path=str(source), dev_speakers=1))
    assert all(v.endswith(f".{suffix}") for v in table(tmp_path / "results/corpus/train/wav.scp").values())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "an4_train.transcription",
            lambda t: t.replace(b"(an253-", b"(an251-"),
            "transcription:2: duplicate utterance",
        ),
        ("an4_train.transcription", lambda t: t.replace(b"YES", b"\xff", 1), "transcription:1 is not UTF-8"),
        (
            "an4_train.transcription",
            lambda t: t.replace(b"(an251-fash-b)", b""),
            "transcription:1 is not 'WORD",
        ),
        ("an4_train.fileids", lambda t: t + t.split(b"\n")[0], "duplicate utterance id"),
        ("an4_train.fileids", lambda t: t.split(b"\n", 1)[1], "transcript without audio"),
        (
            "an4_train.fileids",
            lambda t: t.replace(b"an251-", b"an999-"),
            "an999-fash-b is missing .any of .ogg",
        ),
    ],
)
def test_a_bad_line_of_an4_is_named(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes], message: str
) -> None:
    shutil.copytree(AN4 / "etc", tmp_path / "an4" / "etc")
    (tmp_path / "an4" / "wav").symlink_to(AN4 / "wav")
    file = tmp_path / "an4" / "etc" / name
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(UserError, match=rf"corpus train: \d of \d+ utterances are bad.*{message}"):
        make(config(tmp_path / "results", path=str(tmp_path / "an4"), max_bad_fraction=0))
