"""What a step costs the host besides the gradient: processor time of one learner's process, a step.

    python -m benchmarks.step_overhead
    python -m benchmarks.step_overhead --against ../other-checkout --pairs 10

The gradient is a sleep, as if a GPU computed it; everything else is real: processes, exchanges, the
optimizer, on vectors as large as the model of the demo. With `--against`, this file measures another
checkout too, in turn with this one, and the ratio of each pair is printed: other load on the machine
changes both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import commandline
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.strategies import registry
from dasr.worlds.interface import Ready, World
from dasr.worlds.process.local_launch import run_processes
from dasr.worlds.process.world import ProcessWorld

STRATEGIES = ("ad", "bmuf", "sc-allreduce")
LAYERS = 4  # parts in which a backward pass makes the gradient
WARM_UP = 20  # steps


class Sleep:
    """A task whose gradient is zero and takes `seconds`."""

    def __init__(self, parameters: int, seconds: float):
        self.num_parameters, self.seconds = parameters, seconds

    def initial(self) -> Tensor:
        return torch.ones(self.num_parameters)

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> float:
        edges = [self.num_parameters * layer // LAYERS for layer in range(LAYERS + 1)]
        for layer in reversed(range(LAYERS)):
            time.sleep(self.seconds / LAYERS)
            part = gradient[edges[layer] : edges[layer + 1]]
            part.zero_()
            ready(part)
        return 0.0

    def describe_batch(self) -> str:
        return "nothing"

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Clock:
    """Reads the processor time of this process, all its threads, after the warm-up and at the end."""

    def __init__(self) -> None:
        self.begin, self.end, self.steps = 0.0, 0.0, 0

    async def on_step_boundary(self, learner: Any, together: bool) -> bool:
        if learner.steps == WARM_UP:
            self.begin = time.process_time()
        self.end, self.steps = time.process_time(), learner.steps - WARM_UP
        return True

    def at(self, step: int, doing: str) -> None: ...


def life(strategy: str, parameters: int, steps: int, seconds: float, world: ProcessWorld) -> float:
    """Microseconds of processor time a step."""
    torch.set_num_threads(1)
    clock = Clock()

    async def train(world: World) -> None:
        task = Sleep(parameters, seconds)
        budget = Budget(steps + WARM_UP, world.size, world.size)
        learner = Learner(
            world, task, lambda w: optimizer.make("sgd", w, clip=1.0), lambda samples: 0.1, budget, clock
        )
        await registry.make(strategy, learner).run()

    world.run(train(world))
    return 1e6 * (clock.end - clock.begin) / clock.steps


def measure(strategies: list[str], learners: int, parameters: int, steps: int, ms: float) -> dict[str, float]:
    """Microseconds of processor time a step, by strategy: of the learner that needed least."""
    return {
        name: min(run_processes(learners, partial(life, name, parameters, steps, ms / 1e3)))
        for name in strategies
    }


def main() -> None:
    parser = commandline.parser(__doc__)
    usual = " ".join(STRATEGIES)
    parser.add_argument(
        "--strategies", nargs="+", default=list(STRATEGIES), metavar="ID", help=f"(default: {usual})"
    )
    parser.add_argument("--learners", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--parameters", type=int, default=500_000, help="of the model (default: 500000)")
    parser.add_argument("--steps", type=int, default=300, help="that are measured (default: 300)")
    parser.add_argument("--gradient-ms", type=float, default=2.0, help="of a gradient (default: 2)")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="measure this one in turn")
    parser.add_argument("--pairs", type=int, default=5, help="of measurements, with --against (default: 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object, for --against")
    given = parser.parse_args()
    if given.against is None:
        found = measure(given.strategies, given.learners, given.parameters, given.steps, given.gradient_ms)
        print(json.dumps(found) if given.json else "\n".join(f"{k}  {v:.0f} us" for k, v in found.items()))
        return
    kept = [str(x) for x in sys.argv[1:]]
    place = kept.index("--against")
    command = [sys.executable, __file__, *kept[:place], *kept[place + 2 :], "--json"]
    here = Path(__file__).resolve().parents[1]
    ratios: dict[str, list[float]] = {name: [] for name in given.strategies}
    for _ in range(given.pairs):
        both = {}
        for tree in (given.against.resolve(), here):
            environment = {**os.environ, "PYTHONPATH": str(tree)}
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            both[tree] = json.loads(run.stdout)
        for name in given.strategies:
            other, this = both[given.against.resolve()][name], both[here][name]
            ratios[name].append(this / other)
            print(f"{name}  other {other:.0f} us  this {this:.0f} us  ratio {this / other:.3f}", flush=True)
    for name, values in ratios.items():
        print(f"{name}  median ratio {statistics.median(values):.3f}")


if __name__ == "__main__":
    commandline.run(main)
