"""What decoding writes and scoring reads: one JSON line an utterance and setting of the search."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dasr import checksums
from dasr.errors import UserError


class Setting(NamedTuple):
    """How the network's scores enter the search; chosen on dev."""

    scale: float  # acoustic scale, the inverse of the LM weight
    penalty: float = 0.0  # of CTC: taken from the blank's log-posterior


@dataclass(frozen=True)
class Hypothesis:
    """The best path of one utterance at one setting."""

    utterance: str
    setting: Setting
    words: list[str]
    times: list[tuple[float, float]]  # begin and end of each word, seconds from the utterance's start
    cost: float | None  # graph cost plus scaled acoustic cost; None where no path survived the beam

    def line(self) -> str:
        """As JSON, without the line's end."""
        penalty = {"penalty": self.setting.penalty} if self.setting.penalty else {}
        return json.dumps(
            {
                "utterance": self.utterance,
                "scale": self.setting.scale,
                **penalty,
                "words": self.words,
                "times": [[round(begin, 3), round(end, 3)] for begin, end in self.times],
                "cost": None if self.cost is None else round(self.cost, 3),
            },
            ensure_ascii=False,
        )


def write(path: Path, hypotheses: Iterable[Hypothesis]) -> None:
    """Write all hypotheses atomically, as they come."""
    with checksums.sealed(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for hypothesis in hypotheses:
            stream.write(hypothesis.line() + "\n")


def are_none(path: Path) -> bool:
    """Whether the file was written without a hypothesis: the run diverged and was not decoded. Raises
    UserError for a file that was emptied later."""
    if not path.is_file() or path.stat().st_size:
        return False
    checksums.check(path)
    return True


def read(path: Path) -> dict[Setting, dict[str, Hypothesis]]:
    """setting -> utterance -> hypothesis. Raises UserError naming the file and line that cannot be read."""
    found: dict[Setting, dict[str, Hypothesis]] = {}
    try:
        data = checksums.check_bytes(path, path.read_bytes())
    except OSError as error:
        raise UserError(f"no hypotheses at {path} ({error.strerror}): run `dasr decode` first") from None
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        try:
            record = json.loads(line)
            times = [(float(begin), float(end)) for begin, end in record["times"]]
            setting = Setting(float(record["scale"]), float(record.get("penalty", 0.0)))
            one = Hypothesis(record["utterance"], setting, record["words"], times, record["cost"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}:{number}: not a hypothesis ({error}): decode again") from None
        found.setdefault(one.setting, {})[one.utterance] = one
    if not found:
        raise UserError(f"{path} holds no hypotheses: decode again")
    return found
