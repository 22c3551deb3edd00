"""What a corpus says about its language: a lexicon and perhaps a unigram language model, in one form."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dasr.corpora import tables
from dasr.errors import UserError

VARIANT = re.compile(r"\(\d+\)$")  # CMU dictionaries write a word's second pronunciation as WORD(2)
NUMBER = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?")
RESERVED = ("<eps>", "#0", "<s>", "</s>")  # words that the transducers need for themselves
UNKNOWN = ("<unk>", "<UNK>")  # what stands for words that are not in a lexicon, where no oov.txt names it
SILENCE = "SIL"

Pronunciation = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Lexicon:
    """Pronunciations (word, phones), in the order of the file.

    unknown: the word, with a pronunciation of its own, that words without one are aligned as.
    probabilities: of those pronunciations that the file gives one for; others count as 1.
    silence: the phone of optional silence. silent: phones that are no speech (noise, laughter).
    """

    pronunciations: tuple[Pronunciation, ...]
    unknown: str | None = None
    probabilities: Mapping[Pronunciation, float] = field(default_factory=dict)
    silence: str = SILENCE
    silent: frozenset[str] = frozenset({SILENCE})

    @classmethod
    def read(cls, path: Path) -> Lexicon:
        """Read `word phone...` lines (`lexiconp.txt`: `word probability phone...`), and what stands beside
        them: `oov.txt`, `optional_silence.txt`, `silence_phones.txt`. Raises UserError with the line.
        """
        weighted = path.name.startswith("lexiconp")
        found: dict[Pronunciation, float] = {}
        for number, line in tables.text_lines(path, "the lexicon "):
            pronunciation, probability = _entry(tables.fields(line), weighted, f"{path}:{number}")
            found.setdefault(pronunciation, probability)
        if not found:
            raise UserError(f"the lexicon {path} is empty")
        probabilities = found if weighted else {}
        return cls(tuple(found), probabilities=probabilities)._with_neighbours(path.parent)

    @classmethod
    def of_lang(cls, folder: Path) -> Lexicon:
        """The lexicon of a lang folder that `dasr corpus` wrote. Raises UserError naming the line."""
        weighted = folder / "lexiconp.txt"
        return cls.read(weighted if weighted.is_file() else folder / "lexicon.txt")

    def _with_neighbours(self, folder: Path) -> Lexicon:
        """With what the files beside the lexicon say of silence and of unknown words. Raises UserError."""
        silence = _words_of(folder / "optional_silence.txt") or [self.silence]
        if len(silence) > 1:
            raise UserError(
                f"{folder / 'optional_silence.txt'} names {len(silence)} phones: it must name one"
            )
        silent = frozenset({*silence, *_words_of(folder / "silence_phones.txt")})
        return replace(self, silence=silence[0], silent=silent).with_unknown(folder / "oov.txt")

    def with_unknown(self, oov: Path) -> Lexicon:
        """With the unknown word that Kaldi's file names, or else one of the usual names. Raises UserError."""
        if not oov.is_file():
            return replace(self, unknown=next((word for word in UNKNOWN if word in self.words), None))
        named = _words_of(oov)
        word = named[0] if named else ""
        if len(named) != 1 or word not in self.words:
            raise UserError(
                f"{oov} names '{' '.join(named)}' for words that are not in the lexicon, but it is not there "
                f"itself: add it (as `{word or '<UNK>'} SPN`, say) or remove the file"
            )
        return replace(self, unknown=word)

    @property
    def words(self) -> set[str]:
        return {word for word, _ in self.pronunciations}

    @property
    def spoken(self) -> set[str]:
        """What a language model may say: words with a phone of speech, nothing unknown."""
        return {word for word, phones in self.pronunciations if not self.silent.issuperset(phones)} - {
            self.unknown
        }

    def text(self) -> str:
        return "".join(f"{word} {' '.join(phones)}\n" for word, phones in self.pronunciations)

    def files(self) -> dict[str, str]:
        """The files of a lang folder that say what this lexicon says, by name."""
        files = {"lexicon.txt": self.text()}
        if self.unknown:
            files["oov.txt"] = f"{self.unknown}\n"
        if self.probabilities:
            rows = ((word, self.probabilities[word, phones], phones) for word, phones in self.pronunciations)
            files["lexiconp.txt"] = "".join(
                f"{word} {p:.10g} {' '.join(phones)}\n" for word, p, phones in rows
            )
        if self.silent != {SILENCE}:
            files["optional_silence.txt"] = f"{self.silence}\n"
            files["silence_phones.txt"] = "".join(f"{phone}\n" for phone in sorted(self.silent))
        return files


def _words_of(path: Path) -> list[str]:
    """All words of a small file; none where it is absent. Raises UserError."""
    if not path.is_file():
        return []
    return [word for _, line in tables.text_lines(path) for word in tables.fields(line)]


def _entry(given: list[str], weighted: bool, place: str) -> tuple[Pronunciation, float]:
    """(pronunciation, its probability) of a lexicon's line. Raises UserError that begins with `place`."""
    word, *phones = given
    probability = 1.0
    if weighted:
        probability = _probability(word, phones.pop(0) if phones else "", place)
    elif len(phones) > 1 and NUMBER.fullmatch(phones[0]) and "." in phones[0]:
        raise UserError(
            f"{place}: '{phones[0]}' looks like a probability, not a phone: call the file lexiconp.txt "
            "(word, one probability, phones)"
        )
    if not phones:
        raise UserError(f"{place}: the word {tables.describe(word)} has no phones")
    if word in RESERVED:
        raise UserError(f"{place}: '{word}' is a reserved symbol, not a word: remove the line")
    if odd := next((phone for phone in phones if phone.startswith("#") or phone in RESERVED), None):
        raise UserError(f"{place}: '{odd}' is a reserved symbol, not a phone: give the phone another name")
    return (VARIANT.sub("", word), tuple(phones)), probability


def _probability(word: str, text: str, place: str) -> float:
    if not NUMBER.fullmatch(text):
        raise UserError(
            f"{place}: '{text}' is no probability: a line of lexiconp.txt is a word, its probability, phones"
        )
    value = float(text)
    if not 0 < value <= 1:
        raise UserError(f"{place}: the probability of '{word}' is {text}: it must be above 0 and at most 1")
    return value


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
