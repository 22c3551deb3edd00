"""The decoding graph of CTC: T o min(det(L o G)), as EESEN makes it (Miao et al. 2015, arXiv 1507.08240).

T   outputs of the network in (blank or unit, + 1), units out: repeats are merged, blanks left out;
    a blank must stand between two equal units
L   spellings: units in, words out
G   language model; back-off arcs read #0
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kaldifst

from dasr.corpora.language import Lexicon
from dasr.criteria.units import Units
from dasr.errors import UserError
from dasr.files import write_text
from dasr.hmm.arpa import grammar as read_grammar
from dasr.hmm.graph import reads_words
from dasr.hmm.lexicon_transducer import BACKOFF, LexiconTransducer, symbol_table_text


def write_graph(folder: Path, units: Units, arpa: Path) -> dict[str, int]:
    """Write `HCLG.fst` (its place in this graph's stead) and `words.txt` into `folder`; returns its numbers
    of states and arcs. Raises UserError."""
    lexicon = LexiconTransducer(Lexicon(units.spellings))
    grammar = read_grammar(arpa, lexicon.word_ids)
    if not reads_words(grammar, lexicon.word_ids[BACKOFF]):
        raise UserError(f"the graph of {arpa} is empty: do its words occur in the lexicon?")
    graph = compile_graph(units, lexicon, grammar)
    folder.mkdir(parents=True, exist_ok=True)
    if not graph.write(str(folder / "HCLG.fst")):
        raise UserError(f"cannot write {folder / 'HCLG.fst'}")
    write_text(folder / "words.txt", symbol_table_text(lexicon.word_ids))
    arcs = sum(graph.num_arcs(state) for state in range(graph.num_states))
    return {"states": int(graph.num_states), "arcs": arcs, "num_pdfs": len(units.symbols)}


def compile_graph(units: Units, lexicon: LexiconTransducer, grammar: Any) -> Any:
    """The graph; its input labels are outputs of the network, from 1."""
    kaldifst.arcsort(grammar, sort_type="ilabel")
    words = kaldifst.compose(spelling(units, lexicon), grammar)
    kaldifst.determinize_star(words, use_log=True)
    kaldifst.minimize_encoded(words)
    kaldifst.arcsort(words, sort_type="ilabel")
    return kaldifst.compose(tokens(units, len(lexicon.disambiguators)), words)


def spelling(units: Units, lexicon: LexiconTransducer) -> Any:
    """L: a loop over the words; after a spelling that another one equals or begins with, a symbol #n."""
    fst = kaldifst.StdVectorFst()
    loop = fst.add_state()
    fst.start = loop
    fst.set_final(loop, 0.0)
    ids = units.ids | {one: len(units.symbols) + n for n, one in enumerate(lexicon.disambiguators)}
    for plain, (word, said) in zip(units.spellings, lexicon.disambiguated, strict=True):
        state, output = loop, lexicon.word_ids[word]
        cost = units.costs[plain] if units.kind == "phones" else 0.0
        for number, unit in enumerate(said):
            following = loop if number == len(said) - 1 else fst.add_state()
            fst.add_arc(state, kaldifst.StdArc(ids[unit], output, cost, following))
            state, output, cost = following, 0, 0.0
    fst.add_arc(loop, kaldifst.StdArc(ids[BACKOFF], lexicon.word_ids[BACKOFF], 0.0, loop))
    kaldifst.arcsort(fst, sort_type="olabel")
    return fst


def tokens(units: Units, disambiguators: int) -> Any:
    """T, with loops that let the symbols #n pass."""
    blank, count = 1, len(units.symbols)
    fst = kaldifst.StdVectorFst()
    between = fst.add_state()  # after a blank, and at the beginning
    fst.start = between
    inside = [between, *(fst.add_state() for _ in range(1, count))]  # after each unit
    for state in inside:
        fst.set_final(state, 0.0)
        fst.add_arc(state, kaldifst.StdArc(blank, 0, 0.0, between))
        for unit in range(1, count):
            if state != inside[unit]:
                fst.add_arc(state, kaldifst.StdArc(unit + 1, unit, 0.0, inside[unit]))
        for symbol in range(disambiguators):
            fst.add_arc(state, kaldifst.StdArc(0, count + symbol, 0.0, state))
    for unit in range(1, count):
        fst.add_arc(inside[unit], kaldifst.StdArc(unit + 1, 0, 0.0, inside[unit]))
    kaldifst.arcsort(fst, sort_type="olabel")
    return fst
