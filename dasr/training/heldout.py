"""Held-out loss of the consensus model, and how far apart the learners are, at every snapshot of a run."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from dasr import checksums
from dasr.config import Config
from dasr.criteria import totals
from dasr.errors import UserError
from dasr.models.acoustic import AcousticModel
from dasr.models.flat import FlatModule
from dasr.progress import progress
from dasr.tasks import setup as tasks
from dasr.training import snapshots
from dasr.training.snapshots import Snapshot

FILE = "heldout.jsonl"


class HeldOut:
    """Scores flat weights on the utterances of a held-out split."""

    def __init__(self, model: AcousticModel, utterances: Sequence[tuple[Tensor, Tensor]]):
        """`utterances`: normalised frames float32 [T, dim] and labels int64 [T], -1 where not counted."""
        self.model = model
        step = model.subsampling
        self.frames = [frames for frames, _ in utterances]
        self.labels = [labels[step // 2 :: step] for _, labels in utterances]
        self.flat = FlatModule(model)
        self.priors_loss: float | None = _entropy(torch.cat(self.labels))

    def score(self, weights: Tensor) -> tuple[float, float]:
        """Mean cross-entropy (nats), frame accuracy: groups as in training, windows as in decoding."""
        self.flat.weights.copy_(weights)
        loss, right, count = 0.0, 0, 0
        posteriors = self.model.log_posteriors_of_groups(self.frames)
        for scores, labels in zip(posteriors, self.labels, strict=True):
            loss += float(functional.nll_loss(scores, labels, ignore_index=-1, reduction="sum"))
            right += int((scores.argmax(dim=1) == labels).sum())
            count += int((labels >= 0).sum())
        return loss / count, right / count


class HeldOutUnits:
    """Scores flat weights by CTC on the utterances of a held-out split."""

    def __init__(self, model: AcousticModel, utterances: Sequence[tuple[Tensor, Tensor]]):
        """`utterances`: normalised frames float32 [T, dim] and units int64 [S]."""
        self.model, self.utterances = model, utterances
        self.flat = FlatModule(model)
        self.priors_loss: float | None = None

    def score(self, weights: Tensor) -> tuple[float, float]:
        """CTC loss a unit (nats); fraction of units that the most probable outputs spell without an error."""
        from kaldialign import edit_distance

        self.flat.weights.copy_(weights)
        loss, wrong, count = 0.0, 0, 0
        for frames, units in self.utterances:
            scores = self.model.whole(frames)
            lengths = torch.tensor([len(scores)]), torch.tensor([len(units)])
            loss += float(totals.ctc(scores[None], lengths[0], units[None], lengths[1]))
            wrong += edit_distance(units.tolist(), totals.greedy(scores))["total"]
            count += len(units)
        return loss / count, max(0.0, 1 - wrong / count)


class Scorer(Protocol):
    """Scores flat weights: (loss, fraction that is right)."""

    model: AcousticModel
    flat: FlatModule
    priors_loss: float | None  # the loss of guessing by the labels' frequencies, whatever is heard

    def score(self, weights: Tensor) -> tuple[float, float]: ...


def _entropy(labels: Tensor) -> float:
    """Cross-entropy of labels (-1: not counted) under their own frequencies, nats."""
    shares = torch.bincount(labels[labels >= 0]).double()
    return float(torch.special.entr(shares / shares.sum()).sum())


def initial_loss(held_out: Scorer, seed: int) -> float:
    """The loss of the weights that a run of that seed begins with."""
    held_out.model.initialise(seed)
    return held_out.score(held_out.flat.weights.clone())[0]


def of_split(config: Config, split: str, most: int | None = None, device: str = "cpu") -> Scorer:
    """What scores weights on (the first) utterances of a split, by the run's criterion. `device`: where the
    network computes. Raises UserError."""
    data = tasks.data_of(config, split)
    utterances = list(itertools.islice(data.utterances(), most))
    scorer = HeldOutUnits if config.training.criterion == "ctc" else HeldOut
    return scorer(data.model(config).to(device), utterances)


def consensus(found: Sequence[Snapshot]) -> tuple[Tensor, float]:
    """The mean of the learners' weights, and their mean squared distance to it: (1/L) sum |w_l - mean|^2."""
    stacked = torch.stack([snapshot.weights for snapshot in found]).double()
    mean = stacked.mean(0)
    return mean.float(), float((stacked - mean).square().sum(1).mean())


def record(held_out: Scorer, found: Sequence[Snapshot], earlier: Sequence[Tensor] = ()) -> dict[str, Any]:
    """One line of heldout.jsonl from all learners' snapshots of one point. What is evaluated is the mean of
    their consensus model and those of `earlier` points."""
    mean, distance = consensus(found)
    evaluated = torch.stack([*earlier, mean]).double().mean(0).float() if earlier else mean
    ce, accuracy = held_out.score(evaluated)
    # Where all learners hold the same weights there is nothing to tell apart.
    alike = distance == 0 and not earlier
    local = [ce] if alike else [held_out.score(snapshot.weights)[0] for snapshot in found]
    return {
        "kind": "heldout",
        "samples": found[0].samples,
        "seconds": max(snapshot.seconds for snapshot in found),
        "epochs": found[0].epochs,
        "ce": ce,
        "frame_accuracy": accuracy,
        "consensus_distance": distance,
        "local_ce_min": min(local),
        "local_ce_mean": sum(local) / len(local),
        "local_ce_max": max(local),
    }


def evaluate(held_out: Scorer, run_dir: Path, seed: int, average: int = 1) -> None:
    """Write heldout.jsonl of a run of that seed, a line a snapshot: of the mean of the last `average` ones.
    In each line two losses that a run which has learned something is below. Raises UserError if there are no
    snapshots."""
    points = snapshots.points(run_dir)
    if not points:
        raise UserError(f"{run_dir} has no snapshots: train it first")
    bounds = {"start_ce": initial_loss(held_out, seed), "priors_ce": held_out.priors_loss}
    lines, earlier = [], deque[Tensor](maxlen=average - 1)
    for point in progress(points, f"held-out loss of {run_dir.name}"):
        if found := snapshots.read(run_dir, point):
            lines.append(json.dumps(record(held_out, found, earlier) | bounds))
            earlier.append(consensus(found)[0])
    with checksums.sealed(run_dir / FILE) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
