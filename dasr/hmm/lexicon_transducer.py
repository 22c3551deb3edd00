"""The transducers of a pronunciation lexicon, as Kaldi's prepare_lang.sh and make_lexicon_fst.pl make
them.

L maps phones to words; between words, and at both ends, silence is optional (probability 1/2). L_disambig has
symbols #1, #2... after pronunciations that are a prefix or a homophone of another, so that L o G can be
determinized.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import kaldifst

from dasr.corpora.language import Lexicon

EPSILON, BACKOFF, BEGIN, END = "<eps>", "#0", "<s>", "</s>"
SILENCE_PROBABILITY = 0.5


@dataclass(frozen=True)
class LexiconTransducer:
    """The symbol tables and transducers that follow from a lexicon."""

    lexicon: Lexicon

    @cached_property
    def phones(self) -> tuple[str, ...]:
        """Silence first, then the others in alphabetical order. Phone i has id i + 1."""
        rest = {phone for _, phones in self.lexicon.pronunciations for phone in phones} - {
            self.lexicon.silence
        }
        return (self.lexicon.silence, *sorted(rest))

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(sorted({word for word, _ in self.lexicon.pronunciations}))

    @cached_property
    def disambiguated(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Pronunciations with #1, #2... added where another one is the same or begins with it
        (add_lex_disambig.pl).
        """
        times = Counter(phones for _, phones in self.lexicon.pronunciations)
        prefixes = {phones[:n] for _, phones in self.lexicon.pronunciations for n in range(1, len(phones))}
        used: Counter[tuple[str, ...]] = Counter()
        marked = []
        for word, phones in self.lexicon.pronunciations:
            if times[phones] > 1 or phones in prefixes:
                used[phones] += 1
                phones = (*phones, f"#{used[phones]}")
            marked.append((word, phones))
        return tuple(marked)

    @cached_property
    def disambiguators(self) -> tuple[str, ...]:
        """#0 (back-off of the language model), #1... of the pronunciations, and a last one for silence."""
        marks = [int(phones[-1][1:]) for _, phones in self.disambiguated if phones[-1].startswith("#")]
        return tuple(f"#{n}" for n in range(max(marks, default=0) + 2))

    @cached_property
    def phone_ids(self) -> dict[str, int]:
        return {symbol: n for n, symbol in enumerate((EPSILON, *self.phones, *self.disambiguators))}

    @cached_property
    def word_ids(self) -> dict[str, int]:
        return {symbol: n for n, symbol in enumerate((EPSILON, *self.words, BACKOFF, BEGIN, END))}

    def transcript(self, words: Iterable[str]) -> list[int]:
        """Word ids. Raises KeyError(word) for a word that is not in the lexicon."""
        known = self._known
        return [known[word] for word in words]

    @cached_property
    def _known(self) -> dict[str, int]:
        return {word: self.word_ids[word] for word in self.words}

    def fst(self, *, disambiguate: bool) -> Any:
        """L (phones in, words out), or L_disambig with the self-loops that let #0 pass. Arcs sorted by
        output.
        """
        fst = kaldifst.StdVectorFst()
        start, loop, after_silence = (fst.add_state() for _ in range(3))
        fst.start = start
        with_silence, without = -math.log(SILENCE_PROBABILITY), -math.log1p(-SILENCE_PROBABILITY)
        self._arc(fst, start, loop, EPSILON, EPSILON, without)
        self._arc(fst, start, after_silence, EPSILON, EPSILON, with_silence)
        if disambiguate:
            marked = fst.add_state()
            self._arc(fst, after_silence, marked, self.lexicon.silence, EPSILON)
            self._arc(fst, marked, loop, self.disambiguators[-1], EPSILON)
        else:
            self._arc(fst, after_silence, loop, self.lexicon.silence, EPSILON)
        chosen = self.disambiguated if disambiguate else self.lexicon.pronunciations
        for pronunciation, (word, phones) in zip(self.lexicon.pronunciations, chosen, strict=True):
            probability = self.lexicon.probabilities.get(pronunciation, 1.0)
            state, output, cost = loop, word, -math.log(probability) if probability != 1 else 0.0
            for phone in phones[:-1]:
                following = fst.add_state()
                self._arc(fst, state, following, phone, output, cost)
                state, output, cost = following, EPSILON, 0.0
            self._arc(fst, state, loop, phones[-1], output, cost + without)
            self._arc(fst, state, after_silence, phones[-1], output, cost + with_silence)
        fst.set_final(loop, 0.0)
        if disambiguate:
            kaldifst.add_self_loops(fst, [self.phone_ids[BACKOFF]], [self.word_ids[BACKOFF]])
        kaldifst.arcsort(fst, sort_type="olabel")
        return fst

    def _arc(self, fst: Any, source: int, target: int, phone: str, word: str, cost: float = 0.0) -> None:
        fst.add_arc(source, kaldifst.StdArc(self.phone_ids[phone], self.word_ids[word], cost, target))


def symbol_table_text(ids: dict[str, int]) -> str:
    return "".join(f"{symbol} {number}\n" for symbol, number in ids.items())
