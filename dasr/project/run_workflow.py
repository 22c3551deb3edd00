"""`python -m dasr.project.run_workflow ARGUMENTS` is `snakemake ARGUMENTS`, one at a time in a folder.

Snakemake's own lock outlives a run that was killed. This one ends with its process, so that the same command
goes on after a kill. Use it with `--nolock`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dasr.errors import UserError, fail
from dasr.lock import exclusive_lock

LOCK = Path(".snakemake") / "running"


def main() -> None:
    from snakemake.cli import main as snakemake

    held = "the workflow of this folder is already being run"
    try:
        with exclusive_lock(LOCK, held, "wait for it, or end that process"):
            snakemake(sys.argv[1:])
    except UserError as error:
        fail(error)


if __name__ == "__main__":
    main()
