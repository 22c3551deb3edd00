"""Decoding a split: posteriors once, then every graph and every setting, in parallel over
utterances."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dasr.decoding import search
from dasr.decoding.hypotheses import Hypothesis, Setting
from dasr.decoding.search import BestPath
from dasr.decoding.times import WordTimes
from dasr.workers import workers

FloatArray = npt.NDArray[np.float32]
PENDING_A_JOB = 4  # utterances in flight a worker: bounds memory, keeps the workers busy


@dataclass(frozen=True)
class Decoder:
    """Graphs to search and how. `frame_shift_s`: seconds a frame."""

    graphs: Sequence[Path]
    words: Sequence[Sequence[str]]  # a graph's words, indexed by id
    times: WordTimes
    settings: Sequence[Sequence[Setting]]  # each graph's, to be tried
    frame_shift_s: float
    config: search.SearchConfig
    jobs: int = 1

    def decode(self, utterances: Iterable[tuple[str, FloatArray]]) -> Iterator[list[list[Hypothesis]]]:
        """For each (id, scores) in order: hypotheses [graph][setting]. scores: float32 [num_frames,
        num_pdfs]."""
        for utterance, found in self._searched(utterances):
            yield [
                [self._hypothesis(utterance, *one, words) for one in zip(settings, paths, strict=True)]
                for words, settings, paths in zip(self.words, self.settings, found, strict=True)
            ]

    def _searched(
        self, utterances: Iterable[tuple[str, FloatArray]]
    ) -> Iterator[tuple[str, list[list[BestPath]]]]:
        if self.jobs <= 1:
            search.start_worker(self.graphs, self.config)
            for utterance, scores in utterances:
                yield utterance, search.search_all(scores, self.settings)
            return
        waiting: deque[tuple[str, Future[list[list[BestPath]]]]] = deque()
        with workers(self.jobs, "decoding", search.start_worker, self.graphs, self.config) as pool:
            for utterance, scores in utterances:
                waiting.append((utterance, pool.submit(search.search_all, scores, self.settings)))
                if len(waiting) >= PENDING_A_JOB * self.jobs:
                    utterance, task = waiting.popleft()
                    yield utterance, task.result()
            for utterance, task in waiting:
                yield utterance, task.result()

    def _hypothesis(
        self, utterance: str, setting: Setting, path: BestPath, words: Sequence[str]
    ) -> Hypothesis:
        said = [words[word] for word in path.words]
        spans = self.times.spans(said, path.emitted, path.pdfs)
        seconds = [(begin * self.frame_shift_s, end * self.frame_shift_s) for begin, end in spans]
        return Hypothesis(utterance, setting, said, seconds, path.cost)
