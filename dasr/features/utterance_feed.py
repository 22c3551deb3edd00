"""Whole utterances for a learner: batches of one of a dozen padded shapes, in the order of an EpochPlan.

One thread reads the next pool's shards and gathers batches ahead of the learner. The feed never ends. Its
state is (epoch, batches of the epoch that were given), so a resumed feed goes on bit for bit. In memory: two
pools of shards, a few batches, and some numbers a shard, however large the corpus.

With `stretch` each utterance is played as recorded, or faster or slower by that fraction (speed perturbation,
Ko et al. 2015), as drawn from (seed, epoch, pool): all learners know all lengths. The training device
interpolates.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dasr.errors import UserError
from dasr.features.ahead import Ahead, leave_openmp_to_learner
from dasr.features.epochs import Buckets, EpochPlan, Place, padded_lengths
from dasr.features.store import Shard

LONGEST = 1 << 17  # frames of an utterance: 22 minutes
Labels = NDArray[np.int32]
Positions = NDArray[np.float64]


class Targets(Protocol):
    """What an utterance should give: labels of frames, or units."""

    def of_shard(self, index: int, shard: Shard) -> list[Labels | str]:
        """Of each utterance int32 [n], or why it cannot be trained on."""
        ...

    def weight(self, frames: int, target: Labels) -> int:
        """How many terms of the loss an utterance has."""
        ...

    def width(self, frames: int) -> int:
        """Places for the target of an utterance that is padded to `frames`."""
        ...

    def fewest(self, target: Labels) -> int:
        """How many frames an utterance with that target needs."""
        ...

    def moved(self, target: Labels, positions: Positions) -> Labels:
        """The target of an utterance played at another speed: frame n is what was at positions[n]."""
        ...


class UtteranceBatch(NamedTuple):
    """frames: float16 [batch, T + 2 * context, dim], as stored, first and last frame of an utterance
    repeated; mean, istd: float32 [batch, dim] of the speakers; lengths: int64 [batch], 0 in an empty place;
    targets: int32 [batch, width], -1 beyond target_lengths, int64 [batch].

    Where the speed is varied, frames are as recorded, [batch, longest, dim], and positions, float32 [batch,
    T + 2 * context], says where in them each frame is to be read; else positions is [batch, 0].
    """

    frames: Tensor
    mean: Tensor
    istd: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    positions: Tensor


@dataclass(frozen=True)
class Share:
    """Who takes how much: utterances in one learner's batch, this learner, all learners, the order's seed."""

    batch: int
    rank: int
    size: int
    seed: int


class UtteranceFeed:
    """`next`, `state_dict`, `load_state_dict`, `close`, as Feed; `rejected`: utterances without a usable
    target.

    Reads offsets and targets of all shards once, to choose the padded lengths. Raises UserError."""

    def __init__(
        self,
        shards: Sequence[Path],
        targets: Targets,
        share: Share,
        *,
        buckets: Buckets = "aligned",
        context: int = 0,
        multiple: int = 1,
        stretch: float = 0.0,
    ) -> None:
        """`context`: frames on either side that the front end needs; padded lengths are multiples of
        `multiple`."""
        self.speeds = (1.0, 1.0 - stretch, 1.0 + stretch) if stretch else (1.0,)
        self.batch, self.rank, self.context = share.batch, share.rank, context
        self.pin = torch.cuda.is_available()  # so that `.to(device, non_blocking=True)` overlaps
        self.shards, self.targets = list(shards), targets
        survey = _Survey(self.shards, targets)
        self.dim, self.rejected = survey.dim, survey.rejected
        self.num_samples = int(survey.counts.sum())  # utterances of all learners in an epoch
        if not self.num_samples:
            raise UserError(
                f"no utterance can be trained on; the first of {len(self.rejected)}: {survey.first}"
            )
        self.frames_a_sample = survey.frames / self.num_samples
        self.normaliser = share.batch * survey.weight / self.num_samples  # terms of the loss in a batch
        frames = padded_lengths(_at_speeds(survey.lengths, self.speeds), multiple=multiple)
        self.plan = EpochPlan(survey.counts, frames, share.batch, share.size, share.seed, buckets)
        for pool in self.plan.pools(0):
            self.plan.steps(pool)  # complains
        self._epoch, self._position = 0, 0
        self._names: list[str] = []
        self._ahead: Ahead[tuple[UtteranceBatch, list[str], int, int]] | None = None

    def next(self) -> UtteranceBatch:
        """The next batch. Raises UserError if a shard turns out to be truncated or corrupt."""
        if self._ahead is None:
            begin = partial(leave_openmp_to_learner, self.pin)
            self._ahead = Ahead(self._batches(self._epoch, self._position), begin)
        batch, self._names, self._epoch, self._position = self._ahead.get()
        return batch

    def describe(self) -> str:
        """Which utterances the last batch held."""
        return f"of utterances {', '.join(self._names)} in epoch {self._epoch}"

    def blank(self, frames: int) -> UtteranceBatch:
        """A batch of zeros of that padded length, all of which counts."""
        size, width = self.batch, self.targets.width(frames)
        speaker = torch.zeros(size, self.dim)
        lengths, none = torch.full((size,), frames), torch.zeros(size, dtype=torch.int64)
        values = torch.zeros(size, self._recorded(frames), self.dim, dtype=torch.float16)
        targets = torch.full((size, width), -1, dtype=torch.int32)
        positions = torch.zeros(size, self._read_at(frames))
        return UtteranceBatch(values, speaker, speaker, lengths, targets, none, positions)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "position": self._position, "order": self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as if never stopped. Raises UserError for a position in other data or of another learner."""
        for key, value in self._identity().items():
            if state["order"].get(key) != value:
                was = state["order"].get(key)
                raise UserError(
                    f"the checkpoint's position in the data does not fit: {key} was {was} and is now {value}"
                )
        self.close()
        self._epoch, self._position = int(state["epoch"]), int(state["position"])

    def close(self) -> None:
        """Stop reading ahead; the position stays, and `next` goes on from there."""
        if self._ahead is not None:
            self._ahead.stop()
            self._ahead = None

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # where __init__ raised
            self.close()

    def _identity(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "rank": self.rank,
            "learners": plan.learners,
            "seed": plan.seed,
            "batch": plan.batch,
            "utterances": self.num_samples,
            "buckets": plan.buckets,
        }

    def _batches(self, epoch: int, position: int) -> Iterator[tuple[UtteranceBatch, list[str], int, int]]:
        """(batch, its utterances, epoch and position after it), without end."""
        pool = None
        while True:
            done = 0
            for number, shards in enumerate(self.plan.pools(epoch)):
                steps = self.plan.steps(shards)
                if position >= done + steps:
                    done += steps
                    continue
                wanted = tuple(sorted(shards))
                if pool is None or pool.shards != wanted:
                    pool = _Pool.read(self.shards, self.targets, wanted)
                lengths = self._played(pool, epoch, number)
                places = self.plan.places(epoch, number, lengths, self.rank)
                for index, place in enumerate(places):
                    if done + index >= position:
                        names = [pool.names[row] for row in place.utterances]
                        yield self._gather(pool, place, lengths), names, epoch, done + index + 1
                done += steps
            epoch, position = epoch + 1, 0

    def _played(self, pool: _Pool, epoch: int, number: int) -> NDArray[np.int64]:
        """Lengths of the pool's utterances at the speeds of that epoch: never too short for their targets."""
        if len(self.speeds) == 1:
            return pool.lengths
        draw = np.random.default_rng([self.plan.seed, epoch, number, 1])
        lengths = _lengths_at(pool.lengths, draw.choice(self.speeds, len(pool.lengths)))
        fewest = np.array([self.targets.fewest(target) for target in pool.targets], np.int64)
        return np.maximum(lengths, np.minimum(fewest, pool.lengths))

    def _recorded(self, frames: int) -> int:
        """Frames as recorded that a batch of that padded length holds."""
        if len(self.speeds) == 1:
            return frames + 2 * self.context
        return int((frames + 1) * max(self.speeds))

    def _read_at(self, frames: int) -> int:
        """Positions of such a batch."""
        return 0 if len(self.speeds) == 1 else frames + 2 * self.context

    def _gather(self, pool: _Pool, place: Place, played: NDArray[np.int64]) -> UtteranceBatch:
        """`played`: lengths of the pool's utterances in this epoch."""
        width, context, size = place.frames, self.context, self.batch
        rows = place.utterances
        lengths, targets = torch.zeros(size, dtype=torch.int64), torch.zeros(size, dtype=torch.int64)
        lengths[: len(rows)] = torch.from_numpy(played[rows])
        # An empty place holds a frame of the pool's first utterance, which counts nowhere
        begin, recorded = np.zeros(size, np.int64), np.ones(size, np.int64)
        begin[: len(rows)], recorded[: len(rows)] = pool.begin[rows], pool.lengths[rows]
        first = -context if len(self.speeds) == 1 else 0
        index = begin[:, None] + np.arange(first, first + self._recorded(width))
        index = np.clip(index, begin[:, None], (begin + recorded - 1)[:, None])
        positions = torch.zeros(size, self._read_at(width))
        units = torch.full((size, self.targets.width(width)), -1, dtype=torch.int32)
        for row, utterance in enumerate(rows):
            target = pool.targets[utterance]
            if len(self.speeds) > 1:
                where = _positions(width, context, int(recorded[row]), int(played[utterance]))
                positions[row] = torch.from_numpy(where)
                target = self.targets.moved(target, where[context : context + int(played[utterance])])
            units[row, : len(target)] = torch.from_numpy(target)
            targets[row] = len(target)
        speaker = np.zeros(size, np.int64)
        speaker[: len(rows)] = pool.speaker[rows]
        frames, who = pool.frames[torch.from_numpy(index)], torch.from_numpy(speaker)
        batch = UtteranceBatch(frames, pool.mean[who], pool.istd[who], lengths, units, targets, positions)
        return UtteranceBatch(*(part.pin_memory() for part in batch)) if self.pin else batch


def _lengths_at(lengths: NDArray[np.int64], speeds: NDArray[np.float64] | float) -> NDArray[np.int64]:
    """Frames of utterances that are played at those speeds."""
    return np.maximum(1, np.rint(lengths / speeds)).astype(np.int64)


def _at_speeds(counts: NDArray[np.int64], speeds: Sequence[float]) -> NDArray[np.int64]:
    """How many utterances have length i, [longest + 1], where each is played at each speed."""
    there = np.flatnonzero(counts)
    played = np.concatenate([_lengths_at(there, speed) for speed in speeds])
    return np.bincount(played, np.tile(counts[there], len(speeds))).astype(np.int64)


def _positions(width: int, context: int, recorded: int, played: int) -> Positions:
    """Where in an utterance of `recorded` frames each of [width + 2 * context] frames is to be read when it
    is played with `played` frames."""
    frames = np.arange(-context, width + context)
    return np.clip((frames + 0.5) * (recorded / played) - 0.5, 0, recorded - 1)


class _Survey:
    """One pass over all shards: numbers a shard, and a histogram of lengths."""

    def __init__(self, shards: Sequence[Path], targets: Targets) -> None:
        if not shards:
            raise UserError("no feature shards were given")
        self.counts = np.zeros(len(shards), np.int64)
        self.lengths = np.zeros(LONGEST + 1, np.int64)
        self.frames = self.weight = self.dim = 0
        self.rejected: dict[str, str] = {}
        self.first = ""
        for index, folder in enumerate(shards):
            shard = Shard.open(folder)
            if self.dim and shard.dim != self.dim:
                raise UserError(f"{folder} has {shard.dim} dimensions, the shards before it {self.dim}")
            self.dim = shard.dim
            for name, frames, target in _utterances(shard, targets.of_shard(index, shard)):
                if isinstance(target, str):
                    self.rejected[name] = target
                    self.first = self.first or f"{name}: {target}"
                    continue
                self.counts[index] += 1
                self.lengths[frames] += 1
                self.frames += frames
                self.weight += targets.weight(frames, target)


def _utterances(shard: Shard, targets: list[Labels | str]) -> Iterator[tuple[str, int, Labels | str]]:
    """(id, frames, target or what is wrong) of each utterance of a shard."""
    lengths = np.diff(shard.offsets).tolist()
    for name, frames, target in zip(shard.utterances, lengths, targets, strict=True):
        too_long = f"it has {frames} frames, more than {LONGEST}"
        yield name, frames, target if frames <= LONGEST or isinstance(target, str) else too_long


@dataclass(frozen=True, eq=False)
class _Pool:
    """Shards in memory, with their usable utterances one after another."""

    shards: tuple[int, ...]
    frames: Tensor  # float16 [num_frames, dim]
    mean: Tensor
    istd: Tensor
    names: list[str]
    begin: NDArray[np.int64]
    lengths: NDArray[np.int64]
    speaker: NDArray[np.int64]
    targets: list[Labels]

    @classmethod
    def read(cls, folders: Sequence[Path], targets: Targets, shards: tuple[int, ...]) -> _Pool:
        frames, means, istds, names, rows, labels = [], [], [], [], [], []
        base = speakers = 0
        for index in shards:
            shard = Shard.open(folders[index])
            for number, (name, length, target) in enumerate(
                _utterances(shard, targets.of_shard(index, shard))
            ):
                if isinstance(target, str):
                    continue
                names.append(name)
                labels.append(target)
                rows.append(
                    (base + int(shard.offsets[number]), length, speakers + int(shard.speaker_of[number]))
                )
            frames.append(torch.from_numpy(shard.read_frames()))
            means.append(torch.from_numpy(shard.speaker_mean))
            istds.append(torch.from_numpy(shard.speaker_istd))
            base, speakers = base + shard.num_frames, speakers + len(shard.speakers)
        begin, lengths, speaker = np.array(rows, np.int64).reshape(-1, 3).T
        return cls(
            shards,
            torch.cat(frames),
            torch.cat(means),
            torch.cat(istds),
            names,
            begin,
            lengths,
            speaker,
            labels,
        )
