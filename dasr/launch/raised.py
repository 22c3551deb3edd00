"""What ended a learner, a fault or a mistake of the user, as the coordinator and then the user is told it."""

from __future__ import annotations

import json
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from dasr import frames
from dasr.files import open_own


@dataclass(frozen=True)
class Raised:
    """`where`: the line that raised it, which with `kind` tells exceptions apart; their messages may hold
    addresses or times. `lines`: the stack, shortened, the user's own frame first."""

    step: int
    kind: str
    message: str
    where: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, error: BaseException, step: int) -> Raised:
        stack = frames.of_exception(error)
        where = frames.place(stack[-1]) if stack else ""
        return cls(step, type(error).__name__, str(error), where, tuple(frames.that_matter(stack)))

    @classmethod
    def from_json(cls, text: str) -> Raised:
        """Raises ValueError, TypeError or KeyError for anything else than `to_json` has made."""
        given = json.loads(text)
        return cls(**{**given, "lines": tuple(given["lines"])})

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def same_as(self, other: Raised) -> bool:
        return (self.kind, self.where) == (other.kind, other.where)

    def in_one_line(self) -> str:
        first = self.message.strip().splitlines()
        return f"raised {self.kind}" + (f": {first[0]}" if first else "") + f" at step {self.step}"

    def in_full(self) -> str:
        """The rest of the message, and the stack."""
        return "\n".join([*self.message.strip().splitlines()[1:], *self.lines])


def traceback_file(run_folder: Path, rank: int) -> Path:
    return run_folder / "logs" / f"{rank}.traceback"


def keep_traceback(error: BaseException, path: Path) -> None:
    """The whole stack, for whoever wants more than the lines that are shown. Raises OSError, UserError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_own(path, "w") as stream:
        stream.write("".join(traceback.format_exception(error)))
