"""The environment of a learner: who it is, its share of the node, the network interface."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import replace

import psutil

from dasr.errors import UserError
from dasr.launch.membership import Membership

# Rounds that OpenMP's threads spin at a barrier before they sleep. libgomp's own 300,000 (milliseconds) are
# for cores that nobody else uses: with one other busy process on two cores, training took 60 times as long.
_SPIN = "1000"


def learner_environment(
    membership: Membership,
    interface_address: str,
    cpus: int,
    gpus: int,
    restore_devices: bool = False,
    visible_devices: str | None = None,
    base: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """`base` with what a learner needs. What the user has set for interfaces stays.

    `interface_address`: this host's end of the line to the coordinator, so the interface that reaches it.
    `gpus`: a task's share of GPUs; 0 means the CPU. All of a node's GPUs stay visible (NCCL wants to see its
    peers); `cuda:K` follows from the local rank. `restore_devices`: CUDA_VISIBLE_DEVICES becomes
    `visible_devices` again (None: it was not set, and all GPUs are visible)."""
    environment = dict(base)
    if restore_devices:
        environment.pop("CUDA_VISIBLE_DEVICES", None)
        environment |= {} if visible_devices is None else {"CUDA_VISIBLE_DEVICES": visible_devices}
    device = f"cuda:{membership.local_rank * gpus}" if gpus else "cpu"
    environment |= replace(membership, device=device).environment()
    environment |= {
        "OMP_NUM_THREADS": str(max(1, cpus)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",  # a hung learner shows its stacks before it is killed
    }
    if "SLURM_JOB_ID" not in base and "OMP_WAIT_POLICY" not in base:
        environment.setdefault("GOMP_SPINCOUNT", _SPIN)
    if interface := interface_of(interface_address):
        for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            environment.setdefault(variable, interface)
    return environment


def check_interface(base: Mapping[str, str] = os.environ) -> None:
    """Raises UserError where GLOO_SOCKET_IFNAME names an interface that this host lacks."""
    named = base.get("GLOO_SOCKET_IFNAME", "")
    present = sorted(psutil.net_if_addrs())
    for name in named.split(",") if named else []:
        if name not in present:
            raise UserError(
                f"GLOO_SOCKET_IFNAME={named}: {socket.gethostname()} has no interface '{name}', only "
                f"{', '.join(present)} (gloo takes names, separated by commas; ^ and prefixes are NCCL's)"
            )


def interface_of(address: str) -> str | None:
    """The name of the network interface with this IPv4 address (all of 127/8 is `lo`'s), if there is one."""
    for name, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if entry.family != socket.AF_INET:
                continue
            if entry.address == address or (address.startswith("127.") and entry.address.startswith("127.")):
                return str(name)
    return None
