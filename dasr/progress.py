"""Progress for long work: a bar on a terminal, plain lines in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int | None = None, every_s: float = 10.0) -> Iterator[T]:
    """Yield `items`, showing how far we are: a tqdm bar on a terminal, else a line each `every_s` seconds."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, leave=False)
        return
    last = time.monotonic()
    count = 0
    for count, item in enumerate(items, 1):
        yield item
        if time.monotonic() - last >= every_s:
            last = time.monotonic()
            logger.info("%s: %d/%s", what, count, total or "?")
    logger.info("%s: %d done", what, count)


class Meter:
    """Progress of work done elsewhere, from its reports: a bar on a terminal, else a line each `every_s`
    seconds."""

    def __init__(self, what: str, unit: str, every_s: float = 10.0):
        self._what, self._unit, self._every_s = what, unit, every_s
        self._bar: Any = None
        self._last = -float("inf")

    def show(self, done: int, total: int, note: str) -> None:
        """`done` of `total`, and a note: as a bar in a terminal, else as a line from time to time."""
        if sys.stderr.isatty():
            self._bar = self._bar or tqdm(desc=self._what, total=total, unit=f" {self._unit}", leave=False)
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.n = done
            self._bar.refresh()
        elif time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            percent = f"{100 * done / total:.0f} %"
            logger.info(f"{self._what}: {percent} ({done:,} of {total:,} {self._unit}), {note}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
