"""What `compression:` says: a codec, its number, and when a mean begins to use it.

fp32, bf16, fp16, sign, 1bit
topk:0.01              the ratio that is kept
powersgd:4             the rank
powersgd:4,saving=2    matrices that would not become that much smaller travel as they are
sign,start=100         means send the vector itself in the first 100 steps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dasr.errors import UserError, nearest

FIRST_STEPS = 0.1  # of a run, uncompressed: PyTorch's advice for `start_powerSGD_iter`
SAVING = 2.0  # PyTorch's `min_compression_rate`


@dataclass(frozen=True)
class Compression:
    """A specification, read."""

    name: str
    number: float  # topk: the ratio; powersgd: the rank
    start: int | None = None  # the first step in which a mean is compressed; None: see `start_of`
    saving: float = SAVING

    def start_of(self, total_steps: int) -> int:
        """The first step in which a mean is compressed, in a run of so many."""
        if self.start is not None:
            return self.start
        return round(FIRST_STEPS * total_steps) if self.name in LATE else 0


CODECS = ("fp32", "bf16", "fp16", "sign", "1bit", "topk", "powersgd")
NUMBERS = {
    "topk": 0.01,  # Lin et al. 2018 (1712.01887) send 0.001; Stich et al. 2018 about 0.01 of a dense model
    "powersgd": 4.0,  # Vogels et al. 2019: the rank that they choose for an LSTM
}
LATE = ("sign", "1bit", "powersgd")  # uncompressed at first, as their authors or PyTorch's hook do


def parse(spec: str) -> Compression:
    """Read a specification such as `fp32`, `topk:0.01` or `powersgd:4,start=100`. Raises UserError."""
    head, *pairs = spec.split(",")
    name, colon, text = head.partition(":")
    if name not in CODECS:
        raise UserError(f"no compression '{name}'{nearest(name, CODECS)} (known: {', '.join(CODECS)})")
    if colon and name not in NUMBERS:
        raise UserError(f"compression '{name}' takes no number, but was given '{spec}'")
    number = _number(spec, text) if colon else NUMBERS.get(name, 0.0)
    if name == "topk" and not 0 < number <= 1:
        raise UserError(f"compression '{spec}': the ratio must be above 0 and at most 1")
    if name == "powersgd" and not (number >= 1 and number.is_integer()):
        raise UserError(f"compression '{spec}': the rank must be a whole number from 1")
    options = _options(spec, name, pairs)
    start, saving = options.get("start"), options.get("saving", SAVING)
    if start is not None and not (start >= 0 and start.is_integer()):
        raise UserError(f"compression '{spec}': start must be a whole number of steps from 0")
    if not saving >= 1:
        raise UserError(f"compression '{spec}': saving must be at least 1")
    return Compression(name, number, None if start is None else int(start), saving)


def _options(spec: str, name: str, pairs: Sequence[str]) -> dict[str, float]:
    """The `key=value` of a specification."""
    known = [] if name in ("fp32", "bf16", "fp16") else ["start"]
    known += ["saving"] if name == "powersgd" else []
    found = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        if key not in known:
            has = f"{nearest(key, known)} (known: {', '.join(known) or 'none'})"
            raise UserError(f"compression '{name}' has no option '{key}'{has}")
        found[key] = _number(spec, text)
    return found


def _number(spec: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"compression '{spec}': '{text}' is not a number") from None
