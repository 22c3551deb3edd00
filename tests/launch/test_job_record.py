"""The file that names the job of a run."""

from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.launch.job_record import JobRecord


def test_a_damaged_job_record_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"executor": "slurm"')
    with pytest.raises(UserError, match="damaged"):
        JobRecord.read(tmp_path)
