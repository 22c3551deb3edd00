"""A small corpus of utterances with transcripts, as the stages before training leave it for CTC."""

from pathlib import Path
from typing import Any

import numpy as np

from dasr import config
from dasr.config import Config
from dasr.features.store import Utterance, write_shard

DIM = 10
WORDS = ("AB", "BA", "CAB")


def write_split(results: Path, split: str, shard: int, utterances: int = 9) -> None:
    """Each character lasts for 6 to 9 frames, and has a mean of its own."""
    draw = np.random.default_rng([shard, len(split)])
    means = {c: np.random.default_rng(ord(c)).normal(size=DIM) * 2 for c in "ABC"}
    found, texts = [], []
    for i in range(utterances):
        words = draw.choice(WORDS, size=draw.integers(2, 6)).tolist()
        parts = [np.tile(np.zeros(DIM), (3, 1))]
        for word in words:
            parts += [np.tile(means[c], (int(draw.integers(6, 10)), 1)) for c in word]
            parts.append(np.zeros((int(draw.integers(3, 6)), DIM)))
        frames = np.concatenate(parts)
        name = f"s{shard}-u{i}"
        found.append(Utterance(name, f"s{shard}", frames + 0.3 * draw.normal(size=frames.shape)))
        texts.append(f"{name} {' '.join(words)}\n")
    write_shard(results / f"features/fbank/{split}/{shard:04d}", found, "fbank", {"split": split})
    folder = results / f"corpus/{split}/shards/{shard:04d}"
    folder.mkdir(parents=True)
    (folder / "text").write_text("".join(texts))
    with open(results / f"corpus/{split}/text", "a") as whole:
        whole.write("".join(texts))


def make(folder: Path) -> Path:
    """Two shards of train, one of dev, a lexicon; gives the results folder."""
    results = folder / "results"
    for split, shard in (("train", 0), ("train", 1), ("dev", 0)):
        write_split(results, split, shard)
    lang = results / "corpus/lang"
    lang.mkdir()
    lexicon = "".join(f"{word} {' '.join(word)}\n" for word in WORDS)
    (lang / "lexicon.txt").write_text(lexicon + "<sil> SIL\n")
    return results


def ctc_config(results: Path, **training: Any) -> Config:
    return config.complete(
        {
            "results": str(results),
            "features": {"kind": "fbank", "bins": DIM, "shards": {"train": 2}},
            "model": {"kind": "conformer", "options": {"layers": 1, "width": 16, "heads": 2, "dropout": 0.0}},
            "training": {"criterion": "ctc", "units": "characters", **training},
            "comparison": {"strategies": ["sc-allreduce"], "learners": [2], "batch": [6]},
        }
    )
