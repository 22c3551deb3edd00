"""The whole fault matrix on the sandbox cluster, several random moments each, with the time to recover.

    make soak            python -m tests.support.slurm.soak [--moments 5] [--faults NAME...] [--seed S]

Prints a line a trial, and at the end the table of docs/reliability.md; everything is kept in results-soak/.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.slurm import faults
from tests.support.slurm.cluster import CannotRun, Cluster
from tests.support.slurm.trial import Trial, stray_processes

ROOT = Path(__file__).resolve().parents[3]
SMALL = """\
corpus: {limit: 80, dev_speakers: 2, max_bad_fraction: 0.3}
features: {shards: {train: 2}}
hmm: {leaves: 60, gaussians: 200, monophone_iterations: 5, triphone_iterations: 3}
model: {preset: demo, layers: 1, cells: 32}
training: {epochs: 12, snapshots: 2}
comparison: {name: small, strategies: [sc-allreduce, sd, ad], learners: [4], batch: [32]}
decoding: {acoustic_scales: [0.1]}
simulation: {max_learners: 16}
"""
EPOCHS = 80  # of a trial: about 15 seconds of training


@dataclass(frozen=True)
class Undisturbed:
    """A run to which nothing happened."""

    weights: dict[str, bytes]
    steps: int


def prepare(folder: Path) -> Path:
    """A working folder with everything that training needs, of a small part of AN4."""
    if not (folder / "config.yaml").exists():
        shutil.copytree(ROOT / "corpora", folder / "corpora")
        (folder / "config.yaml").write_text(SMALL)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--omit-from", "train"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder


def undisturbed(folder: Path, prepared: Path, cluster: Cluster, strategy: str) -> Undisturbed:
    trial = Trial(folder, prepared, cluster, strategy, EPOCHS)
    assert trial.finish(trial.train()) == 0, trial.head_log
    return Undisturbed(trial.weights(), trial.step())


def one(
    folder: Path, prepared: Path, cluster: Cluster, strategy: str, fault: faults.Fault, draw: random.Random,
    reference: Undisturbed,
) -> dict[str, Any]:  # fmt: skip
    """One trial: its record. Raises AssertionError when something was lost."""
    same_bits = strategy == "sc-allreduce"
    step = draw.randrange(reference.steps // 10, reference.steps // 2)
    trial = Trial(folder, prepared, cluster, strategy, EPOCHS)
    began = time.monotonic()
    try:
        recovered = fault(trial, step, draw)
        assert (trial.run_folder / "model.safetensors").exists()
        if same_bits:
            assert trial.weights() == reference.weights, "the weights differ from an undisturbed run's"
        assert not stray_processes(str(folder)), stray_processes(str(folder))
    finally:
        trial.clean_up()
    return {
        "fault": fault.__name__, "strategy": strategy, "step": step, "recovered_s": round(recovered, 1),
        "took_s": round(time.monotonic() - began, 1), "same_bits": same_bits,
    }  # fmt: skip


def table(records: list[dict[str, Any]]) -> str:
    """Markdown: a row a fault and strategy."""
    rows = ["| fault | strategy | trials | median s | worst s | weights |", "|---|---|---|---|---|---|"]
    for key in dict.fromkeys((r["fault"], r["strategy"]) for r in records):
        mine = [r for r in records if (r["fault"], r["strategy"]) == key]
        times = [r["recovered_s"] for r in mine if "recovered_s" in r]
        failed = sum("failed" in r for r in mine)
        count = f"{len(mine)}" + (f" ({failed} failed)" if failed else "")
        bits = "same bits" if all(r.get("same_bits") for r in mine) else "-"
        spread = f"{statistics.median(times):.1f} | {max(times):.1f}" if times else "- | -"
        rows.append(f"| {key[0].replace('_', ' ')} | `{key[1]}` | {count} | {spread} | {bits} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--moments", type=int, default=5, help="random moments for each fault")
    parser.add_argument("--faults", nargs="*", help="only these")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    where = ROOT / "results-soak" / time.strftime("%Y%m%d-%H%M%S")
    cluster = Cluster()
    try:
        cluster.up()
    except CannotRun as why:
        sys.exit(f"no sandbox cluster: {why}")
    prepared = prepare(ROOT / "results-soak" / "prepared")
    print(f"seed {given.seed}, records in {where}", flush=True)
    draw, records = random.Random(given.seed), []
    matrix = [("sc-allreduce", fault) for fault in faults.SYNCHRONOUS] + [
        ("ad", fault) for fault in faults.ASYNCHRONOUS
    ]
    reference = undisturbed(where / "undisturbed", prepared, cluster, "sc-allreduce")
    for moment in range(given.moments):
        for strategy, fault in matrix:
            if given.faults and fault.__name__ not in given.faults:
                continue
            folder = where / f"{fault.__name__}-{strategy}-{moment}"
            try:
                record = one(folder, prepared, cluster, strategy, fault, draw, reference)
            except AssertionError as failure:
                record = {"fault": fault.__name__, "strategy": strategy, "failed": str(failure)[-2000:]}
            records.append(record)
            with open(where / "records.jsonl", "a") as stream:
                stream.write(json.dumps(record) + "\n")
            print(json.dumps(record), flush=True)
    print(table(records))
    sys.exit(any("failed" in record for record in records))


if __name__ == "__main__":
    main()
