"""The configuration files of the sandbox cluster: several nodes, accounting and preemption on one host."""

from __future__ import annotations

import secrets
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Settings:
    """Everything lies under `folder`; every daemon has a port or socket of its own, on loopback."""

    folder: Path
    nodes: int = 4
    cpus: int = 8  # of a node, believed rather than counted, so that a laptop can be four nodes
    memory_mb: int = 8000
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        self.node_names = [f"n{number}" for number in range(1, self.nodes + 1)]
        self.munge_socket = self.folder / "munge.socket"
        self.database_port = free_port()

    def write(self) -> None:
        """Make `folder` with slurm.conf, slurmdbd.conf, the munge key, the database's first statements."""
        for name in ("etc", "log", "state", "spool", "database", "bin"):
            (self.folder / name).mkdir(parents=True, mode=0o755)
        private = {
            "munge.key": secrets.token_bytes(1024),
            "etc/slurmdbd.conf": self._slurmdbd().encode(),
            "database.sql": self._database().encode(),
        }
        for name, content in private.items():
            (self.folder / name).touch(mode=0o600)
            (self.folder / name).write_bytes(content)
        (self.folder / "etc" / "slurm.conf").write_text(self._slurm())
        for command in ("sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun"):
            # Snakemake's jobs drop SLURM_CONF from their environment, but not PATH.
            wrapper = self.folder / "bin" / command
            conf = self.folder / "etc" / "slurm.conf"
            wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {shutil.which(command)} "$@"\n')
            wrapper.chmod(0o755)
        (self.folder / "etc" / "cgroup.conf").write_text("CgroupAutomount=no\n")

    def _database(self) -> str:
        return (
            f"CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO 'slurm'@'127.0.0.1';\n"
        )

    def _slurmdbd(self) -> str:
        self.dbd_port = free_port()
        return f"""\
AuthType=auth/munge
AuthInfo=socket={self.munge_socket}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={self.dbd_port}
SlurmUser=root
LogFile={self.folder}/log/slurmdbd.log
PidFile={self.folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={self.database_port}
StorageUser=slurm
StoragePass={self.password}
StorageLoc=slurm_acct
"""

    def _slurm(self) -> str:
        nodes = "\n".join(
            f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={free_port()} "
            f"CPUs={self.cpus} RealMemory={self.memory_mb} State=UNKNOWN"
            for name in self.node_names
        )
        every = f"n[1-{self.nodes}]"
        return f"""\
ClusterName=sandbox
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={free_port()}
SlurmUser=root
AuthType=auth/munge
# cred_expire: a requeued job waits so long before it may start again (default 120 s)
AuthInfo=socket={self.munge_socket},cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool/%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.%n.pid
SlurmctldLogFile={self.folder}/log/slurmctld.log
SlurmdLogFile={self.folder}/log/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
# the nodes' sizes above are believed, whatever this host has
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
SchedulerParameters=batch_sched_delay=1,sched_min_interval=200000,bf_interval=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
SlurmdTimeout=30
KillWait=15
MinJobAge=300
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={self.dbd_port}
AccountingStoragePass={self.munge_socket}
AccountingStorageEnforce=associations
{nodes}
# train: multi-node jobs, which those in `urgent` preempt (15 s to save, then requeued); cpu: the other stages
PartitionName=train Nodes={every} Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=15
PartitionName=cpu Nodes={every} MaxTime=INFINITE PriorityTier=1 PreemptMode=OFF
PartitionName=urgent Nodes={every} MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
"""
