"""Throughput of each strategy when one of 8 simulated learners is 1, 2, 10 or 100 times slower.

    python -m benchmarks.straggler --figure docs/figures/straggler.svg --record benchmarks/results

Timing only: the paper's 43M model. "Of its own speeds": gradients a second over what the learners would do
together if none of them ever waited.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import commandline, records
from dasr.learner.learner import Budget
from dasr.planning.simulate import simulate
from dasr.progress import progress
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.clusters import Slow

LEARNERS = 8
FACTORS = (1, 2, 10, 100)
STRATEGIES: dict[str, dict[str, Any]] = {
    "ad": {"mixing": "random-ring"},
    "h-ad": {"mixing": "random-ring"},
    "ac-ps": {"servers": 8},
    "sd": {"mixing": "random-ring"},
    "delay-by-one": {},
    "sc-allreduce": {},
    "bmuf": {"tau": 8},
}


def measure(cluster: str, steps: int) -> list[records.Row]:
    """One record a strategy and factor."""
    plain = presets.load(cluster)
    rows: list[records.Row] = []
    for strategy, options in progress(STRATEGIES.items(), "strategies"):
        for factor in FACTORS:
            # h-ad: four nodes of two; a slow learner slows its node
            per_node = 2 if strategy == "h-ad" else 1
            slow = replace(plain, learners_per_node=per_node, slow=(Slow(3, factor),))
            result = simulate(strategy, Budget(steps, 128 * LEARNERS, LEARNERS), slow, options=options)
            own = LEARNERS - 1 + 1 / factor
            rows.append(
                {
                    "strategy": strategy,
                    "factor": factor,
                    "of_own_speeds": result.speedup / own,
                    "of_full_speed": result.speedup / LEARNERS,
                    "wait_fraction": result.wait_fraction,
                }
            )
    return rows


def draw(rows: list[records.Row], path: Path, cluster: str) -> None:
    """Bars: share of full speed, by strategy and factor; a tick where nobody would wait."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "dasr"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8.5, 3.6))
    width = 0.8 / len(FACTORS)
    for place, factor in enumerate(FACTORS):
        mine = [row for row in rows if row["factor"] == factor]
        at = [index + (place - 1.5) * width for index in range(len(mine))]
        heights = [row["of_full_speed"] for row in mine]
        label = "all equal" if factor == 1 else f"{factor}x slower"
        axes.bar(
            at, heights, width * 0.92, label=label, color=("#2b5c8a", "#5b8fb9", "#e0a458", "#b5443a")[place]
        )
        limit = (LEARNERS - 1 + 1 / factor) / LEARNERS
        axes.hlines(
            [limit] * len(at), [x - width / 2 for x in at], [x + width / 2 for x in at], "black", lw=0.8
        )
    axes.set_xticks(range(len(STRATEGIES)), list(STRATEGIES))
    axes.set_ylabel("throughput / 8 undisturbed learners")
    axes.set_title(
        f"One of {LEARNERS} learners slow ({cluster}, 43M parameters; line: nobody waits)", fontsize=10
    )
    axes.legend(title="the slow one is", fontsize=8, title_fontsize=8, loc="upper right", ncols=4)
    axes.set_ylim(0, 1.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--cluster", default="paper", help="a preset or a description")
    parser.add_argument("--steps", type=int, default=300, help="batches of all learners together")
    parser.add_argument("--figure", type=Path, help="draw them here")
    given = parser.parse_args()
    began = time.perf_counter()
    rows = measure(given.cluster, given.steps)
    print(
        f"{'strategy':14s}" + "".join(f"{factor:>7d}x" for factor in FACTORS) + "   of the sum of own speeds"
    )
    for strategy in STRATEGIES:
        mine = [row["of_own_speeds"] for row in rows if row["strategy"] == strategy]
        print(f"{strategy:14s}" + "".join(f"{value:8.2f}" for value in mine))
    print(f"{time.perf_counter() - began:.0f} s")
    settings = {"cluster": given.cluster, "learners": LEARNERS, "steps": given.steps}
    commandline.keep(records.make("straggler", rows, settings), given.record)
    if given.figure:
        draw(rows, given.figure, given.cluster)


if __name__ == "__main__":
    commandline.run(main)
