"""Worker processes end with the process that they work for."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dasr.errors import UserError
from dasr.workers import workers

STAGE = """
import os, time
from dasr.workers import workers

if __name__ == "__main__":
    with workers(2, "testing") as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(2)}, flush=True)
        pool.submit(time.sleep, 60)
        time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, number: int) -> None:
    script = tmp_path / "stage.py"
    script.write_text(STAGE)
    stage = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert stage.stdout is not None and stage.stdout.readline()
    family = psutil.Process(stage.pid).children(recursive=True)
    assert len(family) >= 2
    stage.send_signal(number)
    stage.wait()
    gone, _ = psutil.wait_procs(family)
    assert len(gone) == len(family)


def die() -> None:
    os._exit(9)


def test_a_worker_that_dies_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="a testing process died"), workers(1, "testing") as pool:
        pool.submit(die).result()


def test_workers_begin_with_their_initialiser(tmp_path: Path) -> None:
    with workers(1, "testing", os.chdir, tmp_path) as pool:
        assert pool.submit(os.getcwd).result() == str(tmp_path.resolve())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.ENOENT])
def test_shared_memory_that_is_full_or_read_only_is_one_line(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def semaphore(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("multiprocessing.synchronize._multiprocessing.SemLock", semaphore)
    with pytest.raises(UserError, match=f"/dev/shm: {os.strerror(number)}"), workers(2, "testing"):
        pass


def test_a_process_gives_its_memory_back_after_its_tasks() -> None:
    with workers(1, "testing", tasks_each=1) as pool:
        assert len({pool.submit(os.getpid).result() for _ in range(2)}) == 2


def fail() -> None:
    raise ValueError("the first one")


def test_after_a_failure_no_further_task_is_begun(tmp_path: Path) -> None:
    """One that the pool has handed to a process may still run."""
    with pytest.raises(ValueError, match="the first one"), workers(1, "testing") as pool:
        first = pool.submit(fail)
        for number in range(20):
            pool.submit((tmp_path / str(number)).touch)
        first.result()
    assert len(list(tmp_path.iterdir())) < 20
