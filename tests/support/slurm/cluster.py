"""A real Slurm cluster of several nodes on this host, for tests and for trying `snakemake --profile slurm`.

    python -m tests.support.slurm.cluster up | down | status | run COMMAND...

slurmctld, four slurmd, slurmdbd on MariaDB, munge: all in one folder (.slurm, or $DASR_SLURM), on loopback
ports of their own. A Slurm that is configured on this host is not touched: every command is told its
configuration by SLURM_CONF. Debian and Ubuntu: apt install slurm-wlm slurmdbd mariadb-server munge.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.support.slurm.daemons import alive, job_steps
from tests.support.slurm.settings import Settings

DAEMONS = ["munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd"]
DAEMONS += ["srun", "sbatch", "sacctmgr"]
FOLDER = Path(os.environ.get("DASR_SLURM") or Path(__file__).resolve().parents[3] / ".slurm")


class CannotRun(Exception):
    """Why there can be no sandbox cluster here, in one line."""


class Cluster:
    """The sandbox in `folder`; up, or not yet."""

    def __init__(self, folder: Path = FOLDER):
        self.folder = folder
        self._pids = folder / "processes.json"

    @property
    def environment(self) -> dict[str, str]:
        """For every command that shall use this cluster. Learners talk over loopback, where the nodes are."""
        first = [str(self.folder / "bin"), str(Path(sys.executable).parent)]
        path = os.pathsep.join([*first, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        ours = {"SLURM_CONF": str(self.folder / "etc" / "slurm.conf"), "PATH": path}
        return {**os.environ, **ours, "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}

    def command(self, *command: str, check: bool = True) -> str:
        """Run a command against this cluster; its output."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def accounted(self, job_name: str, columns: str) -> list[list[str]]:
        """sacct's columns for each job of that name, of any day (its own default: since midnight)."""
        whole = ["-X", "-P", "-n", "--starttime", "1970-01-01"]
        shown = self.command("sacct", *whole, "--name", job_name, "-o", columns)
        return [line.split("|") for line in shown.splitlines()]

    @staticmethod
    def check() -> None:
        """Raise CannotRun if this host lacks something."""
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        missing = [name for name in DAEMONS if shutil.which(name, path=path) is None]
        if missing:
            raise CannotRun(
                f"{', '.join(missing)} missing: apt install slurm-wlm slurmdbd mariadb-server munge"
            )
        if os.geteuid() != 0:
            raise CannotRun("the sandbox cluster must be started by root (slurmd starts processes for users)")

    def is_up(self) -> bool:
        """All daemons that were started are there, and the nodes have been seen idle."""
        return (self.folder / "ready").exists() and self._none_ended()

    def _none_ended(self) -> bool:
        return len(self._processes()) == len(json.loads(self._pids.read_text()))

    def up(self) -> None:
        """Start all daemons and wait until all nodes are idle. Raises CannotRun."""
        self.check()
        if self.is_up():
            return
        self.down()
        settings = Settings(self.folder)
        if len(str(settings.munge_socket)) > 100:
            raise CannotRun(
                f"the path {self.folder} is too long for a socket: set DASR_SLURM to a shorter one"
            )
        settings.write()
        try:
            self._start_daemons(settings)
        except Exception as error:
            words = self._last_words()
            self.down()
            raise CannotRun(f"{error}{words}") from None

    def _start_daemons(self, settings: Settings) -> None:
        folder, slurmdbd, user = self.folder, "/usr/sbin/slurmdbd", "root"
        munge = ["--foreground", "--force", "--num-threads=4", f"--socket={settings.munge_socket}"]
        files = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._start("munged", *munge, *files)
        database = ["--no-defaults", f"--datadir={folder}/database", f"--user={user}"]
        quick = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(
            ["mariadb-install-db", *database, *quick], capture_output=True, check=True, timeout=120
        )
        settled = [
            "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-name-resolve",
        ]
        where = [
            f"--socket={folder}/database.socket",
            f"--port={settings.database_port}",
            "--bind-address=127.0.0.1",
        ]
        first = [f"--init-file={folder}/database.sql", f"--pid-file={folder}/mariadb.pid"]
        self._start("mariadbd", *database, *settled, *where, *first)
        self._wait("the database", lambda: (folder / "database.socket").exists())
        self._start(slurmdbd, "-D")
        self._wait(
            "slurmdbd", lambda: "sandbox" in self.command("sacctmgr", "-in", "add", "cluster", "sandbox")
        )
        self.command("sacctmgr", "-in", "add", "account", "speech", "cluster=sandbox")
        self.command("sacctmgr", "-in", "add", "user", user, "account=speech", "cluster=sandbox")
        self._start("slurmctld", "-D", "-c")
        for node in settings.node_names:
            self._start("slurmd", "-D", "-N", node)
        self._wait("the nodes", lambda: self._states() == ["idle"] * settings.nodes)
        (folder / "ready").touch()

    def _states(self) -> list[str]:
        return self.command("sinfo", "-hN", "-p", "train", "-o", "%T").split()

    def _wait(self, what: str, ready: Callable[[], bool], within_s: float = 60.0) -> None:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                if ready():
                    return
            if not self._none_ended():
                raise RuntimeError(f"a daemon ended while waiting for {what}")
            time.sleep(0.2)
        raise RuntimeError(f"{what} did not come up within {within_s:.0f} s")

    def _start(self, name: str, *options: str) -> None:
        executable = shutil.which(name, path=self.environment["PATH"])
        assert executable
        with open(self.folder / "log" / "daemons.log", "ab") as log:
            process = subprocess.Popen(
                [executable, *options],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        known = json.loads(self._pids.read_text()) if self._pids.exists() else []
        known.append([process.pid, psutil.Process(process.pid).create_time()])
        self._pids.write_text(json.dumps(known))

    def _processes(self) -> list[psutil.Process]:
        """Our daemons that are alive, in the order in which they were started."""
        with contextlib.suppress(OSError, ValueError):
            return alive(json.loads(self._pids.read_text()))
        return []

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self.folder / "log" / "daemons.log").read_text(errors="replace").splitlines()
            return "; last lines of the daemons:\n" + "\n".join(lines[-8:])
        return ""

    def down(self) -> None:
        """Cancel all jobs, stop all daemons, remove the folder."""
        if not self.folder.exists():
            return
        if self._processes():
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                self.command("scancel", "--full", "--signal=KILL", "--user=root")
                self.command("scancel", "--user=root")
                self._wait("the jobs' end", lambda: not self.command("squeue", "-h").split(), within_s=20)
        steps = job_steps(self.environment["SLURM_CONF"])
        everything = [child for step in steps for child in step.children(recursive=True)] + steps
        everything += self._processes()
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(everything, timeout=5)
        for process in alive:  # nothing of the database is kept
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        shutil.rmtree(self.folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.slurm.cluster", description=(__doc__ or "").split("\n\n")[0]
    )
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in {
        "up": "start it",
        "down": "stop it and remove its folder",
        "status": "show nodes and jobs",
    }.items():
        actions.add_parser(name, help=text)
    run = actions.add_parser("run", help="run a command that uses it")
    run.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    cluster = Cluster()
    if given.action == "down":
        cluster.down()
        return
    began = time.monotonic()
    try:
        if given.action == "up":
            cluster.up()
            seconds = time.monotonic() - began
            print(f"the cluster is up ({seconds:.0f} s): `python -m tests.support.slurm.cluster run sinfo`")
            return
        cluster.check()
        if not cluster.is_up():
            raise CannotRun("the sandbox cluster is not up: python -m tests.support.slurm.cluster up")
    except CannotRun as why:
        sys.exit(f"no sandbox cluster: {why}")
    if given.action == "status":
        print(cluster.command("sinfo"), cluster.command("squeue"), sep="\n", end="")
    else:
        os.execvpe(given.command[0], given.command, cluster.environment)


if __name__ == "__main__":
    main()
