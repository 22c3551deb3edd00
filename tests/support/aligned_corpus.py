"""A small corpus as the stages before training leave it: four shards of speech-like frames, with labels."""

from pathlib import Path
from typing import Any

import numpy as np

from dasr import config
from dasr.config import Config
from dasr.features.store import Utterance, checksum, write_arrays, write_shard
from dasr.files import write_json

DIM, PDFS = 6, 5
AN4 = Path(__file__).resolve().parents[2] / "corpora" / "an4"


def write_aligned(results: Path, split: str, number: int) -> None:
    """One shard: every tied state has its own mean, and lasts for some frames."""
    draw = np.random.default_rng([number, len(split)])
    means = np.random.default_rng(0).normal(size=(PDFS, DIM)) * 2
    utterances, labels = [], []
    for i in range(6):
        states = np.repeat(draw.integers(PDFS, size=12), draw.integers(3, 8, size=12))
        frames = means[states] + draw.normal(size=(len(states), DIM))
        utterances.append(Utterance(f"s{number}-u{i}", f"s{number}", frames))
        labels.append(states)
    write_shard(results / f"features/fmllr/{split}/{number:04d}", utterances, "fmllr", {"split": split})
    folder = results / f"alignments/{split}/{number:04d}"
    offsets = np.cumsum([0, *map(len, labels)])
    arrays = {"labels": np.concatenate(labels).astype(np.int32), "offsets": offsets}
    write_arrays(folder / "labels.zarr", arrays, {})
    about = {"num_pdfs": PDFS, "num_frames": int(offsets[-1]), "checksum": checksum([*arrays.values()])}
    write_json(folder / "manifest.json", about)


def make(folder: Path) -> Path:
    """Four shards of train and one of dev in `folder`/results; gives that path."""
    results = folder / "results"
    for number in range(4):
        write_aligned(results, "train", number)
    write_aligned(results, "dev", 0)
    return results


def small_config(results: Path, **training: Any) -> Config:
    """A network of a few hundred weights, twelve chunks a step."""
    return config.complete(
        {
            "results": str(results),
            "corpus": {"path": str(AN4)},  # read by nobody, but a workflow wants it to be there
            "model": {
                "preset": "demo",
                "layers": 1,
                "cells": 6,
                "bottleneck": 4,
                "subsampling": 1,
                "dropout": 0.2,
            },
            "training": {
                "epochs": 2,
                "chunk_frames": 7,
                "learning_rate": 0.5,
                "reference_batch": 12,
                **training,
            },
            "comparison": {
                "strategies": ["single", "sc-allreduce", "sd", "ad", {"strategy": "bmuf", "tau": 3}],
                "learners": [2],
                "batch": [12],
            },
        }
    )
