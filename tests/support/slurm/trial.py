"""One training run on the sandbox cluster that something happens to; and the verdict."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

from tests.support.slurm.cluster import Cluster

TRAIN = {"checkpoint_seconds": 1, "snapshots": 2}


class Trial:
    """A working folder with features and alignments made before; `train` starts the dispatcher."""

    def __init__(
        self, folder: Path, prepared: Path, cluster: Cluster, strategy: str, epochs: float, seed: int = 0
    ):
        """`prepared`: a folder with the config.yaml and the results of a finished small comparison."""
        self.folder, self.cluster = folder, cluster
        config = yaml.safe_load((prepared / "config.yaml").read_text())
        config["comparison"] = {"strategies": [strategy], "learners": [4], "batch": [32], "seeds": [seed]}
        config["training"] = {**config.get("training", {}), **TRAIN, "epochs": epochs}
        config["results"] = "results"
        (folder / "results").mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        for name in ("corpus", "features", "alignments", "hmm"):
            (folder / "results" / name).symlink_to((prepared / "results" / name).resolve())
        self.run = f"{strategy}-L4-B32-S{seed}"
        self.run_folder = folder / "results" / "runs" / self.run
        self.job_name = f"dasr-{self.run}"
        self.heads: list[subprocess.Popen[bytes]] = []

    def command(self, *options: str) -> list[str]:
        train = [
            sys.executable,
            "-m",
            "dasr",
            "train",
            self.run,
            "--executor",
            "slurm",
            "--tasks-per-node",
            "1",
        ]
        return [*train, "--mem-mb", "3000", "--runtime", "30", *options]

    def train(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a dispatcher."""
        return self.start(self.command(*options))

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with open(self.folder / "head.log", "ab") as log:
            head = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**self.cluster.environment, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.heads.append(head)
        return head

    @property
    def head_log(self) -> str:
        return (self.folder / "head.log").read_text(errors="replace")

    def log(self, rank: int) -> str:
        path = self.run_folder / "logs" / f"{rank}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def step(self) -> int:
        """Rank 0's last reported step, -1 before the first."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = (self.run_folder / "metrics.jsonl").read_text().splitlines()
            return max(int(json.loads(line)["step"]) for line in lines if '"kind": "train"' in line)
        return -1

    def job_id(self) -> str:
        return str(json.loads((self.run_folder / "job.json").read_text())["job_id"])

    def wait(self, what: str, true: Callable[[], object], within_s: float = 180.0) -> float:
        """Seconds until it is true."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > within_s:
                raise AssertionError(
                    f"{what}: not within {within_s:.0f} s; the head says:\n{self.head_log[-3000:]}"
                )
            time.sleep(0.1)
        return time.monotonic() - began

    def wait_for_step(self, step: int) -> float:
        return self.wait(f"step {step}", lambda: self.step() >= step)

    def finish(self, head: subprocess.Popen[bytes], within_s: float = 240.0) -> int:
        """Wait for a dispatcher's end: its exit status."""
        self.wait("the end", lambda: head.poll() is not None, within_s)
        return int(head.returncode)

    def learners(self) -> dict[int, psutil.Process]:
        """Living learner processes of this run, by rank."""
        found = {}
        for process in psutil.process_iter(["cmdline", "status"]):
            line = process.info["cmdline"] or []
            if process.info["status"] != psutil.STATUS_ZOMBIE and "learner" in line and self.run in line:
                with contextlib.suppress(psutil.Error):
                    environment = process.environ()
                    if process.cwd() == str(self.folder.resolve()):
                        found[int(environment["RANK"])] = process
        return found

    def jobs(self) -> list[tuple[str, str]]:
        """Jobs that were ever submitted from this folder, with their states."""
        rows = self.cluster.accounted(self.job_name, "JobID,State,WorkDir")
        return [(job, state) for job, state, where in rows if where == str(self.folder.resolve())]

    def weights(self) -> dict[str, bytes]:
        """The trained model's tensors as bytes."""
        from safetensors import safe_open

        with safe_open(str(self.run_folder / "model.safetensors"), "np") as model:
            return {name: model.get_tensor(name).tobytes() for name in model.keys()}  # noqa: SIM118

    def check_nothing_left(self, jobs: int) -> None:
        """No learner lives, nothing is queued, and so many jobs were submitted; soon, if not at once."""
        self.wait("the last learner's end", lambda: not self.learners(), within_s=15)
        self.wait("an empty queue", lambda: not self._queued(), within_s=15)
        assert len(self.jobs()) == jobs, f"{jobs} job(s) expected, found {self.jobs()}"

    def _queued(self) -> list[str]:
        """Jobs of this folder that wait or run."""
        lines = self.cluster.command("squeue", "-h", "--name", self.job_name, "-o", "%i %T %Z").splitlines()
        return [line for line in lines if line.endswith(str(self.folder.resolve()))]

    def clean_up(self) -> None:
        """Whatever state the trial is in."""
        for head in self.heads:
            if head.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(head.pid, signal.SIGKILL)
                head.wait()
        with contextlib.suppress(RuntimeError):
            self.cluster.command("scancel", "--name", self.job_name)


def stray_processes(folder: str) -> list[str]:
    """Supervisors and learners whose working folder lies under `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(folder) and "dasr" in " ".join(process.info["cmdline"] or []):
                found.append(" ".join(process.info["cmdline"]))
    return found
