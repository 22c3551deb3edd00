"""Forced alignment of transcripts: kaldi-hmm-gmm compiles each utterance's graph and searches it, in worker
processes.

Scores come from one matrix product an utterance (`Gmm.log_likelihoods`), only for the tied states that its
graph has. Workers read the features from one memory-mapped file, so that they share the pages and nothing is
copied to them.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kaldi_hmm_gmm
import kaldifst
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dasr.errors import UserError
from dasr.hmm.fmllr import adapted, fmllr, identity
from dasr.hmm.gmm import Gmm, extended
from dasr.hmm.gmm_input import GmmInput
from dasr.hmm.material import AlignmentData
from dasr.hmm.topology import Transitions
from dasr.workers import workers

ACOUSTIC_SCALE = 0.1
SELF_LOOP_SCALE = 0.1
UTTERANCES_A_TASK = 16

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class GmmAcousticModel:
    """A GMM acoustic model: its input, mixtures, transitions, and the fMLLR map of each of a material's
    speakers.
    """

    gmm_input: GmmInput
    gmm: Gmm
    transitions: Transitions
    maps: NDArray[np.float32] | None = None  # [speakers, dim, dim + 1]

    def features(self, material: AlignmentData, index: int) -> NDArray[np.float32]:
        """What the GMM sees of one utterance, [num_frames, dim]."""
        frames = self.gmm_input(material.frames_of(index))
        return frames if self.maps is None else adapted(frames, self.maps[material.speaker_of[index]])


@dataclass(frozen=True)
class Beams:
    beam: float = 10.0
    retry: float = 40.0  # for an utterance that finds no path to its end


class Worker:
    """Aligns utterances of one material; lives in a worker process, or here when there is one job."""

    def __init__(self, material: AlignmentData, lexicon_fst: Path) -> None:
        self.material = material
        self.lexicon_fst = kaldifst.StdVectorFst.read(str(lexicon_fst))
        if self.lexicon_fst is None:
            raise UserError(f"{lexicon_fst} is not a transducer; rerun `dasr hmm`")

    def compiler(self, transitions: Transitions) -> Any:
        options = kaldi_hmm_gmm.TrainingGraphCompilerOptions(1.0, SELF_LOOP_SCALE, True)
        return kaldi_hmm_gmm.TrainingGraphCompiler(
            transitions.model, transitions.tree, self.lexicon_fst.copy(), [], options
        )

    def align(self, model: GmmAcousticModel, beams: Beams, indices: Sequence[int]) -> list[Ids | None]:
        """Transition ids of every frame of each utterance, None where there is no path."""
        compiler = self.compiler(model.transitions)
        return [self._align(compiler, model, beams, index) for index in indices]

    def _align(self, compiler: Any, model: GmmAcousticModel, beams: Beams, index: int) -> Ids | None:
        graph = compiler.compile_graph_from_text(self.material.transcripts[index])
        if graph.num_states == 0 or graph.start < 0:
            return None
        scores = transition_scores(model, model.features(self.material, index), input_labels(graph))
        config = kaldi_hmm_gmm.AlignConfig(beams.beam, beams.retry, False)
        decodable = kaldi_hmm_gmm.DecodableCtc(scores)
        found = kaldi_hmm_gmm.align_utterance_wrapper(
            config, self.material.utterances[index], ACOUSTIC_SCALE, graph, decodable, 0, 0, 0, 0.0, 0
        )
        ids = np.array(found[5], np.int32)
        return ids if found[0] == 1 and len(ids) == len(scores) else None

    def align_equally(self, transitions: Transitions, seed: int, indices: Sequence[int]) -> list[Ids | None]:
        """A path through each graph whose states share the frames equally: where flat-start training
        begins.
        """
        compiler = self.compiler(transitions)
        aligned: list[Ids | None] = []
        for index in indices:
            graph = compiler.compile_graph_from_text(self.material.transcripts[index])
            length = int(self.material.offsets[index + 1] - self.material.offsets[index])
            done, path = kaldifst.equal_align(
                ifst=graph, length=length, rand_seed=seed + index, num_retries=10
            )
            ids = (
                np.array(kaldifst.get_linear_symbol_sequence(path)[1], np.int32)
                if done
                else np.zeros(0, np.int32)
            )
            aligned.append(ids if len(ids) == length else None)
        return aligned

    def shortest(self, transitions: Transitions, index: int) -> int:
        """Frames that utterance `index` must have: the fewest HMM states on a path through its graph."""
        graph = self.compiler(transitions).compile_graph_from_text(self.material.transcripts[index])
        loops = transitions.is_loop
        distance, queue = {graph.start: 0}, deque([graph.start])
        while queue:  # shortest path with arcs of length 0 (epsilon) and 1
            state = queue.popleft()
            for arc in kaldifst.ArcIterator(graph, state):
                length = distance[state] + (arc.ilabel > 0)
                if not loops[arc.ilabel] and length < distance.get(arc.nextstate, length + 1):
                    distance[arc.nextstate] = length
                    (queue.append if arc.ilabel else queue.appendleft)(arc.nextstate)
        finals = [d for state, d in distance.items() if graph.final(state).value != float("inf")]
        return min(finals, default=0)


def input_labels(graph: Any) -> NDArray[np.int64]:
    """The transition ids on a graph's arcs."""
    labels = {arc.ilabel for state in range(graph.num_states) for arc in kaldifst.ArcIterator(graph, state)}
    return np.array(sorted(labels - {0}), np.int64)


def transition_scores(
    model: GmmAcousticModel, frames: NDArray[Any], ids: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Log-likelihood of each frame and transition id, [num_frames, num_transition_ids] (column id - 1); only
    `ids` filled.
    """
    pdfs, which = np.unique(model.transitions.pdf_of[ids], return_inverse=True)
    scores = np.zeros((len(frames), len(model.transitions.pdf_of) - 1), np.float32)
    scores[:, ids - 1] = model.gmm.log_likelihoods(extended(frames), pdfs)[:, which]
    return scores


_worker: Worker | None = None


def _start(frames_file: str, material: AlignmentData, lexicon_fst: Path) -> None:
    global _worker
    threadpool_limits(1)  # one core a worker
    frames = np.load(frames_file, mmap_mode="r")
    _worker = Worker(replace(material, frames=frames), lexicon_fst)


def _call(method: str, *arguments: Any) -> Any:
    assert _worker is not None
    return getattr(_worker, method)(*arguments)


class Aligner:
    """Spreads a material's utterances over worker processes; results come in the order of the utterances."""

    def __init__(self, worker: Worker | None, pool: ProcessPoolExecutor | None, num_utterances: int) -> None:
        self._worker, self._pool, self._count = worker, pool, num_utterances

    def align(self, model: GmmAcousticModel, beams: Beams) -> list[Ids | None]:
        return self._each("align", model, beams)

    def align_equally(self, transitions: Transitions, seed: int) -> list[Ids | None]:
        return self._each("align_equally", transitions, seed)

    def _each(self, method: str, *arguments: Any) -> list[Ids | None]:
        indices = range(self._count)
        if self._pool is None:
            return list(getattr(self._worker, method)(*arguments, indices))
        chunks = [indices[n : n + UTTERANCES_A_TASK] for n in range(0, self._count, UTTERANCES_A_TASK)]
        tasks = [self._pool.submit(_call, method, *arguments, chunk) for chunk in chunks]
        return [ids for task in tasks for ids in task.result()]


def adapt_and_align(
    pool: Aligner, material: AlignmentData, first: GmmAcousticModel, model: GmmAcousticModel
) -> tuple[GmmAcousticModel, list[Ids | None]]:
    """Align with `first`, which is for features that are not adapted; find each speaker's fMLLR, first for
    it, then for `model`; align with `model`. Returns `model` with the maps, and the alignment.
    """
    aligned = pool.align(first, Beams())
    maps = speaker_maps(first, material, aligned)
    maps = speaker_maps(replace(model, maps=maps), material, aligned)
    model = replace(model, maps=maps)
    return model, pool.align(model, Beams())


def speaker_maps(
    model: GmmAcousticModel, material: AlignmentData, aligned: Sequence[Ids | None]
) -> NDArray[np.float32]:
    """fMLLR maps under `model` along an alignment, from the maps that it has."""
    lengths = np.diff(material.offsets)
    frames = np.concatenate([model.gmm_input(material.frames_of(n)) for n in range(len(lengths))])
    pdfs = np.concatenate([
        np.full(length, -1, np.int32) if ids is None else model.transitions.pdf_of[ids]
        for ids, length in zip(aligned, lengths, strict=True)
    ])  # fmt: skip
    now = identity(material.num_speakers, model.gmm.dim) if model.maps is None else model.maps
    return fmllr(model.gmm, frames, pdfs, np.repeat(material.speaker_of, lengths), now)


@contextmanager
def aligner(material: AlignmentData, lexicon_fst: Path, jobs: int) -> Iterator[Aligner]:
    """An `Aligner` on `jobs` processes (1: this one).

    BLAS runs on one thread meanwhile, here too: its bits depend on the number of threads, and early
    alignments are nearly ties, so that rounding would give another system.
    """
    count = len(material.utterances)
    jobs = min(jobs, -(-count // UTTERANCES_A_TASK))
    with threadpool_limits(1):
        if jobs <= 1:
            yield Aligner(Worker(material, lexicon_fst), None, count)
            return
        with tempfile.TemporaryFile() as file:  # it has no name, so none is left if this process is killed
            np.save(file, material.frames)
            file.flush()
            frames_file = f"/proc/{os.getpid()}/fd/{file.fileno()}"
            without = replace(material, frames=np.zeros((0, 0), np.float32))
            with workers(jobs, "aligning", _start, frames_file, without, lexicon_fst) as pool:
                yield Aligner(None, pool, count)
