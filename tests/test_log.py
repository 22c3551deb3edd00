"""What is logged: plain lines at INFO, a chosen level, nothing twice; a reader that left breaks nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import logging
from dasr import log
log.configure()
logging.basicConfig()  # as a library might do
for level in ("debug", "info", "warning"):
    getattr(logging.getLogger("dasr.launch.lock"), level)("%s it is", level)
"""


def run(code: str, level: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DASR_LOG_LEVEL"}
    environment |= {"PYTHONPATH": str(ROOT)} | ({"DASR_LOG_LEVEL": level} if level else {})
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        (None, ["info it is", "dasr: warning: warning it is"]),
        ("warning", ["dasr: warning: warning it is"]),
        ("DEBUG", ["dasr.launch.lock: debug it is", "info it is", "dasr: warning: warning it is"]),
        ("error", []),
    ],
)
def test_the_level_decides_what_is_said_and_info_is_said_plainly(level: str | None, lines: list[str]) -> None:
    assert run(PROGRAM, level).stderr.splitlines() == lines


def test_an_unknown_level_is_refused_by_every_command_with_the_nearest_one() -> None:
    ended = run("from dasr import cli; cli.main()", "WARNIN")
    assert ended.returncode == 2
    assert ended.stderr == (
        "dasr: error: DASR_LOG_LEVEL is 'WARNIN', not one of DEBUG, INFO, WARNING, ERROR; "
        "did you mean 'WARNING'?\n"
    )


def test_a_reader_that_has_gone_stops_nothing() -> None:
    code = PROGRAM + "print('end')"
    read, write = os.pipe()
    os.close(read)
    program = [sys.executable, "-c", code]
    ended = subprocess.run(
        program, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=write, text=True
    )
    os.close(write)
    assert ended.stdout == "end\n"


def test_a_record_that_cannot_be_written_ends_nothing() -> None:
    """The log's disk is full: what the process does goes on."""
    code = PROGRAM + "print('on')"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
        )
    assert done.stdout == "on\n"
