"""Utterances that some stage could not use, gathered over all stages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dasr.results.records import read_lines


@dataclass(frozen=True)
class SetAside:
    split: str
    stage: str
    utterance: str
    reason: str


def gather(results: Path, notes: list[str]) -> list[SetAside]:
    """From the corpus' rejected.jsonl and the manifests of features and alignments, without repetitions."""
    return list(dict.fromkeys([*_corpus(results, notes), *_shards(results)]))


def _corpus(results: Path, notes: list[str]) -> Iterator[SetAside]:
    for path in sorted((results / "corpus").glob("*/rejected.jsonl")):
        for one in read_lines(path, notes):
            yield SetAside(
                path.parent.name, str(one.get("stage", "corpus")), str(one["utterance"]), str(one["reason"])
            )


def _shards(results: Path) -> Iterator[SetAside]:
    for stage, pattern in (
        ("features", "features/*/*/*/manifest.json"),
        ("alignment", "alignments/*/*/manifest.json"),
    ):
        for path in sorted(results.glob(pattern)):
            manifest = json.loads(path.read_text(encoding="utf-8"))
            for one in manifest.get("rejected", []):
                yield SetAside(path.parent.parent.name, stage, str(one["utterance"]), str(one["reason"]))
