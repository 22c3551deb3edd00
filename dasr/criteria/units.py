"""What CTC's outputs stand for: the blank, then characters, phones or pieces; and how words are spelled with
them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from dasr.corpora.language import Lexicon
from dasr.criteria import pieces
from dasr.results.layout import Layout

Kind = Literal["characters", "phones", "bpe"]
Spelling = tuple[str, tuple[str, ...]]  # a word, its units
BLANK = "<blank>"
SPACE = "<space>"  # the last character of every word: without it two words could not be told from one


@dataclass(frozen=True)
class Units:
    """The units of a lexicon's words. symbols: unit i is output i; the first is the blank."""

    kind: Kind
    lexicon: Lexicon
    pieces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of each word, where the kind is bpe

    @classmethod
    def read(cls, kind: Kind, layout: Layout) -> Units:
        """Of the lexicon that `dasr corpus` wrote, and the pieces of `dasr units`. Raises UserError."""
        found = pieces.read(layout.units) if kind == "bpe" else {}
        return cls(kind, Lexicon.of_lang(layout.lang), found)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        found = {unit for _, spelling in self.spellings for unit in spelling}
        return (BLANK, *sorted(found))

    @cached_property
    def ids(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    @cached_property
    def spellings(self) -> tuple[Spelling, ...]:
        """(word, its units), in the lexicon's order: every pronunciation, or one spelling a word."""
        if self.kind == "phones":
            return tuple(self.costs)
        words = dict.fromkeys(word for word, _ in self._pronounced())
        if self.kind == "bpe":
            return tuple((word, self.pieces[word]) for word in words if word in self.pieces)
        return tuple((word, (*word, SPACE)) for word in words)

    @cached_property
    def costs(self) -> dict[Spelling, float]:
        """-log p of each pronunciation without silent phones, where the lexicon has probabilities; else 0."""
        found: dict[Spelling, float] = {}
        for word, said in self._pronounced():
            row = word, tuple(phone for phone in said if phone not in self.lexicon.silent)
            cost = -math.log(self.lexicon.probabilities.get((word, said), 1.0))
            found[row] = min(cost, found.get(row, math.inf))
        return found

    def _pronounced(self) -> list[Spelling]:
        spoken = self.lexicon.spoken
        return [(word, phones) for word, phones in self.lexicon.pronunciations if word in spoken]

    @cached_property
    def _first(self) -> dict[str, tuple[int, ...]]:
        first: dict[str, tuple[int, ...]] = {}
        for word, spelling in self.spellings:
            first.setdefault(word, tuple(self.ids[unit] for unit in spelling))
        return first

    def encode(self, words: Iterable[str]) -> list[int] | str:
        """Units of a transcript, a word's first spelling; or the word that cannot be spelled."""
        found: list[int] = []
        for word in words:
            spelled = self._first.get(word)
            if spelled is None:
                return word
            found += spelled
        return found
