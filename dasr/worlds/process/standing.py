"""Where the activities of this process stand: what each waits for, and in which line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from traceback import FrameSummary
from types import FrameType
from typing import Any

from dasr import frames

_WORLDS = Path(__file__).resolve().parents[1]

# By the name of a function of this package that waits: what for, from its variables.
_WAITS: dict[str, Callable[[dict[str, Any]], str]] = {
    "ProcessWorld.receive.<locals>.<lambda>": lambda its: (
        f"a message (tag {its['tag']}) from learner {its['source']}"
    ),
    "ProcessWorld.receive_any.<locals>.take": lambda its: f"a message (tag {its['tag']}) from anybody",
    "ProcessWorld.sleep.<locals>.<lambda>": lambda its: "time to pass",
    "Collectives._wait": lambda its: f"a collective of learners {_ranks(its['members'])}",
    "Collectives._group": lambda its: f"learners {_ranks(its['members'])} to begin their first collective",
    "StoreClient.result": lambda its: "the answers of all learners (save or stop?)",
    "ProcessLock.__enter__": lambda its: "a lock that another of its activities holds",
    "Activities.wait_for": lambda its: "another of its activities",
    "_Outgoing.put": lambda its: f"learner {its['self'].to} to take its messages",
    "_answer": lambda its: "the other GPUs of this host",
}


def standing() -> list[str]:
    """A line for each activity: `'main': waits for a message (tag 0) from learner 2, in mine.py, ...`."""
    found = []
    for innermost in sys._current_frames().values():
        stack = [frame for frame, _ in traceback.walk_stack(innermost)]  # the innermost first
        for frame in stack:
            if frame.f_code.co_qualname == "Activities._drive":
                found.append(f"'{frame.f_locals['name']}': {_line(stack)}")
                break
    return sorted(found)


def _line(stack: list[FrameType]) -> str:
    summaries = [_summary(frame) for frame in stack]
    outside = [frame for frame in summaries if not Path(frame.filename).is_relative_to(_WORLDS)]
    own = [frame for frame in outside if frames.is_own(frame)]
    for frame in stack:
        describe = _WAITS.get(frame.f_code.co_qualname)
        if describe and Path(frame.f_code.co_filename).is_relative_to(_WORLDS):
            strategy = [one for one in outside if frames.is_dasr(one)]
            at = next(iter([*own, *strategy]), summaries[0])
            return f"waits for {describe(frame.f_locals)}, in {frames.in_words(at)}"
    return " <- ".join(["is in " + frames.in_words(summaries[0]), *map(frames.in_words, own[:1])])


def _summary(frame: FrameType) -> FrameSummary:
    return FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _ranks(members: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, members[:8]))
    return shown + (f" and {len(members) - 8} more" if len(members) > 8 else "")
