"""`streaming-diloco`: DiLoCo by fragments of the vector, each at its own step of the period.

    fragment p, every H steps:      d = old_p - mean(w_p)       the mean is on the way for `overlap` steps
                                    m = mu m + d
                                    old_p = old_p - eta (d + mu m)
                                    w_p = blend w_p + (1 - blend) old_p

Douillard et al. 2025 (arXiv 2501.18512).
"""

from __future__ import annotations

from typing import Any, ClassVar

from dasr.strategies.diloco import Diloco
from dasr.strategies.learner import Learner
from dasr.strategies.parts.options import Fraction, Positive, Whole


class StreamingDiloco(Diloco):
    """`diloco` with other defaults."""

    name = "streaming-diloco"
    sources: ClassVar = {
        "fragments": "dasr: a quarter of the peak traffic",
        "overlap": "dasr",
        "blend": "Douillard et al. 2025",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        fragments: Positive = 4,
        overlap: Whole = 2,
        blend: Fraction = 0.5,
        **options: Any,
    ):
        """Options as of `diloco`."""
        super().__init__(learner, fragments=fragments, overlap=overlap, blend=blend, **options)
