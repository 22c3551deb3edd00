"""Compressed gradients beside uncompressed ones: held-out loss and bytes of `sc-allreduce` on the demo.

    python -m benchmarks.compression --record benchmarks/results      # a minute a training on an idle core

The stages before training must have run: `snakemake --profile local --omit-from train`. Four learners train
the configured model in one process, in virtual time; the loss is that of the last model on all of dev.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import commandline, records
from dasr import config as configuration
from dasr.planning.simulate import simulate
from dasr.planning.workloads import corpus
from dasr.tasks.data import AlignedShards
from dasr.training import plan
from dasr.worlds.simulated.clusters import Cluster, Compute

LEARNERS = 4
CODECS = ("fp32", "powersgd", "1bit", "sign")
ALL_OF_DEV = 10**6


def train(spec: str, seed: int, given: argparse.Namespace) -> records.Row:
    """One training; what its row says."""
    config = configuration.load(given.config)
    (batch, *_) = config.comparison.batch
    data = AlignedShards.of(config, "train")
    chunks = data.feed(data.model(config), config.training.chunk_frames, 1, 0, 1, seed).num_chunks
    budget = plan.budget(config.training, chunks, batch, LEARNERS)
    workload = corpus(given.config, batch, seed, utterances=ALL_OF_DEV)
    began = time.perf_counter()
    result = simulate(
        "sc-allreduce",
        budget,
        Cluster(name="free", compute=Compute(fixed_s=1.0)),
        options={"compression": spec},
        seed=seed,
        workload=replace(workload, points=1),
    )
    return {
        "compression": spec,
        "seed": seed,
        "heldout": result.curve[-1]["loss"],
        "mb_sent": result.mb_sent_per_learner,
        "steps": budget.steps,
        "parameters": result.parameters,
        "wall_s": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--config", default="config.yaml", help="the recipe")
    parser.add_argument("--out", type=Path, default=Path("compression.jsonl"), help="a line a training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training each")
    parser.add_argument("--codecs", nargs="+", default=list(CODECS), help="values of `compression`")
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(row["compression"], row["seed"]) for row in rows}
    for seed in given.seeds:
        for spec in given.codecs:
            if (spec, seed) not in done:
                rows.append(train(spec, seed, given))
                print(json.dumps(rows[-1]), flush=True)
                with open(given.out, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(rows[-1]) + "\n")
    wanted = [row for row in rows if row["compression"] in given.codecs and row["seed"] in given.seeds]
    settings = {"learners": LEARNERS, "config": given.config}
    commandline.keep(records.make("compression", wanted, settings), given.record)


if __name__ == "__main__":
    commandline.run(main)
