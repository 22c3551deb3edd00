"""From the configuration to what a learner computes: its data, its feed, its task."""

from __future__ import annotations

import logging

import torch

from dasr.config import Config
from dasr.errors import UserError
from dasr.features.feed import Feed
from dasr.features.pool import CPU
from dasr.features.utterance_feed import Share, UtteranceFeed
from dasr.models.acoustic import AcousticModel
from dasr.tasks.autograd_task import AutogradTask
from dasr.tasks.captured_task import CapturedTask
from dasr.tasks.data import AlignedShards
from dasr.tasks.targets import AlignedTargets
from dasr.tasks.transcribed import TranscribedShards
from dasr.tasks.utterance_task import UtteranceTask

logger = logging.getLogger(__name__)

Data = AlignedShards | TranscribedShards
AcousticTask = AutogradTask | CapturedTask | UtteranceTask


def data_of(config: Config, split: str) -> Data:
    """The split with what its utterances should give. Raises UserError naming the stage to run."""
    kind = TranscribedShards if config.training.criterion == "ctc" else AlignedShards
    return kind.of(config, split)


def feed_of(
    config: Config, data: Data, model: AcousticModel, share: Share, device: torch.device = CPU
) -> Feed | UtteranceFeed:
    """The learner's batches: chunks, or whole utterances. Chunks are gathered on `device`, if that is a GPU,
    from one copy of the split for all learners of this process. Raises UserError."""
    training = config.training
    if isinstance(data, TranscribedShards):
        feed = data.feed(config, model, share)
    elif training.whole_utterances:
        feed = UtteranceFeed(
            data.features,
            AlignedTargets(data.alignments, model.subsampling),
            share,
            buckets=training.buckets,
            stretch=training.augment.stretch,
            context=model.config.margin,
            multiple=model.subsampling,
        )
    else:
        place = (training.chunk_frames, share.batch, share.rank, share.size, share.seed)
        return data.feed(model, *place, device=device)
    _look_at_rejected(feed, config.corpus.max_bad_fraction, share.rank)
    return feed


def _look_at_rejected(feed: UtteranceFeed, most: float, rank: int) -> None:
    rejected, total = feed.rejected, feed.num_samples + len(feed.rejected)
    if not rejected:
        return
    name, why = next(iter(rejected.items()))
    told = f"{len(rejected)} of {total} utterances of train cannot be trained on; the first: {name}: {why}"
    if len(rejected) > max(1, most * total):
        raise UserError(f"{told}. More than corpus.max_bad_fraction allows")
    if rank == 0:
        logger.info(f"rejected: {told}")


def task_of(
    config: Config,
    model: AcousticModel,
    feed: Feed | UtteranceFeed,
    share: Share,
    device: str,
    alone: bool = True,
) -> AcousticTask:
    """The gradient of the configured criterion: on a GPU captured, in bfloat16. `alone`: no other learner
    computes on that GPU."""
    training = config.training
    place = (share.seed, share.rank, device, training.augment)
    if device.startswith("cuda"):
        kind = getattr(torch, training.gradients)
        return CapturedTask(
            model, feed, *place, criterion=training.criterion, gradient_dtype=kind, alone=alone
        )
    if isinstance(feed, Feed):
        return AutogradTask(model, feed, *place)
    return UtteranceTask(model, feed, training.criterion, *place)
