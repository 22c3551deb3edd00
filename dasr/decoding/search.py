"""Beam search for the best word sequence through a decoding graph (Viterbi, token passing; Kaldi's
FasterDecoder).

The graph's clock is the frame: its self loops and transition probabilities were trained at one step a
frame. A model with frame-rate reduction gives an output for every frame here all the same
(AcousticModel.log_posteriors interleaves its phases), so one graph serves every model, and a phone has to
last three frames whatever the model's subsampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dasr import checksums
from dasr.corpora import tables
from dasr.decoding.hypotheses import Setting
from dasr.errors import UserError

EPSILON = "0"  # in OpenFst's text


@dataclass(frozen=True)
class SearchConfig:
    """Section `decoding` of the config, as far as the search needs it."""

    beam: float = 15.0  # wider: slower, fewer search errors
    max_active: int = 2000  # tokens kept a frame: bounds the time where a model knows little


@dataclass(frozen=True)
class BestPath:
    """The best path of one utterance: what was said, and which tied state each frame was in."""

    words: list[int]
    emitted: list[int]  # frame at which each word's label lies on the path (not its beginning: see times.py)
    pdfs: list[int]  # tied state of each frame
    cost: float | None


def read_graph(path: Path) -> Any:
    """The HCLG at `path` as a StdConstFst. Raises UserError."""
    import kaldifst

    if not path.is_file():
        raise UserError(f"no decoding graph at {path}: run `dasr graph` first")
    checksums.check(path)
    graph = kaldifst.StdVectorFst.read(str(path))
    if graph is None:
        raise UserError(
            f"{path} is not a vector FST (tropical semiring): make the graph again, or `fstconvert` it"
        )
    return kaldifst.StdConstFst(graph)


def best_path(
    graph: Any, scores: npt.NDArray[np.float32], scale: float, config: SearchConfig | None = None
) -> BestPath:
    """Search `graph` (input labels: pdf + 1) with `scale` times `scores`.

    scores: float32 [num_frames, num_pdfs], log-posterior minus log-prior (natural logarithms). Where no
    token reached a final state the best other one counts; where none survived, no words."""
    import kaldi_decoder

    config = config or SearchConfig()
    if not len(scores):
        return BestPath([], [], [], None)
    scaled = np.ascontiguousarray(scores * np.float32(scale))
    options = kaldi_decoder.FasterDecoderOptions(beam=config.beam, max_active=config.max_active)
    decoder = kaldi_decoder.FasterDecoder(graph, options)
    decoder.decode(kaldi_decoder.DecodableCtc(scaled))
    found, lattice = decoder.get_best_path(use_final_probs=True)
    return _follow(lattice.to_str()) if found else BestPath([], [], [], None)


def _follow(text: str) -> BestPath:
    """Walk the linear lattice, given as OpenFst text (the wheel has no arc iterator for lattices)."""
    lines = [line.split() for line in text.splitlines()]
    cost = 0.0
    for fields in lines:
        if len(fields) in (2, 5):  # a weight is left out where it is zero
            cost += sum(map(float, filter(None, fields[-1].split(","))))
    arcs = {fields[0]: fields[1:4] for fields in lines if len(fields) >= 4}
    words: list[int] = []
    emitted: list[int] = []
    pdfs: list[int] = []
    state = lines[0][0] if lines else ""
    while state in arcs:
        state, pdf_label, word = arcs[state]
        if word != EPSILON:
            words.append(int(word))
            emitted.append(len(pdfs))
        if pdf_label != EPSILON:
            pdfs.append(int(pdf_label) - 1)
    return BestPath(words, emitted, pdfs, cost)


def read_words(path: Path) -> list[str]:
    """words.txt (`word id` a line) as a list indexed by id. Raises UserError."""
    words: dict[int, str] = {}
    if not path.is_file():
        raise UserError(f"no word list at {path}: run `dasr graph` first")
    for number, line in tables.text_lines(path):
        fields = tables.fields(line)
        if len(fields) != 2 or not fields[1].isdigit():
            raise UserError(f"{path}:{number}: expected `word id`, found '{line}'")
        words[int(fields[1])] = fields[0]
    return [words.get(index, f"<{index}>") for index in range(max(words, default=-1) + 1)]


# One worker process holds its graphs here: they are read once, not sent with each utterance. Processes,
# since the wheel keeps the GIL while it searches (two threads were measured to take as long as one after
# the other).
_graphs: list[Any] = []
_config = SearchConfig()


def start_worker(graph_paths: Sequence[Path], config: SearchConfig) -> None:
    """Initialise a worker process: read the graphs."""
    global _config
    _graphs[:] = [read_graph(path) for path in graph_paths]
    _config = config


def search_all(
    scores: npt.NDArray[np.float32], settings: Sequence[Sequence[Setting]]
) -> list[list[BestPath]]:
    """In a worker: best paths of one utterance, [graph][setting], at each graph's own settings."""
    return [
        [best_path(graph, _lowered(scores, one.penalty), one.scale, _config) for one in own]
        for graph, own in zip(_graphs, settings, strict=True)
    ]


def _lowered(scores: npt.NDArray[np.float32], penalty: float) -> npt.NDArray[np.float32]:
    """`scores` with the first column, CTC's blank, less `penalty`."""
    if not penalty:
        return scores
    lowered = scores.copy()
    lowered[:, 0] -= np.float32(penalty)
    return lowered
