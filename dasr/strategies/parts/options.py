"""Annotations that say which values a strategy's options take; `registry.check` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True)
class AtLeast:
    """A bound, to be put beside the type of a number: `Annotated[float, AtLeast(0)]`."""

    bound: float


Positive = Annotated[int, AtLeast(1)]
"""1, 2, 3, ..."""

Order = Literal["mix-then-update", "update-then-mix"]
"""In a step, whether weights are mixed while the gradient is computed, or after the update."""
