"""How fast the simulator is: virtual learners of `ad`, timing only, on one core.

    python -m benchmarks.simulator --record benchmarks/results

Bars: 1,024 learners x 1,000 steps in 60 s, 4,096 learners x 200 steps in 120 s.
"""

from __future__ import annotations

import time

import torch

from benchmarks import commandline, records
from dasr.learner.learner import Budget
from dasr.planning.simulate import simulate
from dasr.worlds.simulated import presets

CASES = [("ad", 1024, 1000, 60.0), ("ad", 4096, 200, 120.0)]


def budget(steps: int, learners: int) -> Budget:
    return Budget(steps, 128 * learners, learners)


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the steps (1: those of the bars)")
    parser.add_argument("--cluster", default="paper", help="a preset or a description")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cluster = presets.load(arguments.cluster)
    simulate("ad", budget(8, 8), cluster)  # imports
    lines = []
    for strategy, learners, all_steps, bar in CASES:
        steps = max(1, round(arguments.fraction * all_steps))
        wall, processor = time.perf_counter(), time.process_time()
        result = simulate(strategy, budget(steps, learners), cluster)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        line = {
            "strategy": strategy,
            "learners": learners,
            "steps": steps,
            "cluster": cluster.name,
            "wall_s": round(wall, 1),
            "cpu_s": round(processor, 1),
            "bar_s": bar * arguments.fraction,
            "us_per_step": round(1e6 * processor / learners / steps, 1),
            "mixes_per_learner": result.mixes_per_learner,
            "virtual_s": round(result.seconds, 1),
            "speedup": round(result.speedup, 1),
        }
        lines.append(line)
        print("  ".join(f"{key} {value}" for key, value in line.items()), flush=True)
    commandline.keep(records.make("simulator", lines), arguments.record)


if __name__ == "__main__":
    commandline.run(main)
