"""How Kaldi's text files are read: the one reader of tables, lexicons, transcripts and language models.

The rules, which are Kaldi's:

- Text is UTF-8; a byte order mark at the beginning of a file is skipped.
- Blanks are the six of ASCII (space, tab, line feed, carriage return, vertical tab, form feed). Every
  other character belongs to a word: a no-break space or an ideographic space does not separate.
- A line of a table is a key, blanks, and the rest of the line as it stands, without blanks at its end. So
  a path may contain blanks.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from dasr import checksums
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError

BLANKS = " \t\n\r\v\f"
_BLANKS = re.compile(f"[{BLANKS}]+")
_ODD_BLANKS = re.compile(r"[^\S \t\n\r\v\f]|[\u200b\u2060\ufeff]")


def fields(line: str) -> list[str]:
    """The words of a line: what stands between blanks of ASCII."""
    return [field for field in _BLANKS.split(line) if field]


def key_and_rest(line: str) -> tuple[str, str]:
    """(key, rest of the line without blanks at its ends); two empty texts for a line without a word."""
    key, *rest = _BLANKS.split(line.strip(BLANKS), maxsplit=1)
    return key, rest[0] if rest else ""


def lines_of(data: bytes) -> Iterator[bytes]:
    """The lines of a file's bytes, without the byte order mark. One at a time: a list of millions would need
    several times the memory of the file."""
    return (line.removesuffix(b"\n") for line in io.BytesIO(data.removeprefix(codecs.BOM_UTF8)))


def read_bytes(path: Path, what: str = "") -> bytes:
    """Raises UserError where the file cannot be read, or is not what its stage wrote."""
    try:
        return checksums.check_bytes(path, path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {what}{path}: {error.strerror}") from None


def text_lines(path: Path, what: str = "") -> Iterator[tuple[int, str]]:
    """(number from 1, line) of each line with a word in it. Raises UserError naming a line that is not
    UTF-8. `what`: "the lexicon " or the like, for messages."""
    return decoded(lines_of(read_bytes(path, what)), str(path))


def decoded(lines: Iterable[bytes], place: str) -> Iterator[tuple[int, str]]:
    """As `text_lines`, of lines that were read already from `place`."""
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8").strip(BLANKS)
        except UnicodeDecodeError:
            raise UserError(f"{place}:{number} is not UTF-8: convert the file to UTF-8") from None
        if text:
            yield number, text


def read_table(path: Path, rejects: Rejects) -> dict[str, str]:
    """Key -> rest of its line. Raises UserError if the file cannot be read.

    A line that is not UTF-8, and all lines of a key that stands in several, go to `rejects`. Keys are
    interned, which tables of the same utterances share, and so are values without a blank, which come again
    (speakers, lengths).
    """
    table: dict[str, str] = {}
    first: dict[str, int] = {}
    data = read_bytes(path)
    for number, line in enumerate(lines_of(data), 1):
        key, value = key_and_rest(line.decode("utf-8", "replace"))
        if not key:
            continue
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            rejects.add(key, f"{path}:{number} is not UTF-8")
            table.pop(key, None)
            continue
        if key in table:
            first = first or _first_lines(data)
            rejects.add(key, f"{path}:{number}: duplicate id (the first is in line {first[key]})")
            continue
        table[sys.intern(key)] = value if " " in value else sys.intern(value)
    return table


def _first_lines(data: bytes) -> dict[str, int]:
    """Key -> number of the first line that has it, of those that are UTF-8."""
    found: dict[str, int] = {}
    for number, line in enumerate(lines_of(data), 1):
        with contextlib.suppress(UnicodeDecodeError):
            found.setdefault(key_and_rest(line.decode("utf-8"))[0], number)
    return found


def describe(word: str) -> str:
    """The word in quotes; code points of blanks in it that look like separators but are part of it."""
    odd = ", ".join(f"U+{ord(character):04X}" for character in dict.fromkeys(_ODD_BLANKS.findall(word)))
    return f"'{word}'" + (f" (which contains {odd})" if odd else "")
