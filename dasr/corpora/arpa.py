"""ARPA language models as text: read line by line, checked against their own header.

    \\data\\
    ngram 1=3

    \\1-grams:
    -0.5 ONE -0.3          log10 probability, words, log10 back-off weight (0 if not given)
    \\end\\

Raises UserError that names file and line for anything else; memory is bounded by what the header announces.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from dasr import checksums
from dasr.corpora import tables
from dasr.errors import UserError

NEVER = -98.0  # log10: at or below it a probability means zero
LONGEST_LINE = 1 << 16
MOST_EMPTY = 1 << 16  # lines that say nothing, one after another
_COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)$")
_SECTION = re.compile(r"\\(\d+)-grams:$")
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

Gram = tuple[str, ...]
PACKED = tuple(_OPENERS)


def read_arpa(path: Path) -> dict[Gram, tuple[float, float]]:
    """Every n-gram with its log10 probability and back-off weight (0 if not given). Raises UserError."""
    return {gram: (probability, backoff) for _, gram, probability, backoff in grams(path)}


def copy_arpa(source: Path, target: Path) -> None:
    """Write the model at `source` (packed or not) as plain text. Raises UserError if it is none."""
    with target.open("w", encoding="utf-8") as out:

        def write(line: str) -> None:
            section = line.startswith("\\") and line != "\\data\\"
            out.write(f"\n{line}\n" if section else f"{line}\n")

        for _ in _Parser(source, write).grams():
            pass


def grams(path: Path) -> Iterator[tuple[int, Gram, float, float]]:
    """(line number, n-gram, log10 probability, log10 back-off weight) of each. Raises UserError."""
    return _Parser(path, lambda line: None).grams()


class _Parser:
    def __init__(self, path: Path, seen: Callable[[str], object]) -> None:
        """`seen`: told each line from `\\data\\` to `\\end\\`."""
        self.path, self.seen, self.number = path, seen, 0
        self.announced: dict[int, int] = {}  # order -> n-grams
        self.found: dict[int, int] = {}

    def wrong(self, why: str) -> NoReturn:
        raise UserError(f"{self.path}:{self.number}: {why}")

    def grams(self) -> Iterator[tuple[int, Gram, float, float]]:
        checksums.check(self.path)
        began, order = False, 0
        for line in self._lines():
            if not began:
                began = line == "\\data\\"
                continue
            if line == "\\end\\":
                self._check_counts()
                return
            if section := _SECTION.match(line):
                order = int(section[1])
                if order not in self.announced:
                    self.wrong(f"the header announces no {order}-grams")
            elif not order:
                self._announce(line)
            else:
                yield self._gram(line, order)
        if not began:
            raise UserError(f"{self.path} is not an ARPA language model: it has no line \\data\\")
        self.wrong("the file ends without \\end\\: it is cut off")

    def _announce(self, line: str) -> None:
        count = _COUNT.match(line)
        if count is None:
            self.wrong(f"'{line[:60]}' is not `ngram ORDER=COUNT`")
        self.announced[int(count[1])] = int(count[2])

    def _gram(self, line: str, order: int) -> tuple[int, Gram, float, float]:
        fields = tables.fields(line)
        self.found[order] = self.found.get(order, 0) + 1
        if self.found[order] > self.announced[order]:
            self.wrong(f"more {order}-grams than the {self.announced[order]} that the header announces")
        try:
            if not order + 1 <= len(fields) <= order + 2:
                raise ValueError
            probability = float(fields[0])
            backoff = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
        except ValueError:
            self.wrong(f"'{line[:60]}' is not a {order}-gram")
        if not (probability < math.inf and backoff < math.inf):  # NaN is not less either
            self.wrong(f"'{line[:60]}' has no probability or back-off weight that is a number")
        return self.number, tuple(fields[1 : order + 1]), probability, backoff

    def _check_counts(self) -> None:
        for order, count in self.announced.items():
            if self.found.get(order, 0) != count:
                self.wrong(
                    f"the header announces {count} {order}-grams, but there are {self.found.get(order, 0)}"
                )
        if not self.found:
            raise UserError(f"{self.path} is not an ARPA language model: it has no n-grams")

    def _lines(self) -> Iterator[str]:
        """Lines with a word in them, without blanks at their ends."""
        opener: Callable[..., IO[bytes]] = _OPENERS.get(self.path.suffix.lower(), open)
        empty, said = 0, False
        try:
            with opener(self.path, "rb") as stream:
                while line := stream.readline(LONGEST_LINE + 1):
                    self.number += 1
                    if len(line) > LONGEST_LINE:
                        self.wrong(f"a line of more than {LONGEST_LINE} bytes: not an ARPA language model")
                    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8").strip(tables.BLANKS)
                    said = said or text == "\\data\\"
                    empty = 0 if text and said else empty + 1
                    if empty > MOST_EMPTY:
                        self.wrong("nothing in many lines: not an ARPA language model")
                    if text:
                        if said:
                            self.seen(text)
                        yield text
        except UnicodeDecodeError:
            self.wrong("not UTF-8 text")
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            why = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise UserError(f"cannot read the language model {self.path}: {why}") from None
