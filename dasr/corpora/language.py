"""What a corpus says about its language: a lexicon and perhaps a unigram language model, in one form."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dasr.errors import UserError

VARIANT = re.compile(r"\(\d+\)$")  # CMU dictionaries write a word's second pronunciation as WORD(2)
NOT_WORDS = {"<s>", "</s>", "<eps>", "#0"}


@dataclass(frozen=True)
class Lexicon:
    """Pronunciations (word, phones), in the order of the file."""

    pronunciations: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def read(cls, path: Path) -> Lexicon:
        """Read `word phone...` lines (`lexiconp.txt`: `word probability phone...`). Raises UserError with the
        line.
        """
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise UserError(f"cannot read the lexicon {path}: {error.strerror}") from None
        found: dict[tuple[str, tuple[str, ...]], None] = {}
        for number, line in enumerate(lines, 1):
            try:
                fields = line.decode("utf-8").split()
            except UnicodeDecodeError:
                raise UserError(f"{path}:{number} is not UTF-8; convert the lexicon") from None
            if path.name.startswith("lexiconp"):
                del fields[1:2]
            if len(fields) == 1:
                raise UserError(f"{path}:{number}: the word '{fields[0]}' has no phones")
            if fields and fields[0] not in NOT_WORDS:
                found[VARIANT.sub("", fields[0]), tuple(fields[1:])] = None
        if not found:
            raise UserError(f"the lexicon {path} is empty")
        return cls(tuple(found))

    @property
    def words(self) -> set[str]:
        return {word for word, _ in self.pronunciations}

    def text(self) -> str:
        return "".join(f"{word} {' '.join(phones)}\n" for word, phones in self.pronunciations)


@dataclass(frozen=True)
class LanguageModel:
    """A unigram: log10 probability of each word and of `</s>`."""

    unigrams: Mapping[str, float]

    @classmethod
    def uniform(cls, words: set[str]) -> LanguageModel:
        """Every word and the sentence end equally likely."""
        return cls({word: -math.log10(len(words) + 1) for word in sorted({*words, "</s>"})})

    def arpa(self) -> str:
        """ARPA format, order 1."""
        rows = [f"{self.unigrams[word]:.4f}\t{word}" for word in sorted(self.unigrams)]
        lines = ["\\data\\", f"ngram 1={len(rows) + 1}", "", "\\1-grams:", "-99\t<s>", *rows, "", "\\end\\"]
        return "\n".join(lines) + "\n"
