"""Rejected utterances: up to a fraction they are listed, beyond it the stage stops with one line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dasr import checksums
from dasr.errors import UserError

SHOWN = 3


@dataclass
class Rejects:
    """Which utterances `stage` rejected, and why; an utterance's first reason is kept."""

    stage: str
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, utterance: str, reason: str) -> None:
        self.reasons.setdefault(utterance, " ".join(reason.split()))

    def update(self, others: Iterable[tuple[str, str]]) -> None:
        for utterance, reason in others:
            self.add(utterance, reason)

    def __len__(self) -> int:
        return len(self.reasons)

    def rows(self) -> Iterator[dict[str, str]]:
        for utterance, reason in self.reasons.items():
            yield {"utterance": utterance, "reason": reason, "stage": self.stage}

    def check(self, what: str, total: int, fraction: float, advice: str = "") -> None:
        """Raise UserError if more than `fraction` of `total` (good and bad) utterances of `what` were
        rejected. `advice`: what helps.

        The allowed number is rounded up, so that one bad file never stops a small shard unless the fraction
        is 0.
        """
        allowed = math.ceil(fraction * total)
        if len(self) > allowed:
            first = "; ".join(f"{name}: {reason}" for name, reason in list(self.reasons.items())[:SHOWN])
            more = "; ..." if len(self) > SHOWN else ""
            raise UserError(
                f"{what}: {len(self)} of {total} utterances are bad, but corpus.max_bad_fraction "
                f"({fraction:g}) allows {allowed}; {first}{more}" + (f" ({advice})" if advice else "")
            )

    def write(self, path: Path) -> None:
        """Write `rejected.jsonl`: {"utterance", "reason", "stage"} a line."""
        with checksums.sealed(path) as temporary:
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows())
            temporary.write_text("".join(lines), encoding="utf-8")
