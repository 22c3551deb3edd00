"""The decoding graph HCLG, made as Kaldi's mkgraph.sh makes it.

    G       language model; back-off arcs read #0           LG = min(det(L_disambig o G))
    C       triphone contexts, made while composing         H  = HMMs without self-loops
    HCLG    = self-loops(min(det(H o C o LG) without disambiguation symbols)), input labels: tied state + 1

Transition probabilities stay in the graph, self-loops scaled as in Kaldi, so decoding needs no transition
model.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import kaldi_hmm_gmm
import kaldifst

from dasr.errors import UserError
from dasr.hmm.arpa import grammar as read_grammar
from dasr.hmm.lexicon_transducer import BACKOFF
from dasr.hmm.system import HmmSystem, read_symbols
from dasr.hmm.topology import Transitions

TRANSITION_SCALE = 1.0
SELF_LOOP_SCALE = 0.1


def write_graph(folder: Path, system: HmmSystem, arpa: Path) -> dict[str, int]:
    """Write `HCLG.fst` and `words.txt` into `folder`; returns its numbers of states and arcs. Raises
    UserError.
    """
    lexicon = kaldifst.StdVectorFst.read(str(system.folder / "L_disambig.fst"))
    if lexicon is None:
        raise UserError(f"{system.folder}/L_disambig.fst is missing or not a transducer; run `dasr hmm`")
    words = read_symbols(system.folder / "words.txt")
    grammar = read_grammar(arpa, words)
    if not reads_words(grammar, words[BACKOFF]):
        raise UserError(f"the graph of {arpa} is empty: do its words occur in {system.folder}/words.txt?")
    disambiguators = [number for symbol, number in system.phones.items() if symbol.startswith("#")]
    graph = compile_graph(lexicon, grammar, disambiguators, system.transitions)
    folder.mkdir(parents=True, exist_ok=True)
    if not graph.write(str(folder / "HCLG.fst")):
        raise UserError(f"cannot write {folder / 'HCLG.fst'}")
    shutil.copy(system.folder / "words.txt", folder / "words.txt")
    arcs = sum(graph.num_arcs(state) for state in range(graph.num_states))
    return {"states": int(graph.num_states), "arcs": arcs, "num_pdfs": system.num_pdfs}


def compile_graph(lexicon: Any, grammar: Any, disambiguators: list[int], transitions: Transitions) -> Any:
    """HCLG from L_disambig and G. disambiguators: phone ids of #0, #1..."""
    words = kaldifst.compose(lexicon, _sorted(grammar))
    kaldifst.determinize_star(words, use_log=True)
    kaldifst.minimize_encoded(words)
    tree = transitions.tree
    contexts, windows = kaldifst.compose_context(
        disambiguators, tree.context_width, tree.central_position, _sorted(words)
    )
    config = kaldi_hmm_gmm.HTransducerConfig(transition_scale=TRANSITION_SCALE)
    states, silent = kaldi_hmm_gmm.get_h_transducer(windows, tree, transitions.model, config)
    kaldifst.arcsort(states, sort_type="olabel")
    graph = kaldifst.compose(states, _sorted(contexts))
    kaldifst.determinize_star(graph, use_log=True)
    labels = {n: n for n in range(1, len(transitions.pdf_of))} | dict.fromkeys(silent, 0)
    graph = kaldifst.compose(_relabel(labels), _sorted(graph))
    kaldifst.minimize_encoded(graph)
    graph = kaldi_hmm_gmm.add_self_loops(SELF_LOOP_SCALE, [], True, transitions.model, graph)
    labels = {n: int(pdf) + 1 for n, pdf in enumerate(transitions.pdf_of) if n}
    return kaldifst.compose(_relabel(labels), _sorted(graph))


def reads_words(grammar: Any, backoff: int) -> bool:
    """Whether G has an arc of a word: what only backs off and ends accepts nothing but silence."""
    states = range(grammar.num_states)
    return any(arc.ilabel != backoff for state in states for arc in kaldifst.ArcIterator(grammar, state))


def _sorted(fst: Any) -> Any:
    kaldifst.arcsort(fst, sort_type="ilabel")
    return fst


def _relabel(labels: dict[int, int]) -> Any:
    """A one-state transducer that puts labels[x] in the place of x: composed on the left, it renames input
    labels.
    """
    fst = kaldifst.StdVectorFst()
    fst.start = fst.add_state()
    for old, new in labels.items():
        fst.add_arc(0, kaldifst.StdArc(new, old, 0.0, 0))
    fst.set_final(0, 0.0)
    kaldifst.arcsort(fst, sort_type="olabel")
    return fst
