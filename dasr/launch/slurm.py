"""What Slurm knows of a job: `scontrol` while it remembers, `sacct` afterwards."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

_ENDED = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "REVOKED",
    "TIMEOUT",
]


@dataclass(frozen=True)
class JobState:
    """`state` as Slurm writes it, UNKNOWN if it does not answer; `detail` for the user: reason, exit code."""

    state: str
    detail: str = ""
    known: bool = True  # False: Slurm answered that there is no such job

    @property
    def running(self) -> bool:
        return self.state == "RUNNING"

    @property
    def ended(self) -> bool:
        return not self.known or self.state in _ENDED


def job_state(job_id: str) -> JobState:
    """Ask Slurm. While it cannot be reached the state is UNKNOWN, which is neither running nor ended."""
    shown = _ask("scontrol", "show", "job", "--oneliner", job_id)
    if shown is None:
        return JobState("UNKNOWN", "Slurm's commands are missing or do not answer")
    if shown.returncode == 0 and (state := re.search(r"JobState=(\S+)", shown.stdout)):
        return JobState(state[1], _detail(shown.stdout))
    if "Invalid job id" not in shown.stderr:
        return JobState("UNKNOWN", " ".join(shown.stderr.split()))
    told = _ask("sacct", "-X", "-P", "-n", "-j", job_id, "-o", "State,ExitCode,NodeList")
    if told is None or told.returncode != 0:
        return JobState(
            "UNKNOWN", " ".join(told.stderr.split()) if told else "sacct does not answer", known=False
        )
    if not told.stdout.strip():
        return JobState("UNKNOWN", "Slurm has no such job", known=False)
    state_text, exit_code, nodes = told.stdout.strip().splitlines()[-1].split("|")
    return JobState(state_text.split()[0], f"exit code {exit_code}, nodes {nodes}")


def find_job(name: str) -> str | None:
    """The id of this user's job of that name that is pending or running, if there is one."""
    queue = _ask("squeue", "--me", "--noheader", "--name", name, "--format", "%i")
    found = queue.stdout.split() if queue and queue.returncode == 0 else []
    return found[0] if found else None


def cancel(job_id: str, kill: bool = False) -> None:
    """scancel; with `kill` by SIGKILL, for a job that does not leave."""
    _ask("scancel", *(["--signal=KILL", "--full"] if kill else []), job_id)


def _detail(shown: str) -> str:
    fields = dict(re.findall(r"(\w+)=(\S*)", shown))
    parts = []
    if fields.get("Reason", "None") != "None":
        parts.append(f"reason {fields['Reason']}")
    if fields.get("ExitCode", "0:0") != "0:0":
        parts.append(f"exit code {fields['ExitCode']}")
    if fields.get("NodeList", "(null)") != "(null)":
        parts.append(f"nodes {fields['NodeList']}")
    return ", ".join(parts)


def _ask(*command: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
