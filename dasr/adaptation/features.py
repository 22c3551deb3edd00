"""Speaker-adapted features for the acoustic model: MFCCs spliced, LDA+MLLT, then each speaker's fMLLR.

    x'_t = A_s [M (x_{t-4} ... x_{t+4}); 1]      M: LDA+MLLT of the GMM;  A_s: fMLLR of speaker s

The paper's models see 40 such dimensions beside log-mel energies. A training speaker's A_s is estimated along
the transcripts; a dev or test speaker's along the words that a first pass recognised with the
speaker-independent GMM and the *unigram* model, so that no test transcript is used and no score with the
unigram profits from an n-gram model. Gales, Maximum likelihood linear transformations for
HMM-based speech recognition, 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dasr.corpora.rejects import Rejects
from dasr.decoding.search import SearchConfig, best_path, read_graph
from dasr.errors import UserError
from dasr.features.store import Shard, Utterance, write_shard
from dasr.hmm import fmllr, material
from dasr.hmm.aligner import Beams, GmmAcousticModel, aligner, speaker_maps
from dasr.hmm.gmm import extended
from dasr.hmm.system import HmmSystem
from dasr.results.layout import Layout

FIRST_PASS_SCALE = 1 / 20  # best on AN4's dev for the GMM
FIRST_PASS = SearchConfig(beam=13.0)


def make(results: Path, split: str, shard: str) -> dict[str, Any]:
    """Write R/features/fmllr/SPLIT/SHARD from the MFCC shard of that name; return its manifest.

    Raises UserError where the HMM system is not speaker-adapted."""
    layout = Layout(results)
    system = HmmSystem.load(layout.hmm)
    first = system.speaker_independent
    if first is None:
        raise UserError(f"{layout.hmm} is not speaker-adapted (no final.alimdl): set features.kind to fbank")
    source = Shard.open(layout.feature_shard("mfcc", split, shard))
    text = layout.text(split)
    given = material.listing([source.folder], text, system.words, Rejects("adapt"), system.unknown).read()
    if split != "train":
        graph = read_graph(layout.hclg("unigram"))
        given = replace(given, transcripts=first_pass_words(given, first, graph, system.num_pdfs))
    adapted = replace(system.acoustics, maps=fmllr_maps(given, first, system))
    utterances = [
        Utterance(name, source.speakers[given.speaker_of[n]], adapted.features(given, n))
        for n, name in enumerate(given.utterances)
    ]
    about = {key: source.manifest[key] for key in ("split", "shard", "seconds", "rejected")}
    about["features"] = {"kind": "fmllr", "first_pass_scale": FIRST_PASS_SCALE}
    return write_shard(layout.feature_shard("fmllr", split, shard), utterances, "fmllr", about)


def first_pass_words(
    given: material.AlignmentData, model: GmmAcousticModel, graph: Any, num_pdfs: int
) -> Sequence[list[int]]:
    """Words of each utterance as the speaker-independent GMM recognises them."""
    pdfs = np.arange(num_pdfs)
    return [
        best_path(
            graph,
            model.gmm.log_likelihoods(extended(model.features(given, n)), pdfs),
            FIRST_PASS_SCALE,
            FIRST_PASS,
        ).words
        for n in range(len(given.utterances))
    ]


def fmllr_maps(given: material.AlignmentData, first: GmmAcousticModel, system: HmmSystem) -> Any:
    """fMLLR of every speaker, float32 [speakers, dim, dim + 1]; the identity for one with no usable words."""
    found = fmllr.identity(given.num_speakers, system.acoustics.gmm.dim)
    usable = np.array([n for n, words in enumerate(given.transcripts) if words], int)
    if not len(usable):
        return found
    chosen = given.select(usable)
    with aligner(chosen, system.lexicon_fst, 1) as pool:
        aligned = pool.align(first, Beams())
    start = speaker_maps(first, chosen, aligned)
    found[np.unique(given.speaker_of[usable])] = speaker_maps(
        replace(system.acoustics, maps=start), chosen, aligned
    )
    return found
