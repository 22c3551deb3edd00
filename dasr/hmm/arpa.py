"""ARPA language models as acceptors G, as Kaldi's arpa2fst makes them.

A state is a history, an arc reads a word, a back-off arc reads #0 and writes nothing (so that G can be
determinized), and </s> is a final weight. Weights are negative natural logarithms.

kaldilm does the same, but it brings an OpenFst of its own: two builds in one process hang.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import kaldifst

from dasr.corpora.arpa import NEVER, Gram, read_arpa
from dasr.hmm.lexicon_transducer import BACKOFF, BEGIN, END, EPSILON

logger = logging.getLogger(__name__)


def grammar(path: Path, words: dict[str, int]) -> Any:
    """G of the model at `path`. Words without an id in `words` are left out, with a line that names some."""
    grams = read_arpa(path)
    known = {word for word in words if word not in (EPSILON, BACKOFF)} | {BEGIN, END}
    missing = sorted({gram[0] for gram in grams if len(gram) == 1} - known - {"<unk>", "<UNK>"})
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        logger.info(f"{path}: {len(missing)} words without pronunciation left out: {shown}")
    return _acceptor({gram: v for gram, v in grams.items() if known.issuperset(gram)}, words)


def _acceptor(grams: dict[Gram, tuple[float, float]], words: dict[str, int]) -> Any:
    fst = kaldifst.StdVectorFst()
    highest = max(map(len, grams), default=1)
    histories = [(), *(gram for gram in grams if len(gram) < highest and gram[-1] != END)]
    states = {history: fst.add_state() for history in sorted(histories, key=lambda gram: (len(gram), gram))}

    def longest(gram: Gram) -> Gram:
        while gram not in states:
            gram = gram[1:]
        return gram

    fst.start = states[longest((BEGIN,))]
    for history, state in states.items():
        if history:
            backoff = -math.log(10) * grams[history][1]
            label = words[BACKOFF]
            fst.add_arc(state, kaldifst.StdArc(label, 0, backoff, states[longest(history[1:])]))
    for gram, (probability, _) in grams.items():
        history, word = gram[:-1], gram[-1]
        if word == BEGIN or probability <= NEVER or history not in states:
            continue
        cost = -math.log(10) * probability
        source = states[history]
        if word == END:
            fst.set_final(source, cost)
        else:
            fst.add_arc(source, kaldifst.StdArc(words[word], words[word], cost, states[longest(gram)]))
    kaldifst.connect(fst)
    kaldifst.arcsort(fst, sort_type="ilabel")
    return fst
