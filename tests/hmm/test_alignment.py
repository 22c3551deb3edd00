"""From real speech to frame labels and back: the bootstrap, alignment stores, Kaldi's files, bad input."""

import gzip
import json
import shutil
import tempfile
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import yaml
import zarr

from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.features.store import Shard
from dasr.hmm import labels, material
from dasr.hmm.aligner import aligner
from dasr.hmm.command import align, hmm
from dasr.hmm.lexicon import Lexicon
from dasr.hmm.system import HmmSystem, write_lang
from tests.hmm.conftest import call


@pytest.fixture(scope="module")
def aligned(small: Path) -> Path:
    call(align, small, "--split", "train", "--shard", "0", "--jobs", "1")
    return small


def load(results: Path) -> tuple[material.AlignmentData, HmmSystem]:
    system = HmmSystem.load(results / "hmm")
    shards = [results / "features" / "mfcc" / "train" / "0000"]
    text = results / "corpus" / "train" / "text"
    return material.listing(shards, text, system.words, Rejects("test")).read(), system


def test_every_frame_has_a_tied_state_and_the_store_mirrors_the_features(aligned: Path) -> None:
    store = zarr.open_group(str(aligned / "alignments" / "train" / "0000" / "labels.zarr"), mode="r")
    manifest = json.loads((aligned / "alignments" / "train" / "0000" / "manifest.json").read_text())
    shard = Shard.open(aligned / "features" / "mfcc" / "train" / "0000")
    np.testing.assert_array_equal(store["offsets"][:], shard.offsets)
    states = store["labels"][:]
    assert states.dtype == np.int32 and len(states) == shard.num_frames
    assert manifest["num_labelled"] == (states >= 0).sum() > 0.97 * len(states)
    assert manifest["num_pdfs"] == 45 and states.max() < 45
    counts = HmmSystem.load(aligned / "hmm").pdf_counts
    np.testing.assert_array_equal(counts, np.bincount(states[states >= 0], minlength=45))
    assert np.exp(HmmSystem.load(aligned / "hmm").log_priors).sum() == pytest.approx(1, abs=1e-5)


def test_an_alignment_says_the_transcript_and_its_silence_is_quiet(small: Path) -> None:
    given, system = load(small)
    transitions = system.transitions
    lexicon = Lexicon.read(small / "hmm" / "lexicon.txt")
    names = {number: phone for phone, number in system.phones.items()}
    energy_quiet, energy_speech = [], []
    for n, ids in enumerate(labels.align(given, system, 1, Rejects("test"))):
        assert ids is not None
        starts = np.flatnonzero(transitions.phone_starts(ids))
        lengths = np.diff(np.r_[starts, len(ids)])
        assert lengths.min() >= 3  # three states, at least a frame each
        said = [names[phone] for phone in transitions.phone_of[ids[starts]] if names[phone] != "SIL"]
        options: list[tuple[str, ...]] = [("",)]
        for word in given.transcripts[n]:
            ways = [p for w, p in lexicon.pronunciations if system.words[w] == word]
            options = [(*before, *phones) for before in options for phones in ways]
        assert ("", *said) in options
        silent = transitions.phone_of[ids] == system.phones["SIL"]
        energy_quiet.append(given.of(n)[silent, 0])
        energy_speech.append(given.of(n)[~silent, 0])
    # the first cepstrum is energy: boundaries that are right separate quiet from loud frames
    quiet, loud = np.concatenate(energy_quiet), np.concatenate(energy_speech)
    assert np.median(quiet) < np.median(loud) - 0.5 * np.std(loud)


@pytest.mark.slow
def test_the_same_input_gives_the_same_bits_with_any_number_of_processes(small: Path, tmp_path: Path) -> None:
    before = {f.name: f.read_bytes() for f in (small / "hmm").iterdir() if f.is_file()}
    copy = tmp_path / "again"
    shutil.copytree(small, copy)
    config = yaml.safe_load((copy / "config.yaml").read_text()) | {"results": str(copy)}
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    call(hmm, copy, "--jobs", "2")
    after = {f.name: f.read_bytes() for f in (copy / "hmm").iterdir() if f.is_file()}
    assert before == after


def test_models_read_back_from_kaldis_format_score_as_before(small: Path, tmp_path: Path) -> None:
    from dasr.hmm.model_file import read_model, read_tree, write_model

    system = HmmSystem.load(small / "hmm")
    model = system.acoustics
    write_model(tmp_path / "final.mdl", model.transitions, model.gmm)
    again = read_model(tmp_path / "final.mdl", read_tree(small / "hmm" / "tree"))
    assert again.gmm is not None
    np.testing.assert_allclose(again.gmm.means, model.gmm.means, atol=1e-4)
    np.testing.assert_allclose(again.gmm.coefficients, model.gmm.coefficients, rtol=1e-3, atol=1e-4)
    ours, theirs = again.transitions.model, model.transitions.model
    np.testing.assert_allclose(ours.log_probs, theirs.log_probs)
    np.testing.assert_allclose(ours.non_self_loop_log_probs, theirs.non_self_loop_log_probs, atol=1e-4)


def test_a_truncated_model_and_a_missing_file_are_one_clear_line(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small / "hmm", tmp_path / "hmm")
    whole = (tmp_path / "hmm" / "final.mdl").read_bytes()
    (tmp_path / "hmm" / "final.mdl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="truncated"):
        _ = HmmSystem.load(tmp_path / "hmm").acoustics
    (tmp_path / "hmm" / "pdf_counts.txt").unlink()
    with pytest.raises(UserError, match="no pdf_counts"):
        HmmSystem.load(tmp_path / "hmm")


def test_words_without_pronunciation_and_short_utterances_are_set_aside_by_name(small: Path) -> None:
    given, system = load(small)
    rejects = Rejects("align")
    first, second = given.utterances[:2]
    text = small / "bad-text"
    said = dict(line.split(maxsplit=1) for line in (small / "corpus/train/text").read_text().splitlines())
    said[first], said[second] = "A XYLOPHONE", "SEPTEMBER " * 60
    text.write_text("".join(f"{name} {words}\n" for name, words in said.items()))
    bad = material.listing([small / "features/mfcc/train/0000"], text, system.words, rejects).read()
    found = labels.align(bad, system, 1, rejects)
    assert [n for n, ids in enumerate(found) if ids is None] == [0, 1]
    assert "XYLOPHONE" in rejects.reasons[first]
    assert "too short to align" in rejects.reasons[second]
    offsets, target = given.offsets, small / "bad-labels"
    labels.write_labels(target, offsets, found, system.transitions, bad.utterances, {}, rejects)
    states = zarr.open_group(str(target / "labels.zarr"), mode="r")["labels"][:]
    assert (states[: offsets[2]] == -1).all() and (states[offsets[2] :] >= 0).all()
    with pytest.raises(UserError, match=r"XYLOPHONE.*a line `<UNK> SPN` in the lexicon"):
        rejects.check("train shard 0000", len(bad.utterances), 0.01, material.advice(rejects))
    del rejects.reasons[first]
    assert not material.advice(rejects)


def test_words_that_are_not_in_the_lexicon_are_aligned_as_the_one_that_stands_for_them(
    small: Path, tmp_path: Path
) -> None:
    plain = Lexicon.read(small / "corpus" / "lang" / "lexicon.txt")
    (tmp_path / "lexicon.txt").write_text(plain.text() + "<noise> SPN\n")
    (tmp_path / "oov.txt").write_text("<noise>\n")
    write_lang(tmp_path / "hmm", Lexicon.read(tmp_path / "lexicon.txt"))
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
    some = listed.lasting(0.01 * len(whole.frames)).read()  # of six times as much
    assert len(some.utterances) == len(whole.utterances) and len(opened) == 6
    for n in range(0, len(some.utterances), 7):
        twin = whole.utterances.index(some.utterances[n])
        np.testing.assert_array_equal(some.of(n), whole.of(twin))
    opened.clear()
    few = listed.only(np.arange(3)).read()
    assert len(opened) == 1 and list(few.utterances) == list(whole.utterances[:3])


def test_worker_processes_share_frames_in_a_file_without_a_name(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, system = load(small)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with aligner(given, system.lexicon_fst, 1) as alone:
        expected = alone.align_equally(system.transitions, 0)
    with aligner(given, system.lexicon_fst, 2) as pool:
        found = pool.align_equally(system.transitions, 0)
        assert list(tmp_path.iterdir()) == []
    for ids, others in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ids, others)


def test_kaldis_alignments_can_stand_in_for_our_own(aligned: Path, tmp_path: Path) -> None:
    given, system = load(aligned)
    found = labels.align(given, system, 1, Rejects("test"))
    ours = {name: ids for name, ids in zip(given.utterances, found, strict=True) if ids is not None}
    kaldi = tmp_path / "tri_ali"
    kaldi.mkdir()
    shutil.copytree(aligned / "hmm", kaldi / "lang")
    for name in ("tree", "final.mdl"):
        shutil.copy(aligned / "hmm" / name, kaldi)
    with gzip.open(kaldi / "ali.1.gz", "wb") as stream:
        kaldiio.save_ark(stream, ours)
    results = tmp_path / "results"
    shutil.copytree(aligned / "features", results / "features")
    config = yaml.safe_load((aligned / "config.yaml").read_text())
    config |= {"results": str(results), "hmm": {"import_from": str(kaldi)}}
    (results / "config.yaml").write_text(yaml.safe_dump(config))
    call(hmm, results)
    call(align, results, "--split", "train", "--shard", "0")
    for name in ("hmm/pdf_counts.txt", "hmm/final.mdl", "alignments/train/0000/labels.zarr/labels/c/0"):
        assert (results / name).read_bytes() == (aligned / name).read_bytes()
