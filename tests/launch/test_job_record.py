"""The file that names the job of a run."""

from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.launch.job_record import JobRecord
from dasr.lock import ProcessId


def test_a_damaged_job_record_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"executor": "slurm"')
    with pytest.raises(UserError, match="damaged"):
        JobRecord.read(tmp_path)


def test_a_record_of_a_cluster_that_is_not_known_is_damaged(tmp_path: Path) -> None:
    """Taken for Slurm's, a flipped bit of 'local' would let the dispatcher ask Slurm for ever."""
    record = JobRecord("local", "dasr-x", 1, "submitit", ProcessId.this_process(), job_id="7")
    record.write(tmp_path)
    assert JobRecord.read(tmp_path) == record
    path = JobRecord.path(tmp_path)
    path.write_text(path.read_text().replace('"local"', '"hocal"'))
    with pytest.raises(UserError, match=r"job\.json is damaged"):
        JobRecord.read(tmp_path)
