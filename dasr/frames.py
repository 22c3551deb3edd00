"""The lines of a stack that matter to who reads it: their own code first, then where that led."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from traceback import FrameSummary

PACKAGE = Path(__file__).resolve().parent
_OTHERS = tuple({sys.prefix, sys.base_prefix, sys.exec_prefix})  # the standard library and what is installed
MOST_OWN, MOST_BELOW = 3, 1


def of_exception(error: BaseException) -> list[FrameSummary]:
    """Its frames, the outermost first."""
    return list(traceback.extract_tb(error.__traceback__))


def is_own(frame: FrameSummary) -> bool:
    """Whether it is the user's code: neither of dasr nor of a library."""
    return not (is_dasr(frame) or _is_library(frame))


def that_matter(frames: Sequence[FrameSummary]) -> list[str]:
    """A line each, innermost first: the user's frames, then where they led.

    `frames`: the outermost first. Where none is the user's, those of dasr take their place."""
    own = [i for i, frame in enumerate(frames) if is_own(frame)]
    own = own or [i for i, frame in enumerate(frames) if is_dasr(frame)]
    below = range(own[-1] + 1 if own else 0, len(frames))
    chosen = [*own[::-1][:MOST_OWN], *below[::-1][:MOST_BELOW]]
    return [in_words(frames[i]) for i in chosen]


def in_words(frame: FrameSummary) -> str:
    """`mine.py, line 12, in mix: payload = await self.world.receive(left)`."""
    text = f"{place(frame)}, in {frame.name}"
    return f"{text}: {frame.line}" if frame.line else text


def place(frame: FrameSummary) -> str:
    """`mine.py, line 12`, its path as short as it is clear."""
    path = Path(frame.filename)
    near = PACKAGE.parent if is_dasr(frame) else Path.cwd()
    for root in (near, *_site_packages(path), Path(traceback.__file__).parent):
        if path.is_relative_to(root):
            path = path.relative_to(root)
            break
    return f"{path}, line {frame.lineno}"


def _site_packages(path: Path) -> list[Path]:
    return [parent for parent in path.parents if parent.name in ("site-packages", "dist-packages")]


def is_dasr(frame: FrameSummary) -> bool:
    """Whether it is code of this package."""
    return Path(frame.filename).is_relative_to(PACKAGE)


def _is_library(frame: FrameSummary) -> bool:
    path = Path(frame.filename)
    return (
        frame.filename.startswith("<")
        or bool(_site_packages(path))
        or any(path.is_relative_to(root) for root in _OTHERS)
    )
