"""Logging: what commands, supervisors and learners say on stderr, from the level in DASR_LOG_LEVEL upwards.

A module logs to `logging.getLogger(__name__)`. INFO (the default level) is what a command's user should see:
progress, which transport was chosen, who was replaced; it is written as it stands. WARNING is for a fall-back
that costs something, DEBUG for those who look for a fault. A command's result goes to stdout by `print`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys

from tqdm import tqdm

from dasr.errors import UserError, nearest

VARIABLE = "DASR_LOG_LEVEL"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def configure() -> None:
    """Write the records of all modules of dasr to stderr. Raises UserError for an unknown level.

    For processes that are a program of their own; a program that imports dasr sets up its own logging."""
    level = os.environ.get(VARIABLE, "").upper() or "INFO"
    if level not in LEVELS:
        raise UserError(f"{VARIABLE} is '{level}', not one of {', '.join(LEVELS)}{nearest(level, LEVELS)}")
    logger = logging.getLogger("dasr")
    logger.setLevel(level)
    logger.handlers = [_StderrHandler()]
    logger.propagate = False  # libraries put handlers of their own on the root logger


class _StderrHandler(logging.Handler):
    """One write a record, around a progress bar. A record that cannot be written is lost, and nothing else:
    the reader may be gone (a killed `tee`), or the disk of a log full."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError), tqdm.external_write_mode(file=sys.stderr):
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno == logging.INFO:
            return text
        if record.levelno < logging.INFO:
            return f"{record.name}: {text}"
        return f"dasr: {record.levelname.lower()}: {text}"
