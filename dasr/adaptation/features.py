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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dasr.corpora.rejects import Rejects
from dasr.decoding.search import SearchConfig, best_path, read_graph
from dasr.errors import UserError
from dasr.features.store import Shard, Utterance, write_shard
from dasr.hmm import fmllr, material
from dasr.hmm.aligner import UTTERANCES_A_TASK, Beams, GmmAcousticModel, aligner, speaker_maps
from dasr.hmm.gmm import Floats, extended
from dasr.hmm.system import HmmSystem
from dasr.progress import progress
from dasr.results.layout import Layout
from dasr.workers import workers

FIRST_PASS_SCALE = 1 / 20  # best on AN4's dev for the GMM
FIRST_PASS = SearchConfig(beam=13.0)


def make(results: Path, split: str, shard: str, jobs: int = 1) -> dict[str, Any]:
    """Write R/features/fmllr/SPLIT/SHARD from the MFCC shard of that name, with `jobs` processes; return its
    manifest.

    Raises UserError where the HMM system is not speaker-adapted."""
    layout = Layout(results)
    system = HmmSystem.load(layout.hmm)
    source = Shard.open(layout.feature_shard("mfcc", split, shard))
    if split == "train":
        rejects = Rejects("adapt")
        text = layout.text(split)
        given = material.listing([source.folder], text, system.words, rejects, system.unknown).read()
        utterances = adapted(given, source, system, jobs)
    else:
        utterances = recognised_and_adapted(source, system, layout.hclg("unigram"), jobs)
    about = {key: source.manifest[key] for key in ("split", "shard", "seconds", "rejected")}
    about["features"] = {"kind": "fmllr", "first_pass_scale": FIRST_PASS_SCALE}
    return write_shard(layout.feature_shard("fmllr", split, shard), utterances, "fmllr", about)


def recognised_and_adapted(source: Shard, system: HmmSystem, hclg: Path, jobs: int) -> list[Utterance]:
    """Adapted features of an MFCC shard along what a first pass with the graph at `hclg` recognises. Raises
    UserError."""
    given = material.untranscribed(source.folder).read()
    words = first_pass_words(given, _speaker_independent(system), hclg, jobs)
    return adapted(replace(given, transcripts=words), source, system, jobs)


def adapted(given: material.AlignmentData, source: Shard, system: HmmSystem, jobs: int) -> list[Utterance]:
    """Adapted features along the transcripts of `given`, which was read from `source`. Raises UserError."""
    first = _speaker_independent(system)
    with threadpool_limits(1):  # the bits of BLAS depend on its threads
        model = replace(system.acoustics, maps=fmllr_maps(given, first, system, jobs))
        return [
            Utterance(name, source.speakers[given.speaker_of[n]], model.features(given, n))
            for n, name in enumerate(given.utterances)
        ]


def _speaker_independent(system: HmmSystem) -> GmmAcousticModel:
    if system.speaker_independent is None:
        raise UserError(
            f"{system.folder} is not speaker-adapted (no final.alimdl): set features.kind to fbank"
        )
    return system.speaker_independent


def first_pass_words(
    given: material.AlignmentData, model: GmmAcousticModel, hclg: Path, jobs: int
) -> Sequence[list[int]]:
    """Words of each utterance as the speaker-independent GMM recognises them. Raises UserError where there is
    no graph at `hclg`."""
    frames = (given.frames_of(n) for n in range(len(given.utterances)))
    what = "first pass"
    if jobs <= 1:
        with threadpool_limits(1):  # as in a worker
            _start_first_pass(model, hclg)
            return list(progress(map(_recognised, frames), what, len(given.utterances)))
    read_graph(hclg)  # what is wrong with it is said here, not by a worker
    with workers(jobs, "first pass", _start_first_pass, model, hclg) as pool:
        found = pool.map(_recognised, frames, chunksize=UTTERANCES_A_TASK)
        return list(progress(found, what, len(given.utterances)))


@dataclass(frozen=True)
class _FirstPass:
    """What a worker process holds: it is read once, not sent with each utterance."""

    model: GmmAcousticModel
    graph: Any


_first_pass: _FirstPass | None = None


def _start_first_pass(model: GmmAcousticModel, hclg: Path) -> None:
    global _first_pass
    threadpool_limits(1)  # one core a worker
    _first_pass = _FirstPass(model, read_graph(hclg))


def _recognised(frames: Floats) -> list[int]:
    """In a worker: the words of one utterance. frames: MFCCs, [num_frames, dim]."""
    assert _first_pass is not None
    gmm = _first_pass.model.gmm
    points = extended(_first_pass.model.gmm_input(frames))
    scores = gmm.log_likelihoods(points, np.arange(gmm.num_pdfs))
    return best_path(_first_pass.graph, scores, FIRST_PASS_SCALE, FIRST_PASS).words


def fmllr_maps(given: material.AlignmentData, first: GmmAcousticModel, system: HmmSystem, jobs: int) -> Any:
    """fMLLR of every speaker, float32 [speakers, dim, dim + 1]; the identity for one with no usable words."""
    found = fmllr.identity(given.num_speakers, system.acoustics.gmm.dim)
    usable = np.array([n for n, words in enumerate(given.transcripts) if words], int)
    if not len(usable):
        return found
    chosen = given.select(usable)
    with aligner(chosen, system.lexicon_fst, jobs) as pool:
        aligned = pool.align(first, Beams())
    start = speaker_maps(first, chosen, aligned)
    found[np.unique(given.speaker_of[usable])] = speaker_maps(
        replace(system.acoustics, maps=start), chosen, aligned
    )
    return found
