"""What Slurm's commands answer."""

import subprocess

import pytest

from dasr.launch import slurm


def test_slurms_answers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "scontrol": (0, "JobId=7 JobState=PENDING Reason=Resources NodeList=(null) ExitCode=0:0", ""),
        "sacct": (0, "", ""),
    }

    def ask(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, *answers[command[0]])

    monkeypatch.setattr(slurm, "_ask", ask)
    pending = slurm.job_state("7")
    assert (pending.state, pending.detail, pending.ended) == ("PENDING", "reason Resources", False)
    answers["scontrol"] = (1, "", "Unable to contact slurm controller (connect failure)")
    silent = slurm.job_state("7")
    assert not silent.ended, "a silent controller proves nothing"
    answers["scontrol"] = (1, "", "slurm_load_jobs error: Invalid job id specified")
    answers["sacct"] = (0, "CANCELLED by 0|0:15|n[1-4]\n", "")
    assert slurm.job_state("7") == slurm.JobState("CANCELLED", "exit code 0:15, nodes n[1-4]")
    answers["sacct"] = (0, "", "")
    assert slurm.job_state("7").ended, "no such job"


ENDED = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
]
ALIVE = [
    "COMPLETING",
    "CONFIGURING",
    "PENDING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "RESIZING",
    "RUNNING",
    "SIGNALING",
    "SUSPENDED",
]


@pytest.mark.parametrize("teller", ["scontrol", "sacct"])
@pytest.mark.parametrize("state", [*ENDED, *ALIVE])
def test_a_final_state_ends_a_job_whichever_source_reports_it(
    state: str, teller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*command: str) -> subprocess.CompletedProcess[str]:
        if command[0] == "sacct":
            return subprocess.CompletedProcess(command, 0, f"{state}|0:0|n1\n", "")
        if teller == "scontrol":
            return subprocess.CompletedProcess(command, 0, f"JobId=7 JobState={state} Reason=None", "")
        return subprocess.CompletedProcess(command, 1, "", "slurm_load_jobs error: Invalid job id specified")

    monkeypatch.setattr(slurm, "_ask", ask)
    told = slurm.job_state("7")
    assert (told.state, told.ended) == (state, state in ENDED)


def test_an_answer_of_sacct_without_a_state_is_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*command: str) -> subprocess.CompletedProcess[str]:
        status = 1 if command[0] == "scontrol" else 0
        return subprocess.CompletedProcess(command, status, "|0:0|\n", "Invalid job id specified")

    monkeypatch.setattr(slurm, "_ask", ask)
    assert slurm.job_state("7").state == "UNKNOWN"
