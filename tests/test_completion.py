"""A shell completes commands, strategies, clusters and runs, by click's own protocol."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dasr simu", {"simulate"}),
        ("dasr simulate --strategy sc-", {"sc-allreduce", "sc-ps"}),
        ("dasr simulate --cluster ethernet-10", {"ethernet-100g", "ethernet-10g"}),
        ("dasr check bm", {"bmuf"}),
        ("dasr train single", {"single-L1-B32-S0"}),
        ("dasr decode sc-", {"sc-allreduce-L4-B32-S0"}),
    ],
)
def test_what_was_begun_is_completed(typed: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    environment = {**os.environ, "_DASR_COMPLETE": "bash_complete", **words}
    program = "from dasr.cli import dasr; dasr(prog_name='dasr')"
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert {line.partition(",")[2] for line in found.stdout.splitlines()} == offered
