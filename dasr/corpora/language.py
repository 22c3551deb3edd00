"""What a corpus says about its language: a lexicon and perhaps a unigram language model, in one form."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dasr.errors import UserError

VARIANT = re.compile(r"\(\d+\)$")  # CMU dictionaries write a word's second pronunciation as WORD(2)
NOT_WORDS = {"<s>", "</s>", "<eps>", "#0"}
UNKNOWN = ("<unk>", "<UNK>")  # what stands for words that are not in a lexicon, where no oov.txt names it
SILENCE = "SIL"


@dataclass(frozen=True)
class Lexicon:
    """Pronunciations (word, phones), in the order of the file. `unknown`: the word, with a pronunciation of
    its own, that words without one are aligned as."""

    pronunciations: tuple[tuple[str, tuple[str, ...]], ...]
    unknown: str | None = None

    @classmethod
    def read(cls, path: Path) -> Lexicon:
        """Read `word phone...` lines (`lexiconp.txt`: `word probability phone...`), and `oov.txt` beside
        them. Raises UserError with the line.
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
        return cls(tuple(found)).with_unknown(path.with_name("oov.txt"))

    def with_unknown(self, oov: Path) -> Lexicon:
        """With the unknown word that Kaldi's file names, or else one of the usual names. Raises UserError."""
        if not oov.is_file():
            return replace(self, unknown=next((word for word in UNKNOWN if word in self.words), None))
        word = oov.read_text(encoding="utf-8", errors="replace").strip()
        if word not in self.words:
            raise UserError(
                f"{oov} names '{word}' for words that are not in the lexicon, but it is not there itself: "
                f"add it (as `{word} SPN`, say) or remove the file"
            )
        return replace(self, unknown=word)

    @property
    def words(self) -> set[str]:
        return {word for word, _ in self.pronunciations}

    @property
    def spoken(self) -> set[str]:
        """What a language model may say: no silence, nothing unknown."""
        return {word for word, phones in self.pronunciations if phones != (SILENCE,)} - {self.unknown}

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
