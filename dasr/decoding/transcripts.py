"""Reference transcripts of a split, as scoring needs them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dasr.corpora import tables
from dasr.errors import UserError
from dasr.results.layout import Layout
from dasr.results.rejected import by_features


def read_fields(path: Path) -> dict[str, list[str]]:
    """Key -> the fields after it, of a table that the corpus stage has written. Raises UserError."""
    if not path.is_file():
        raise UserError(f"there is no {path}: run `dasr corpus` first")
    return {fields[0]: fields[1:] for _, line in tables.text_lines(path) if (fields := tables.fields(line))}


def read_references(
    results: Path, split: str, decoded: Mapping[str, object]
) -> tuple[dict[str, list[str]], list[str]]:
    """Transcripts of the decoded utterances, and the ids of the rejected ones, which are not scored.

    Raises UserError where an utterance is missing for any other reason: a score over part of a set is no
    score."""
    references = read_fields(Layout(results).text(split))
    rejected = {one.utterance for one in by_features(results, split)}
    missing = sorted(set(references) - set(decoded) - rejected)
    if missing:
        raise UserError(
            f"{len(missing)} utterances of {split} were not decoded (the first: {missing[0]}): decode again"
        )
    unknown = sorted(set(decoded) - set(references))
    if unknown:
        raise UserError(
            f"{len(unknown)} decoded utterances have no transcript in {split}/text (the first: {unknown[0]})"
        )
    return {u: references[u] for u in sorted(decoded)}, sorted(rejected & set(references))
