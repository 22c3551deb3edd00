"""Utterances that some stage could not use, gathered over all stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dasr import checksums
from dasr.results.records import read_lines

FEATURES, ALIGNMENTS = "features", "alignment"


@dataclass(frozen=True)
class Rejected:
    split: str
    stage: str
    utterance: str
    reason: str


def gather(results: Path, notes: list[str]) -> list[Rejected]:
    """From the corpus' rejected.jsonl and the manifests of features and alignments, without repetitions."""
    return list(dict.fromkeys([*_by_corpus(results, notes), *by_features(results), *_by_alignments(results)]))


def by_features(results: Path, split: str = "*") -> Iterator[Rejected]:
    """Those that the extraction of features rejected: no model can be tried on them."""
    return _by_shards(results, FEATURES, f"features/*/{split}/[0-9]*/manifest.json")


def _by_alignments(results: Path) -> Iterator[Rejected]:
    return _by_shards(results, ALIGNMENTS, "alignments/*/[0-9]*/manifest.json")


def _by_corpus(results: Path, notes: list[str]) -> Iterator[Rejected]:
    for path in sorted((results / "corpus").glob("*/rejected.jsonl")):
        for one in read_lines(path, notes):
            yield Rejected(
                path.parent.name, str(one.get("stage", "corpus")), str(one["utterance"]), str(one["reason"])
            )


def _by_shards(results: Path, stage: str, pattern: str) -> Iterator[Rejected]:
    for path in sorted(results.glob(pattern)):
        for one in checksums.read_manifest(path.parent).get("rejected", []):
            yield Rejected(path.parent.parent.name, stage, str(one["utterance"]), str(one["reason"]))
