"""Annotations that say which values a strategy's options take; `registry.check` reads them."""

from __future__ import annotations

from typing import Annotated, Literal

from dasr.plugins import AtLeast

__all__ = ["AtLeast", "Order", "Positive"]

Positive = Annotated[int, AtLeast(1)]
"""1, 2, 3, ..."""

Order = Literal["mix-then-update", "update-then-mix"]
"""In a step, whether weights are mixed while the gradient is computed, or after the update."""
