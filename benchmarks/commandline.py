"""The command line that all benchmarks share: help, `--record`, errors in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import records
from dasr.errors import UserError


def parser(text: str | None) -> argparse.ArgumentParser:
    """A parser whose help begins with `text`, with `--record`."""
    made = argparse.ArgumentParser(
        prog=f"python -m {getattr(sys.modules['__main__'].__spec__, 'name', 'benchmarks')}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--record", type=Path, metavar="PATH", help="write a record to this file, or into this folder"
    )
    return made


def keep(record: records.Record, target: Path | None) -> None:
    """Write the record where `--record` says, if it says something."""
    if target is not None:
        print(f"record: {records.write(record, target)}", file=sys.stderr)


def run(main: Callable[[], None]) -> None:
    """Call `main`: a user's mistake is one line on stderr and exit status 2."""
    try:
        main()
    except UserError as error:
        print(f"{Path(sys.argv[0]).stem}: error: {error}", file=sys.stderr)
        sys.exit(2)
