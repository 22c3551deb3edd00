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
