"""The GMM bootstrap: from audio and transcripts to an alignment with context-dependent states, from nothing.

    monophones   flat start, deltas          (Kaldi: train_mono)
    triphones    decision tree, deltas       (train_deltas)
    triphones    new tree, LDA and MLLT      (train_lda_mllt)
    triphones    new tree, fMLLR             (train_sat)

Each stage is EM along an alignment that is renewed every few iterations, with Gaussians added as it goes.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import kaldi_hmm_gmm
import numpy as np
from numpy.typing import NDArray

from dasr.config import HmmConfig
from dasr.errors import UserError
from dasr.hmm import transforms
from dasr.hmm.aligner import Aligner, Beams, GmmAcousticModel, Ids, adapt_and_align, speaker_maps
from dasr.hmm.contexts import converted, frame_events
from dasr.hmm.gmm import Gmm, SortedFrames, accumulate, maximise, split
from dasr.hmm.gmm_input import GmmInput, spliced
from dasr.hmm.lexicon_transducer import LexiconTransducer
from dasr.hmm.material import AlignmentData
from dasr.hmm.topology import Transitions, bakis, parse_topology
from dasr.hmm.tree import TreeBuilder, cluster_phones, gather

logger = logging.getLogger(__name__)

MONOPHONE_GAUSSIANS = 1000
LDA_DIM = 40
REALIGN_EVERY = 3
TRANSFORM_AT = (2, 4, 6, 10)  # iterations after which MLLT or fMLLR is estimated again
SEED = 0


class Bootstrap:
    """Holds what every stage needs: the material, its aligner, and the newest alignment."""

    def __init__(
        self, material: AlignmentData, lexicon: LexiconTransducer, aligner: Aligner, config: HmmConfig
    ) -> None:
        self.material, self.lexicon, self.aligner, self.config = material, lexicon, aligner, config
        self.phones = list(range(1, len(lexicon.phones) + 1))
        self.topology = bakis(self.phones)
        self.rng = np.random.default_rng(SEED)
        self.ids: list[Ids | None] = []

    def train(self) -> tuple[GmmAcousticModel, GmmAcousticModel]:
        """(model for the first pass, whose features are not adapted; speaker-adapted model)."""
        model = self.triphones("triphones", self.monophones(), GmmInput())
        model = self.triphones("triphones, LDA+MLLT", model, GmmInput(self.lda(model)))
        maps = speaker_maps(model, self.material, self.ids)
        model = self.triphones("triphones, speaker-adapted", model, model.gmm_input, maps)
        first = self.unadapted(model)
        self.ids = adapt_and_align(self.aligner, self.material, first, model)[1]
        return first, model

    def monophones(self) -> GmmAcousticModel:
        """Train the context-independent GMMs, from a flat start."""
        gmm_input = GmmInput()
        tree = kaldi_hmm_gmm.monophone_context_dependency(
            self.phones, parse_topology(self.topology).get_phone_to_num_pdf_classes()
        )
        data = bytes(np.array(tree.__getstate__()[0], np.int8).tobytes())
        transitions = Transitions(data, self.topology)
        parts = [gmm_input(self.material.frames_of(n)) for n in range(len(self.material.utterances))]
        frames = np.concatenate(parts)
        self.ids = self.aligner.align_equally(transitions, SEED)
        flat = np.ones((transitions.num_pdfs, 1))
        gmm = Gmm.single(flat * frames.mean(0, dtype=np.float64), flat * frames.var(0, dtype=np.float64))
        model = GmmAcousticModel(gmm_input, gmm, transitions)
        rounds = self.config.monophone_iterations
        realign = {n for n in range(2, rounds) if n <= 10 or n % 2 == 0}
        return self.em("monophones", model, frames, rounds, realign, MONOPHONE_GAUSSIANS)

    def triphones(
        self,
        name: str,
        previous: GmmAcousticModel,
        gmm_input: GmmInput,
        maps: NDArray[np.float32] | None = None,
    ) -> GmmAcousticModel:
        """A new tree on the features of `gmm_input` and `maps` along the newest alignment, and its GMM."""
        frames = self.features(replace(previous, gmm_input=gmm_input, maps=maps))
        events, kept = frame_events(previous.transitions, self.ids, self.material.offsets)
        statistics = gather(frames[kept], events[kept])
        silence = frozenset([self.lexicon.phone_ids[self.lexicon.lexicon.silence]])
        builder = TreeBuilder(statistics, cluster_phones(statistics), silence)
        tree = builder.build(self.phones, self.config.leaves)
        transitions = Transitions(tree.kaldi(), self.topology)
        self.ids = converted(self.ids, previous.transitions, transitions, events, self.material.offsets)
        order = SortedFrames.sort(frames, self.pdfs(transitions), transitions.num_pdfs)
        model = GmmAcousticModel(gmm_input, _one_gaussian(frames, order), transitions, maps)
        rounds = self.config.triphone_iterations
        realign = set(range(REALIGN_EVERY, rounds, REALIGN_EVERY))
        return self.em(name, model, frames, rounds, realign, self.config.gaussians)

    def em(
        self,
        name: str,
        model: GmmAcousticModel,
        frames: NDArray[np.float32],
        rounds: int,
        realign: set[int],
        gaussians: int,
    ) -> GmmAcousticModel:
        """`rounds` iterations of EM; before those in `realign` the alignment is renewed."""
        growing = max(1, rounds * 2 // 3)
        begin = len(model.gmm.weights)
        order = SortedFrames.sort(frames, self.pdfs(model.transitions), model.transitions.num_pdfs)
        for n in range(1, rounds + 1):
            if n in realign:
                model = self.realigned(model)
                order = SortedFrames.sort(frames, self.pdfs(model.transitions), model.transitions.num_pdfs)
            statistics = accumulate(model.gmm, order)
            self.report(
                f"{name}: iteration {n}/{rounds}", model.gmm, statistics.log_likelihood / order.bounds[-1]
            )
            model = replace(model, gmm=maximise(model.gmm, statistics))
            if model.gmm_input.matrix is not None and n in TRANSFORM_AT:
                if model.maps is None:
                    model = self.apply_mllt(model, order)
                else:
                    model = replace(model, maps=speaker_maps(model, self.material, self.ids))
                frames = self.features(model)
                order = SortedFrames.sort(frames, self.pdfs(model.transitions), model.transitions.num_pdfs)
            if n < growing:
                target = begin + (gaussians - begin) * n // (growing - 1)
                gmm = split(model.gmm, order.counts, target, self.rng)
                model = replace(model, gmm=gmm)
        return self.realigned(model)

    @staticmethod
    def report(what: str, gmm: Gmm, mean: float) -> None:
        sizes = f"{gmm.num_pdfs} states, {len(gmm.weights)} Gaussians"
        logger.info(f"{what}, {sizes}, log-likelihood {mean:.3f} a frame")

    def apply_mllt(self, model: GmmAcousticModel, order: SortedFrames) -> GmmAcousticModel:
        """The model with its feature space apply_mllt by one MLLT estimate."""
        assert model.gmm_input.matrix is not None
        turn = transforms.mllt(*transforms.mllt_statistics(model.gmm, order))
        gmm = Gmm(model.gmm.weights, model.gmm.means @ turn.T, model.gmm.variances, model.gmm.starts)
        matrix = (turn @ model.gmm_input.matrix).astype(np.float32)
        return replace(model, gmm_input=GmmInput(matrix), gmm=gmm)

    def lda(self, model: GmmAcousticModel) -> NDArray[np.float32]:
        material = self.material
        frames = np.concatenate([spliced(material.frames_of(n)) for n in range(len(material.utterances))])
        return transforms.lda(frames, self.pdfs(model.transitions), LDA_DIM)

    def realigned(self, model: GmmAcousticModel) -> GmmAcousticModel:
        """Renew the alignment; the model gets the transition probabilities that follow from it."""
        self.ids = self.aligner.align(model, Beams())
        done = [ids for ids in self.ids if ids is not None]
        if not done:
            raise UserError("not one utterance could be aligned: do the transcripts belong to this audio?")
        counts = np.bincount(np.concatenate(done), minlength=len(model.transitions.pdf_of))
        return replace(model, transitions=model.transitions.reestimated(counts))

    def unadapted(self, model: GmmAcousticModel) -> GmmAcousticModel:
        """The adapted model's Gaussians seen in features that are not adapted: one EM step on both
        (twofeats).
        """
        pdfs, count = self.pdfs(model.transitions), model.transitions.num_pdfs
        plain = replace(model, maps=None)
        orders = [SortedFrames.sort(self.features(one), pdfs, count) for one in (model, plain)]
        return replace(plain, gmm=maximise(model.gmm, accumulate(model.gmm, *orders)))

    def features(self, model: GmmAcousticModel) -> NDArray[np.float32]:
        """All frames as the GMM sees them, [num_frames, dim]."""
        return np.concatenate(
            [model.features(self.material, n) for n in range(len(self.material.utterances))]
        )

    def pdfs(self, transitions: Transitions) -> NDArray[np.int32]:
        """The tied state of every frame by the newest alignment, -1 where there is none."""
        lengths = np.diff(self.material.offsets)
        return np.concatenate([
            np.full(length, -1, np.int32) if ids is None else transitions.pdf_of[ids]
            for ids, length in zip(self.ids, lengths, strict=True)
        ])  # fmt: skip


def _one_gaussian(frames: NDArray[np.float32], order: SortedFrames) -> Gmm:
    """A Gaussian a state from its frames; a state without any gets the global one."""
    dim = frames.shape[1]
    sums = np.array([order.of(pdf).sum(0, dtype=np.float64) for pdf in range(len(order.counts))])
    sums[order.counts == 0] = order.points.sum(0, dtype=np.float64)
    means = sums[:, :dim] / sums[:, -1:]
    return Gmm.single(means, sums[:, dim:-1] / sums[:, -1:] - means**2)
