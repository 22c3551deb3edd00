"""When a training reaches a target: `ce<=1.9`, held-out cross-entropy in nats a frame."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dasr.errors import UserError


@dataclass(frozen=True)
class Target:
    """At most `bound`."""

    bound: float

    def __str__(self) -> str:
        return f"ce <= {self.bound:g}"

    def reached(self, loss: Sequence[float], at: Sequence[float]) -> float | None:
        """The first place of the curve (`loss` over `at`: seconds, bytes, samples) with that loss, on the
        straight line between its points; None where there is none."""
        if loss and loss[0] <= self.bound:
            return at[0]
        for (before, a), (after, b) in itertools.pairwise(zip(loss, at, strict=True)):
            if after <= self.bound:
                return a + (b - a) * (before - self.bound) / (before - after)
        return None


def parse(text: str) -> Target:
    """`ce<=NUMBER`. Raises UserError."""
    found = re.fullmatch(r"\s*(ce|wer)\s*<=\s*(\d+(?:\.\d*)?|\.\d+)\s*", text)
    if found is None:
        raise UserError(f"the target '{text}' is not of the form 'ce<=1.9'")
    if found[1] == "wer":
        raise UserError(
            f"the target '{text}': word error rates are not simulated (each point of each curve would be "
            "decoded); give a held-out cross-entropy, as in 'ce<=1.9'"
        )
    return Target(float(found[2]))
