"""What CTC's outputs stand for: the blank, then characters or phones; and how words are spelled with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from dasr.corpora.language import Lexicon

Kind = Literal["characters", "phones"]
BLANK = "<blank>"
SPACE = "<space>"  # the last character of every word: without it two words could not be told from one


@dataclass(frozen=True)
class Units:
    """The units of a lexicon's words. symbols: unit i is output i; the first is the blank."""

    kind: Kind
    lexicon: Lexicon

    @classmethod
    def read(cls, kind: Kind, lexicon: Path) -> Units:
        """Of the lexicon.txt that `dasr corpus` wrote. Raises UserError."""
        return cls(kind, Lexicon.read(lexicon))

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        found = {unit for _, spelling in self.spellings for unit in spelling}
        return (BLANK, *sorted(found))

    @cached_property
    def ids(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    @cached_property
    def spellings(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(word, its units), in the lexicon's order: every pronunciation, or one spelling a word."""
        spoken = self.lexicon.spoken
        if self.kind == "phones":
            silent = self.lexicon.silent
            rows = ((word, tuple(p for p in said if p not in silent)) for word, said in self._rows(spoken))
            return tuple(dict.fromkeys(rows))
        words = dict.fromkeys(word for word, _ in self._rows(spoken))
        return tuple((word, (*word, SPACE)) for word in words)

    def _rows(self, spoken: set[str]) -> list[tuple[str, tuple[str, ...]]]:
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
