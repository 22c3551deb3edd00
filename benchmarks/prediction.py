"""Simulated against measured time per step, over links whose rate the kernel enforces.

    sudo python -m benchmarks.prediction --record benchmarks/results

Each learner is a process in a network namespace of its own, joined by a bridge; `tc tbf` limits both
directions of its link. The cluster is calibrated over these links (as `dasr calibrate` does), then each
strategy is run five times and simulated once. Fixed: 4 learners whose gradient takes 50 ms (a sleep). Demo:
2 learners, the demo model on the CPU. Time per step: between the starts of gradients, medians over learners
and runs. Bar: within 15 %.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.distributed_c10d import PrefixStore

from benchmarks import commandline, records
from dasr.errors import UserError
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.planning import calibration
from dasr.planning.probe import Work, probe
from dasr.strategies import registry
from dasr.worlds.interface import Ready
from dasr.worlds.process.world import connect
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.simulation import Simulation

STRATEGIES: dict[str, dict[str, Any]] = {
    "sc-allreduce": {},
    "sd": {},
    "ad": {},
    "bmuf": {"tau": 8},
    "h-ad": {},
}
SKIP, STEPS = 8, 25  # steps 8 to 24 count: two blocks of bmuf
GRADIENT_S = 0.05
PARAMETERS = 262_144  # 1 MiB of weights
RUNS = 5
MODULE = "benchmarks.prediction"
ALONE = "local"  # never averages within the steps that count: the time of a step without communication
BRIDGE = "dasrbr0"


class StubbornTask:
    """A gradient that takes its time: `work` (a sleep, or a model's pass). Remembers when each began."""

    def __init__(self, now: Callable[[], float], parameters: int, work: Work) -> None:
        self.now, self.num_parameters, self.work = now, parameters, work
        self.begins: list[float] = []

    def initial(self) -> torch.Tensor:
        return torch.zeros(self.num_parameters)

    def gradient(self, weights: torch.Tensor, gradient: torch.Tensor, ready: Any) -> float:
        self.begins.append(self.now())
        self.work(ready)
        ready(gradient)
        return 0.0

    def describe_batch(self) -> str:
        return ""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def step_seconds(self) -> float:
        counted = self.begins[SKIP:STEPS]
        return (counted[-1] - counted[0]) / (len(counted) - 1)


def learner_of(world: Any, task: StubbornTask, size: int) -> Learner:
    return Learner(
        world, task, lambda w: optimizer.make("sgd", w), lambda samples: 0.1, Budget(STEPS + 4, size, size)
    )


def pause(ready: Ready) -> None:
    time.sleep(GRADIENT_S)


def worker(rank: int, size: int, host: str, port: int, demo: bool, nodes: list[int], out: Path) -> None:
    """One learner: calibrate, then run every strategy RUNS times."""
    torch.set_num_threads(1)
    store = TCPStore(host, port, None, is_master=False, timeout=timedelta(seconds=300))
    world = connect(PrefixStore("probe", store), rank, size, nodes, timeout_s=300)
    parameters, work = PARAMETERS, calibration.demo_step(16) if demo else pause
    found: dict[str, Any] = {"probe": world.run(probe(world, 16 * PARAMETERS, 5, work))}
    strategies = {ALONE: {"tau": 10 * STEPS}, **STRATEGIES}
    found["steps"] = {name: [] for name in strategies}
    for run in range(RUNS):  # in turns, so that a drift of the machine meets all alike
        for name, options in strategies.items():
            world = connect(PrefixStore(f"{name}/{run}", store), rank, size, nodes, timeout_s=300)
            task = StubbornTask(world.now, parameters, work)
            world.run(registry.make(name, learner_of(world, task, size), **options).run())
            found["steps"][name].append(task.step_seconds())
            world.close()
    out.write_text(json.dumps(found))
    os._exit(0)


def predict(cluster: Cluster, size: int, name: str) -> float:
    """The simulated time per step, by the same measure."""
    simulation = Simulation(cluster, size)
    tasks = [StubbornTask(world.now, PARAMETERS, lambda ready: None) for world in simulation.worlds]
    strategies = [
        registry.make(name, learner_of(world, task, size), **STRATEGIES[name])
        for world, task in zip(simulation.worlds, tasks, strict=True)
    ]
    simulation.run(lambda world: strategies[world.rank].run())
    return statistics.median(task.step_seconds() for task in tasks)


@contextlib.contextmanager
def limited_links(size: int, mbit: int) -> Iterator[str]:
    """`size` namespaces dasr0..., each behind a link of `mbit` Mbit/s; gives the address of this end."""

    def run(command: str, check: bool = True) -> None:
        subprocess.run(command.split(), check=check, capture_output=not check)

    def remove() -> None:
        for rank in range(size):
            run(f"ip netns del dasr{rank}", check=False)
        run(f"ip link del {BRIDGE}", check=False)

    remove()
    try:
        run(f"ip link add {BRIDGE} type bridge")
        run(f"ip addr add 10.77.0.1/24 dev {BRIDGE}")
        run(f"ip link set {BRIDGE} up")
        for rank in range(size):
            run(f"ip netns add dasr{rank}")
            run(f"ip link add dasrv{rank} type veth peer name eth0 netns dasr{rank}")
            run(f"ip link set dasrv{rank} master {BRIDGE} up")
            inside = f"ip netns exec dasr{rank}"
            run(f"{inside} ip addr add 10.77.0.{rank + 2}/24 dev eth0")
            run(f"{inside} ip link set eth0 up")
            run(f"{inside} ip link set lo up")
            limit = f"root tbf rate {mbit}mbit burst 64kb latency 200ms"
            run(f"{inside} tc qdisc add dev eth0 {limit}")
            run(f"tc qdisc add dev dasrv{rank} {limit}")
        yield "10.77.0.1"
    finally:
        remove()


def case(size: int, mbit: int, demo: bool) -> list[records.Row]:
    nodes = [rank // 2 for rank in range(size)] if size > 2 else [0, 1]
    with limited_links(size, mbit) as host, tempfile.TemporaryDirectory() as folder:
        store = TCPStore(
            host, 0, None, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=300)
        )
        places = [Path(folder) / f"{rank}.json" for rank in range(size)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        processes = []
        for rank in range(size):
            pin = ["taskset", "-c", str(rank % (os.cpu_count() or 1))] if demo else []
            what = json.dumps([rank, size, host, store.port, demo, nodes, str(places[rank])])
            command = [
                "ip",
                "netns",
                "exec",
                f"dasr{rank}",
                *pin,
                sys.executable,
                "-m",
                MODULE,
                "--worker",
                what,
            ]
            processes.append(subprocess.Popen(command, env=environment))
        codes = [process.wait(400) for process in processes]
        if any(codes):
            raise UserError(f"learners ended with statuses {codes}")
        found = [json.loads(place.read_text()) for place in places]
    alone = [statistics.median(one["steps"][ALONE]) for one in found]
    compute = Compute(fixed_s=max(alone))
    probes = [one["probe"] for one in found]
    cluster = calibration.fit(f"{mbit} Mbit/s", probes, compute, nodes)
    lines = []
    for name in STRATEGIES:
        measured = statistics.median(
            statistics.median(one["steps"][name][run] for one in found) for run in range(RUNS)
        )
        predicted = predict(cluster, size, name)
        lines.append(
            {
                "gradient": "demo model" if demo else "fixed 50 ms",
                "learners": size,
                "mbit_s": mbit,
                "strategy": name,
                "measured_ms": round(1e3 * measured, 2),
                "predicted_ms": round(1e3 * predicted, 2),
                "error_percent": round(100 * (predicted / measured - 1), 1),
            }
        )
        print(json.dumps(lines[-1]), flush=True)
    return lines


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--only", choices=["fixed", "demo"], help="one of the two kinds of gradient")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        rank, size, host, port, demo, nodes, out = json.loads(arguments.worker)
        worker(rank, size, host, port, demo, nodes, Path(out))
    if os.geteuid() != 0 or subprocess.run(["tc", "-V"], capture_output=True).returncode:
        raise UserError("root and tc (iproute2) are needed, to limit links")
    lines: list[records.Row] = []
    for mbit in (1000, 100):
        for size, demo in ((4, False), (2, True)):
            if arguments.only in (None, "demo" if demo else "fixed"):
                lines += case(size, mbit, demo)
    commandline.keep(records.make("prediction", lines), arguments.record)
    print("worst error", max(abs(line["error_percent"]) for line in lines), "%")


if __name__ == "__main__":
    commandline.run(main)
