"""WER against sclite and against hand counts; the choice of the scale; significance."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dasr import checksums
from dasr.decoding import hypotheses, scoring
from dasr.decoding.hypotheses import Hypothesis, Setting
from dasr.errors import UserError

Words = dict[str, list[str]]


WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero"]


def corrupted(references: dict[str, list[str]], rate: float, seed: int) -> dict[str, list[str]]:
    draw = random.Random(seed)
    said = {}
    for utterance, words in references.items():
        out: list[str] = []
        for word in words:
            kind = draw.random() / rate
            if kind < 0.4:
                out.append(draw.choice(WORDS))
            elif 0.4 <= kind < 0.7:
                out += [word, draw.choice(WORDS)]
            elif not 0.7 <= kind < 1.0:
                out.append(word)
        said[utterance] = out
    return said


def speech(seed: int, count: int = 60) -> dict[str, list[str]]:
    draw = random.Random(seed)
    return {f"spk{i % 5}-u{i:03d}": draw.choices(WORDS, k=draw.randint(1, 9)) for i in range(count)}


def test_errors_are_counted_by_kind() -> None:
    found = scoring.count_errors({"u": ["a", "b", "c", "d"]}, {"u": ["a", "x", "c", "d", "e"]})
    assert (found.subs, found.dels, found.ins, found.words, found.wer) == (1, 0, 1, 4, 50.0)


def test_sclite_agrees_to_the_error(tmp_path: Path) -> None:
    sclite = shutil.which("sclite") or shutil.which("sctk")
    if sclite is None:
        pytest.skip("sclite IS MISSING, so the WER was not checked against it: apt install sctk")
    command = [sclite, "sclite"] if sclite.endswith("sctk") else [sclite]
    for seed, rate in [(0, 0.15), (1, 0.5), (2, 0.95)]:
        references = speech(seed)
        said = {
            u: Hypothesis(u, Setting(0.1), words, [(i * 0.3, i * 0.3 + 0.3) for i in range(len(words))], 0.0)
            for u, words in corrupted(references, rate, seed).items()
        }
        found = scoring.count_errors(references, {u: one.words for u, one in said.items()})
        scoring.write_nist(tmp_path, references, said, {u: u.split("-")[0] for u in references})
        trn = ["-r", "ref.trn", "trn", "-h", "test.trn", "trn", "-i", "spu_id"]
        output = subprocess.run(
            [*command, *trn, "-o", "rsum", "stdout"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        fields = re.search(
            r"\|\s*Sum\s*\|\s*(\d+)\s+(\d+)\s*\|\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", output
        )
        assert fields, output
        sentences, words, _, subs, dels, ins, errors = map(int, fields.groups())
        assert (sentences, words) == (len(references), found.words)
        assert (subs, dels, ins, errors) == (found.subs, found.dels, found.ins, found.total)
        # ctm and stm: aligned in time, so only what does not depend on the alignment must agree
        output = subprocess.run(
            [*command, "-r", "ref.stm", "stm", "-h", "test.ctm", "ctm", "-o", "rsum", "stdout"],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        fields = re.search(r"\|\s*Sum\s*\|\s*(\d+)\s+(\d+)\s*\|", output)
        assert fields and int(fields[2]) == found.words, output


def test_the_scale_is_the_best_on_dev_and_the_middle_one_of_a_tie() -> None:
    references = speech(9, 20)
    exact, wrong = references, corrupted(references, 0.5, 1)

    def by_scale(**said: Words) -> dict[Setting, Words]:
        return {Setting(float(scale[1:]) / 100): words for scale, words in said.items()}

    chosen, errors = scoring.choose(references, by_scale(_5=wrong, _10=exact, _20=wrong))
    assert chosen == (0.1, 0) and errors[chosen].total == 0 < errors[Setting(0.2)].total
    assert scoring.choose(references, by_scale(_5=exact, _10=exact, _20=exact, _40=wrong))[0].scale == 0.1


def test_a_tie_of_penalties_goes_to_the_one_with_fewer_errors_at_its_other_scales() -> None:
    references = speech(9, 20)
    exact, bad, worse = references, corrupted(references, 0.3, 1), corrupted(references, 0.9, 1)
    found = {
        Setting(1, 0): worse, Setting(2, 0): exact,
        Setting(1, 4): exact, Setting(2, 4): bad,
    }  # fmt: skip
    assert scoring.choose(references, found)[0] == Setting(1, 4)


def make_results(
    root: Path, references: Words, said: Words, splits: tuple[str, ...] = ("dev", "test")
) -> None:
    for split in splits:
        corpus = root / "corpus" / split
        corpus.mkdir(parents=True)
        (corpus / "text").write_text("".join(f"{u} {' '.join(w)}\n" for u, w in references.items()))
        (corpus / "utt2spk").write_text("".join(f"{u} {u.split('-')[0]}\n" for u in references))
        lines = [
            Hypothesis(u, Setting(scale), words, [(0.0, 0.1)] * len(words), 1.0)
            for scale in (0.1, 0.2)
            for u, words in (said if scale == 0.1 else corrupted(said, 0.5, 4)).items()
        ]
        hypotheses.write(root / "decode" / "run" / "unigram" / f"{split}.jsonl", lines)


def test_score_writes_everything_and_refuses_a_part_of_a_set(tmp_path: Path) -> None:
    references = speech(11)
    said = corrupted(references, 0.1, 1)
    make_results(tmp_path, references, said)
    found = scoring.score(tmp_path, "run", "unigram")
    assert found["scale"] == 0.1 and found["wer"] == pytest.approx(scoring.count_errors(references, said).wer)
    folder = tmp_path / "decode" / "run" / "unigram"
    assert {p.name for p in folder.iterdir()} >= {"score.json", "test.trn", "ref.trn", "test.ctm", "ref.stm"}
    lost = next(iter(said))
    test = folder / "test.jsonl"
    test.write_text("".join(line for line in test.read_text().splitlines(True) if lost not in line))
    checksums.seal(test)
    with pytest.raises(UserError, match=f"1 utterances of test were not decoded .*{lost}"):
        scoring.score(tmp_path, "run", "unigram")
    test.write_text(test.read_text()[:-20])
    checksums.seal(test)
    with pytest.raises(UserError, match=r"test\.jsonl:\d+: not a hypothesis"):
        scoring.score(tmp_path, "run", "unigram")


def test_test_is_searched_only_at_the_scale_chosen_on_dev(tmp_path: Path) -> None:
    references = speech(12)
    make_results(tmp_path, references, corrupted(references, 0.1, 1))
    settings = [Setting(0.1), Setting(0.2), Setting(0.3)]
    assert scoring.to_try(tmp_path, "run", "unigram", "test", settings) == [Setting(0.1)]
    assert scoring.to_try(tmp_path, "run", "unigram", "dev", settings) == settings
    assert scoring.to_try(tmp_path, "run", "ngram", "test", settings) == settings
