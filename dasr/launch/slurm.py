"""What Slurm knows of a job: `scontrol` while it remembers, `sacct` afterwards."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from datetime import datetime

CLOCKS_DIFFER_S = 3600.0
_ENDED = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",  # of a partition that cancels; where it requeues, the job is PENDING again at once
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


@dataclass(frozen=True)
class Expected:
    """What a job must be to be the one that was submitted: ids are used again, and files may come from
    elsewhere. Its user is the one of this process."""

    name: str
    submitted: float  # seconds since the epoch; a job that is queued again was submitted later

    def mistaken(self, name: str, user_id: str, submitted: str) -> str | None:
        """Who that job is, if it is another one."""
        try:
            earlier = datetime.fromisoformat(submitted).timestamp() < self.submitted - CLOCKS_DIFFER_S
        except ValueError:  # "Unknown"
            earlier = False
        if name == self.name and user_id == str(os.getuid()) and not earlier:
            return None
        return f"the job of that number is another one: '{name}' of user {user_id}, submitted {submitted}"


def job_state(job_id: str, expected: Expected | None = None) -> JobState:
    """Ask Slurm. While it cannot be reached the state is UNKNOWN, which is neither running nor ended. A job
    of that number that is not the expected one counts as one that is not known."""
    shown = _ask("scontrol", "show", "job", "--oneliner", job_id)
    if shown is None:
        return JobState("UNKNOWN", "Slurm's commands are missing or do not answer")
    if shown.returncode == 0 and (state := re.search(r"JobState=(\S+)", shown.stdout)):
        fields = dict(re.findall(r"(\w+)=(\S*)", shown.stdout))
        user_id = fields.get("UserId", "").rpartition("(")[2].rstrip(")")
        it_is = (fields.get("JobName", ""), user_id, fields.get("SubmitTime", ""))
        if expected and (other := expected.mistaken(*it_is)):
            return JobState("UNKNOWN", other, known=False)
        return JobState(state[1], _detail(shown.stdout))
    if "Invalid job id" not in shown.stderr:
        return JobState("UNKNOWN", " ".join(shown.stderr.split()))
    answer = _ask("sacct", "-X", "-P", "-n", "-j", job_id, "-o", "State,ExitCode,NodeList,UID,Submit,JobName")
    if answer is None or answer.returncode != 0:
        return JobState(
            "UNKNOWN", " ".join(answer.stderr.split()) if answer else "sacct does not answer", known=False
        )
    if not answer.stdout.strip():
        return JobState("UNKNOWN", "Slurm has no such job", known=False)
    last = answer.stdout.strip().splitlines()[-1]
    state_text, exit_code, nodes, user_id, submitted, name = (last.split("|", 5) + [""] * 5)[:6]
    if expected and name and (other := expected.mistaken(name, user_id, submitted)):
        return JobState("UNKNOWN", other, known=False)
    word = (state_text.split() or ["UNKNOWN"])[0]  # of `CANCELLED by 0`
    return JobState(word, f"exit code {exit_code}, nodes {nodes}")


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
