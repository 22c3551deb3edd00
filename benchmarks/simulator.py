"""How fast the simulator is: virtual learners of `ad`, timing only, on one core.

    python benchmarks/simulator.py [--json FILE]

Bars: 1,024 learners x 1,000 steps in 60 s, 4,096 learners x 200 steps in 120 s.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import torch

from dasr.planning.simulate import simulate
from dasr.worlds.simulated import clusters

CASES = [("ad", 1024, 1000, 60.0), ("ad", 4096, 200, 120.0)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--cluster", default="paper", help="a preset or a description")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cluster = clusters.load(arguments.cluster)
    simulate("ad", 8, 8, cluster)  # imports
    lines = []
    for strategy, learners, steps, bar in CASES:
        wall, processor = time.perf_counter(), time.process_time()
        result = simulate(strategy, learners, steps, cluster)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        line = {
            "strategy": strategy,
            "learners": learners,
            "steps": steps,
            "cluster": cluster.name,
            "wall_s": round(wall, 1),
            "cpu_s": round(processor, 1),
            "bar_s": bar,
            "us_per_step": round(1e6 * processor / learners / steps, 1),
            "mixes_per_learner": result.mixes_per_learner,
            "virtual_s": round(result.seconds, 1),
            "speedup": round(result.speedup, 1),
            "host": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}",
        }
        lines.append(line)
        print(json.dumps(line), flush=True)
    if arguments.json:
        arguments.json.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
