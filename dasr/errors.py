"""Errors that speak to the user: one line that says what was wrong, where, and what to do."""

import difflib
import errno
import sys
from collections.abc import Iterable
from typing import NoReturn


class UserError(Exception):
    """A user's mistake or bad input. The command line prints it as one line and exits with status 2."""


def fail(error: UserError) -> NoReturn:
    """End the program: one line on stderr, exit status 2."""
    print(f"dasr: error: {error}", file=sys.stderr)
    sys.exit(2)


_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


def of_system(error: OSError) -> UserError | None:
    """What to tell the user whose disk is full or who lacks a permission; None for what may be a fault of
    the program's."""
    path = error.filename or "a file"
    if error.errno in _UNWRITABLE:
        return UserError(f"cannot write {path}: {error.strerror}: make room there, or choose another folder")
    if error.errno in _FORBIDDEN:
        return UserError(f"cannot open {path}: {error.strerror}")
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the known name nearest to `word`, or the empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{found[0]}'?" if found else ""
