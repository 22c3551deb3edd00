"""NIST's trn files, as scoring leaves them."""

from __future__ import annotations

from pathlib import Path

from dasr.corpora import tables
from dasr.errors import UserError


def read_trn(path: Path) -> dict[str, list[str]]:
    """A NIST trn file (`word... (utterance)` a line): utterance -> words. Raises UserError."""
    if not path.is_file():
        raise UserError(f"there is no {path}: run `dasr score` first")
    found = {}
    for number, line in tables.text_lines(path):
        fields = tables.fields(line)
        if not (fields[-1].startswith("(") and fields[-1].endswith(")")):
            raise UserError(f"{path}:{number}: not a trn line: run `dasr score` again")
        found[fields[-1][1:-1]] = fields[:-1]
    return found
