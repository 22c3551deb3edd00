"""Ctrl-C under Snakemake, which signals everything that the terminal runs: the workflow and its trainings."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupt:
    """Lets Snakemake end in order however often Ctrl-C is pressed: it waits for its trainings to save, and
    would answer a second press in that time with its own stack trace, and leave them."""

    def __init__(self) -> None:
        self._pressed = False

    def catch(self) -> None:
        """From now on. Only a main thread receives signals; elsewhere Snakemake is part of a program."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._press)

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        if not self._pressed:
            self._pressed = True
            raise KeyboardInterrupt
