"""Tied-state labels of every frame, from real speech."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
import zarr

from dasr.corpora.language import Lexicon
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.features.labels import write_labels
from dasr.features.store import Shard
from dasr.hmm import alignment, material
from dasr.hmm.command import hmm
from dasr.hmm.system import HmmSystem
from tests.support.small_corpus import call, load


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
    for n, ids in enumerate(alignment.align(given, system, 1, Rejects("test"))):
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
        energy_quiet.append(given.frames_of(n)[silent, 0])
        energy_speech.append(given.frames_of(n)[~silent, 0])
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


def test_words_without_pronunciation_and_short_utterances_are_rejected_by_name(small: Path) -> None:
    given, system = load(small)
    rejects = Rejects("align")
    first, second = given.utterances[:2]
    text = small / "bad-text"
    said = dict(line.split(maxsplit=1) for line in (small / "corpus/train/text").read_text().splitlines())
    said[first], said[second] = "A XYLOPHONE", "SEPTEMBER " * 60
    text.write_text("".join(f"{name} {words}\n" for name, words in said.items()))
    bad = material.listing([small / "features/mfcc/train/0000"], text, system.words, rejects).read()
    found = alignment.align(bad, system, 1, rejects)
    assert [n for n, ids in enumerate(found) if ids is None] == [0, 1]
    assert "XYLOPHONE" in rejects.reasons[first]
    assert "too short to align" in rejects.reasons[second]
    offsets, target = given.offsets, small / "bad-labels"
    labels = alignment.labels_of(found, offsets, system.transitions)
    write_labels(target, labels, offsets, bad.utterances, system.num_pdfs, {})
    states = zarr.open_group(str(target / "labels.zarr"), mode="r")["labels"][:]
    assert (states[: offsets[2]] == -1).all() and (states[offsets[2] :] >= 0).all()
    with pytest.raises(UserError, match=r"XYLOPHONE.*a line `<UNK> SPN` in the lexicon"):
        rejects.check("train shard 0000", len(bad.utterances), 0.01, material.advice(rejects))
    del rejects.reasons[first]
    assert not material.advice(rejects)
