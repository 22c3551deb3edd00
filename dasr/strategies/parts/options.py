"""Annotations that say which values a strategy's options take; `registry.check` and `ids.check` read them."""

from __future__ import annotations

from typing import Annotated, Literal

from dasr.plugins import AtLeast, AtMost, Positive, Readable
from dasr.strategies import ids
from dasr.strategies.parts import compression

__all__ = [
    "AtLeast",
    "AtMost",
    "Compression",
    "Fraction",
    "MixingKind",
    "NonNegative",
    "Order",
    "Pace",
    "Positive",
    "Readable",
    "RollCalls",
    "StrategyName",
    "Whole",
]

Whole = Annotated[int, AtLeast(0)]
"""0, 1, 2, ..."""

NonNegative = Annotated[float, AtLeast(0)]
Fraction = Annotated[float, AtLeast(0), AtMost(1)]

StrategyName = Annotated[str, Readable(ids.check_id)]
"""The id of another strategy, or `path/to/file.py:Class`."""

Compression = Annotated[str, Readable(compression.parse)]
"""What `parts/compression.py` reads: fp32, topk:0.01, ..."""

MixingKind = Literal["ring", "random-ring", "random-pairs", "uniform", "exponential"]

Order = Literal["mix-then-update", "update-then-mix"]
"""In a step, whether weights are mixed while the gradient is computed, or after the update."""

Pace = Annotated[float, AtLeast(1e-3)]
"""Gradients that a round of mixing takes at least: faster rounds keep learners busy with messages alone."""

RollCalls = Annotated[int, AtLeast(1), AtMost(10_000)]
"""Rounds from one roll call to the next: only there learners find out that all have finished."""
