"""A comparison's results as the stages write them, with realistic curves, for tests of table, MLflow and
report."""

import json
import math
import random
from pathlib import Path
from typing import Any

import yaml

from dasr import config as dasr_config
from dasr.config import Config, Run
from dasr.decoding import hypotheses, scoring
from dasr.decoding.hypotheses import Hypothesis, Setting

WORDS = "one two three four five six seven eight nine zero oh".split()  # noqa: SIM905
EPOCHS, EPOCH_SAMPLES, CHUNK = 12, 11_000, 21
# strategy: seconds of one learner's share of an epoch, share of time waiting, MB sent, final loss, WER,
# staleness
CHARACTER = {
    "single": (14.0, 0.0, 0.0, 1.42, 0.078, {0: 4}),
    "sc-allreduce": (6.1, 0.22, 3100.0, 1.43, 0.080, {0: 4}),
    "sd": (5.3, 0.12, 2080.0, 1.47, 0.083, {0: 4}),
    "ad": (4.4, 0.01, 1650.0, 1.46, 0.081, {1: 2, 2: 6, 3: 9, 4: 5, 5: 2, 7: 1}),
    "bmuf": (4.1, 0.03, 95.0, 1.55, 0.094, {0: 4}),
}


def corrupted(words: list[str], rate: float, draw: random.Random) -> list[str]:
    out: list[str] = []
    for word in words:
        kind = draw.random() / rate
        if kind < 0.6:
            out.append(draw.choice(WORDS))
        elif kind < 0.8:
            out += [word, draw.choice(WORDS)]
        elif kind >= 1:
            out.append(word)
    return out


def make(root: Path, **comparison: Any) -> Path:
    """Write config.yaml and results under `root`; give the config's path."""
    config = dasr_config.complete(
        {"results": str(root / "results"), "comparison": {"name": "synthetic", "seeds": [0, 1], **comparison}}
    )
    results = Path(config.results)
    draw = random.Random(0)
    references = {}
    for split in ("dev", "test"):
        folder = results / "corpus" / split
        folder.mkdir(parents=True)
        count = {"dev": 40, "test": 130}[split]
        references[split] = {
            f"spk{i % 10}-u{i:03d}": draw.choices(WORDS, k=draw.randint(2, 9)) for i in range(count)
        }
        (folder / "text").write_text("".join(f"{u} {' '.join(w)}\n" for u, w in references[split].items()))
        (folder / "utt2spk").write_text("".join(f"{u} {u[:4]}\n" for u in references[split]))
    rejected = {"utterance": "spk3-u999", "reason": "audio is empty", "stage": "corpus"}
    (results / "corpus" / "test" / "rejected.jsonl").write_text(json.dumps(rejected) + "\n")
    for run in dasr_config.runs(config):
        _run(results, config, run, references)
    path = root / "config.yaml"
    path.write_text(config.text())
    return path


def _run(results: Path, config: Config, run: Run, references: dict[str, dict[str, list[str]]]) -> None:
    draw = random.Random(run.name)
    epoch_s, waiting, megabytes, final, error, staleness = CHARACTER[run.strategy]
    epoch_s *= draw.uniform(0.97, 1.03)
    folder = results / "runs" / run.name
    folder.mkdir(parents=True)
    resolved = {
        "model": {"layers": 2, "cells": 128},
        "training": {"schedule": "warmup-anneal", "epochs": EPOCHS},
    }
    stamp = {
        "resolved": resolved,
        "code": {"version": "0.1.0", "commit": "e8df171"},
        "environment": {"torch": "2.14.1", "python": "3.11"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({**config.plain(), **stamp}))
    total = EPOCHS * EPOCH_SAMPLES
    seconds = EPOCHS * epoch_s

    def loss(samples: float) -> float:
        return final + draw.gauss(0, 0.004) + 3.6 * math.exp(-samples / total * 5.5)

    lines = []
    for step in range(0, total // run.batch, 40):
        samples = step * run.batch
        clock = seconds * samples / total
        noisy = loss(samples) - 0.1 + draw.gauss(0, 0.05)
        lines.append(
            dict(kind="train", step=step, samples=samples, seconds=clock, loss=noisy, learning_rate=0.1)
        )
    for rank in range(run.learners):
        share = total // run.learners
        applied = {age: weight * share // (run.batch * 6) for age, weight in staleness.items()}
        lines.append(
            dict(
                kind="learner", rank=rank, samples=share, frames=share * CHUNK, seconds=seconds,
                bytes_sent=int(megabytes * 1e6), messages=9000, wait_seconds=waiting * seconds,
                compute_seconds=(0.93 - waiting) * seconds, mixes=2000, staleness=applied,
            )
        )  # fmt: skip
    lines.append(
        dict(
            kind="summary", strategy=run.strategy, learners=run.learners, batch=run.batch, seed=run.seed,
            samples=total, seconds=seconds, frames_per_s=total * CHUNK / seconds,
            mb_sent_per_learner=megabytes, wait_fraction=waiting,
            staleness_mean=sum(a * w for a, w in staleness.items()) / sum(staleness.values()),
        )
    )  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    heldout = []
    for point in range(1, EPOCHS + 1):
        samples = point * EPOCH_SAMPLES
        ce = loss(samples)
        spread = 0.0 if run.strategy in ("single", "sc-allreduce") else 0.05 * math.exp(-point / 6)
        heldout.append(
            dict(
                kind="heldout", samples=samples, seconds=seconds * point / EPOCHS, epochs=float(point), ce=ce,
                frame_accuracy=math.exp(-ce) * 2.4, consensus_distance=spread * 9,
                local_ce_min=ce, local_ce_mean=ce + spread, local_ce_max=ce + 2 * spread,
            )
        )  # fmt: skip
    (folder / "heldout.jsonl").write_text("".join(json.dumps(line) + "\n" for line in heldout))
    for lm, ease in (("unigram", 1.0), ("ngram", 0.5)):
        for split, said in references.items():
            hyps = []
            for scale, harder in ((0.07, 1.4), (0.1, 1.0), (0.14, 1.3)):
                for utterance, words in said.items():
                    hyp = corrupted(words, error * ease * harder, draw)
                    times = [(0.4 * i, 0.4 * i + 0.4) for i in range(len(hyp))]
                    hyps.append(Hypothesis(utterance, Setting(scale), hyp, times, 100.0))
            hypotheses.write(results / "decode" / run.name / lm / f"{split}.jsonl", hyps)
        scoring.score(results, run.name, lm)
