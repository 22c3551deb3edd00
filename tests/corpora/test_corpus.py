"""`dasr corpus` on AN4 and on Kaldi data directories, and one clear line for each kind of bad input."""

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as settings_of_test
from hypothesis import strategies as st

from dasr.config import SCHEMA, complete
from dasr.corpora import splits
from dasr.corpora.command import corpus, make
from dasr.corpora.config import CorpusConfig
from dasr.corpora.datadir import Entry, read_data_dir
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError

AN4 = Path(__file__).parents[2] / "corpora" / "an4"
SPLITS = ("train", "dev", "test")


def config(results: Path, shards: int = 1, **settings: Any) -> dict[str, Any]:
    sizes = {split: shards for split in SPLITS}
    return complete({"results": str(results), "corpus": settings, "features": {"shards": sizes}})


def table(path: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def an4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("an4")
    make(config(results, shards=4, path=str(AN4)))
    return results / "corpus"


def test_the_schema_names_exactly_the_fields_of_the_dataclass() -> None:
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))["properties"]["corpus"]["properties"]
    assert set(schema) == {field.name for field in dataclasses.fields(CorpusConfig)}


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


def test_the_limit_takes_utterances_from_as_many_speakers_as_it_can(tmp_path: Path) -> None:
    make(config(tmp_path, path=str(AN4), limit=70))
    utt2spk = table(tmp_path / "corpus" / "train" / "utt2spk")
    assert len(utt2spk) == 70 and len(set(utt2spk.values())) == 66
    assert len(table(tmp_path / "corpus" / "test" / "text")) == 70


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


# A Kaldi corpus, and what may be wrong with it


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """train and test of 4 speakers x 5 utterances each, and a lexicon."""
    root = tmp_path / "data"
    tone = (1000 * np.sin(np.arange(8000) / 7)).astype(np.int16)
    for split in ("train", "test"):
        names = [f"{split}{s}-u{n}" for s in range(4) for n in range(5)]
        folder = root / split
        folder.mkdir(parents=True)
        for name in names:
            soundfile.write(folder / f"{name}.flac", tone, 16000)
        (folder / "wav.scp").write_text("".join(f"{n} {n}.flac\n" for n in reversed(names)))
        (folder / "text").write_text("".join(f"{n} HÉLLO WORLD\n" for n in names), encoding="utf-8")
        (folder / "utt2spk").write_text("".join(f"{n} {n[:-3]}\n" for n in names))
    (root / "lang").mkdir()
    (root / "lang" / "lexicon.txt").write_text("HÉLLO HH AH L OW\nWORLD W ER L D\n", encoding="utf-8")
    return root


def settings(data: Path, **more: Any) -> dict[str, Any]:
    return {"kind": "kaldi", "path": str(data), "dev_speakers": 1, "max_bad_fraction": 0.2, **more}


def test_a_kaldi_corpus_is_taken_as_it_stands(data: Path) -> None:
    results = data.parent / "results"
    make(config(results, **settings(data)))
    assert [len(table(results / "corpus" / split / "text")) for split in SPLITS] == [15, 5, 20]
    assert all(Path(p).is_file() for p in table(results / "corpus" / "train" / "wav.scp").values())
    assert "ngram 1=4" in (results / "corpus" / "lang" / "unigram.arpa").read_text(encoding="utf-8")


def test_fewer_shards_than_before_leave_no_features_of_the_others_behind(data: Path) -> None:
    results = data.parent / "results"
    kept, gone = (results / "features" / "fbank" / "train" / number for number in ("0001", "0002"))
    kept.mkdir(parents=True)
    gone.mkdir()
    make({**config(results, **settings(data)), "features": {"shards": {"train": 2, "dev": 1, "test": 1}}})
    assert kept.is_dir() and not gone.exists()


def test_segments_survive_the_way_through(data: Path) -> None:
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


BAD: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "missing audio": (lambda f: (f / "train0-u0.flac").unlink(), "train0-u0", "train0-u0.flac is missing"),
    "empty file": (lambda f: (f / "train0-u0.flac").write_bytes(b"") and None, "train0-u0", "is empty"),
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
    "no speaker": (_edit("utt2spk", lambda t: t.split(b"\n", 1)[1]), "train0-u0", "no speaker in utt2spk"),
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
def test_a_bad_utterance_is_set_aside_and_beyond_the_fraction_stops_with_one_line(
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
        (shutil.rmtree, "corpus.path: there is no folder"),
    ],
)
def test_what_stops_the_stage_is_one_line(data: Path, change: Callable[[Path], Any], message: str) -> None:
    change(data)
    with pytest.raises(UserError, match=message):
        make(config(data.parent / "results", **settings(data)))
    assert not (data.parent / "results").exists()


def test_too_many_shards_for_the_speakers_is_one_line_on_the_command_line(data: Path) -> None:
    path = data.parent / "config.yaml"
    path.write_text(json.dumps(config(data.parent / "r", shards=9, **settings(data))))
    result = CliRunner().invoke(corpus, ["--config", str(path)])
    assert isinstance(result.exception, UserError)
    assert "features.shards.train is 9, but train has only 3 speakers" in str(result.exception)


@given(
    lengths=st.lists(st.lists(st.floats(0.1, 20), min_size=1, max_size=6), min_size=1, max_size=20),
    count=st.integers(1, 8),
)
@settings_of_test(max_examples=40, deadline=None)
def test_shards_partition_speakers_and_none_is_empty(lengths: list[list[float]], count: int) -> None:
    entries = [
        Entry(f"s{s}-{u}", f"s{s}", ("A",), seconds=x)
        for s, mine in enumerate(lengths)
        for u, x in enumerate(mine)
    ]
    if len(lengths) < count:
        with pytest.raises(UserError):
            splits.shards(entries, count, "train")
        return
    parts = splits.shards(entries, count, "train")
    assert all(parts) and sorted(e.utterance for p in parts for e in p) == sorted(
        e.utterance for e in entries
    )
    assert sum(len({e.speaker for e in part}) for part in parts) == len(lengths)
    # Longest-first greedy: no shard exceeds the lightest by more than one speaker.
    totals = [sum(e.seconds or 0 for e in part) for part in parts]
    assert max(totals) - min(totals) <= max(sum(mine) for mine in lengths) + 1e-6
