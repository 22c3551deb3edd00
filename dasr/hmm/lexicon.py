"""The pronunciation lexicon and its transducers, as Kaldi's prepare_lang.sh and make_lexicon_fst.pl make
them.

L maps phones to words; between words, and at both ends, silence is optional (probability 1/2). L_disambig has
symbols #1, #2... after pronunciations that are a prefix or a homophone of another, so that L o G can be
determinized.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import kaldifst

from dasr.corpora import language

EPSILON, BACKOFF, BEGIN, END = "<eps>", "#0", "<s>", "</s>"
SILENCE_PROBABILITY = 0.5


@dataclass(frozen=True)
class Lexicon:
    """Pronunciations (word, phones) in file order, the silence phone, and the symbol tables that follow from
    them.
    """

    pronunciations: tuple[language.Pronunciation, ...]
    silence: str = language.SILENCE
    unknown: str | None = None
    probabilities: Mapping[language.Pronunciation, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Lexicon:
        """The lexicon of a lang folder that `dasr corpus` wrote (`path`: its lexicon.txt; probabilities are
        taken from lexiconp.txt beside it). Raises UserError naming the line."""
        weighted = path.with_name("lexiconp.txt")
        read = language.Lexicon.read(weighted if weighted.is_file() else path)
        return cls(read.pronunciations, read.silence, read.unknown, read.probabilities)

    @cached_property
    def phones(self) -> tuple[str, ...]:
        """Silence first, then the others in alphabetical order. Phone i has id i + 1."""
        rest = {phone for _, phones in self.pronunciations for phone in phones} - {self.silence}
        return (self.silence, *sorted(rest))

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(sorted({word for word, _ in self.pronunciations}))

    @cached_property
    def disambiguated(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Pronunciations with #1, #2... added where another one is the same or begins with it
        (add_lex_disambig.pl).
        """
        times = Counter(phones for _, phones in self.pronunciations)
        prefixes = {phones[:n] for _, phones in self.pronunciations for n in range(1, len(phones))}
        used: Counter[tuple[str, ...]] = Counter()
        marked = []
        for word, phones in self.pronunciations:
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
        lexicon = kaldifst.StdVectorFst()
        start, loop, after_silence = (lexicon.add_state() for _ in range(3))
        lexicon.start = start
        with_silence, without = -math.log(SILENCE_PROBABILITY), -math.log1p(-SILENCE_PROBABILITY)
        self._arc(lexicon, start, loop, EPSILON, EPSILON, without)
        self._arc(lexicon, start, after_silence, EPSILON, EPSILON, with_silence)
        if disambiguate:
            marked = lexicon.add_state()
            self._arc(lexicon, after_silence, marked, self.silence, EPSILON)
            self._arc(lexicon, marked, loop, self.disambiguators[-1], EPSILON)
        else:
            self._arc(lexicon, after_silence, loop, self.silence, EPSILON)
        chosen = self.disambiguated if disambiguate else self.pronunciations
        for pronunciation, (word, phones) in zip(self.pronunciations, chosen, strict=True):
            probability = self.probabilities.get(pronunciation, 1.0)
            state, output, cost = loop, word, -math.log(probability) if probability != 1 else 0.0
            for phone in phones[:-1]:
                following = lexicon.add_state()
                self._arc(lexicon, state, following, phone, output, cost)
                state, output, cost = following, EPSILON, 0.0
            self._arc(lexicon, state, loop, phones[-1], output, cost + without)
            self._arc(lexicon, state, after_silence, phones[-1], output, cost + with_silence)
        lexicon.set_final(loop, 0.0)
        if disambiguate:
            kaldifst.add_self_loops(lexicon, [self.phone_ids[BACKOFF]], [self.word_ids[BACKOFF]])
        kaldifst.arcsort(lexicon, sort_type="olabel")
        return lexicon

    def _arc(self, fst: Any, source: int, target: int, phone: str, word: str, cost: float = 0.0) -> None:
        fst.add_arc(source, kaldifst.StdArc(self.phone_ids[phone], self.word_ids[word], cost, target))

    def text(self) -> str:
        return "".join(f"{word} {' '.join(phones)}\n" for word, phones in self.pronunciations)


def symbol_table_text(ids: dict[str, int]) -> str:
    return "".join(f"{symbol} {number}\n" for symbol, number in ids.items())
