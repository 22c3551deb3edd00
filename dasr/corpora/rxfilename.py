"""What a value of wav.scp or feats.scp may be: Kaldi's "rxfilename".

    file                 a whole file
    file:OFFSET          an object in an archive that begins at that byte
    command |            what a shell command writes; only if pipes are allowed
    ...[ROWS,COLUMNS]    a part of a matrix; each is FIRST:LAST, the last included, or empty for all

The last form may follow each of the others. Nothing else runs a command: a file whose name ends in "|", cited
with an offset or a part, is a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dasr.errors import UserError

_PART = re.compile(r"\[(?P<rows>\d+:\d+)?(?:,(?P<columns>\d+:\d+)?)?\]$")
_OFFSET = re.compile(r"^(?P<file>.+):(?P<offset>\d+)$", re.DOTALL)

Range = tuple[int, int] | None


@dataclass(frozen=True)
class Place:
    """Where an object is: `command`, or `file` and perhaps `offset`; `rows`, `columns`: (first, last)."""

    command: str | None = None
    file: Path | None = None
    offset: int | None = None
    rows: Range = None
    columns: Range = None

    def __str__(self) -> str:
        if self.command is not None:
            return f"{self.command}|"
        offset = "" if self.offset is None else f":{self.offset}"
        return f"{self.file}{offset}{_part(self.rows, self.columns)}"


def parse(text: str) -> Place:
    """Raises UserError for what is neither a file nor a command."""
    if text.endswith("|"):
        return Place(command=text[:-1])
    if Path(text).is_file():  # whatever its name looks like
        return Place(file=Path(text))
    rows = columns = None
    if part := _PART.search(text):
        text, rows, columns = text[: part.start()], _range(part["rows"]), _range(part["columns"])
    if text.strip() in ("", "-") or text.startswith("|"):
        raise UserError(f"'{text}' is neither a file nor a command that ends in |")
    if (archive := _OFFSET.match(text)) and not Path(text).is_file():
        return Place(None, Path(archive["file"]), int(archive["offset"]), rows, columns)
    return Place(None, Path(text), None, rows, columns)


def _range(text: str | None) -> Range:
    if not text:
        return None
    first, last = map(int, text.split(":"))
    return first, last


def _part(rows: Range, columns: Range) -> str:
    if rows is None and columns is None:
        return ""
    row, column = ("" if one is None else f"{one[0]}:{one[1]}" for one in (rows, columns))
    return f"[{row}]" if columns is None else f"[{row},{column}]"
