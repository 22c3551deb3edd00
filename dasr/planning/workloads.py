"""What simulated learners can train: a noisy quadratic, or the acoustic model on the corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dasr.learner import recipe
from dasr.planning.simulate import MakeOptimizer, Workload, plain_sgd
from dasr.tasks.task import Quadratic, Task
from dasr.worlds.interface import World

if TYPE_CHECKING:
    from dasr.config import Config
    from dasr.tasks.setup import Data

LOSS = {"quadratic": "excess loss", "corpus": "held-out cross-entropy (nats a frame)"}
"""What `evaluate` gives, for the figure."""


def quadratic(rate: float = 0.1, parameters: int = 64, dimension: int = 64) -> Workload:
    """f(w) = E|w - t|^2 / 2 with targets t around 0: its excess loss is |w|^2 / 2.

    On the wire it is as large as a model of `parameters`."""

    def task(world: World, batch: int, seed: int) -> Task:
        place = {"rank": world.rank, "size": world.size}
        return Quadratic(dimension, batch=batch, seed=seed, dtype=torch.float32, **place)

    def evaluate(weights: Tensor) -> float:
        return float(weights.square().sum() / 2)

    scale = max(1, round(parameters / dimension))
    return Workload(task, bytes_scale=scale, evaluate=evaluate, recipe=plain_sgd(rate))


def corpus(
    config_path: Path | str,
    batch: int,
    seed: int,
    utterances: int = 100,
    device: str = "cpu",
    changes: Mapping[str, Any] | None = None,
) -> Workload:
    """The configured model on the configured corpus; cross-entropy on `utterances` of dev. Raises UserError.

    `device`: cpu, or cuda: then all learners share one GPU, and the model computes as `dasr train` does there
    (bfloat16). The stages before training must have run; schedule and sizes are those of the config's
    `training`, with `changes` (keys that an entry of comparison.strategies may have)."""
    from dasr import config as configuration
    from dasr.cuda import streams
    from dasr.features.utterance_feed import Share
    from dasr.tasks import setup
    from dasr.training import heldout, plan

    if device != "cpu":
        streams.allow_many()
    config = configuration.load(config_path)
    training = config.training
    train = setup.data_of(config, "train")
    held_out = heldout.of_split(config, "dev", utterances, device)
    samples = _samples(config, train)

    def task(world: World, batch: int, seed: int) -> Task:
        model = train.model(config)
        share = Share(batch // world.size, world.rank, world.size, seed)
        feed = setup.feed_of(config, train, model, share, torch.device(device))
        return setup.task_of(config, model, feed, share, device, alone=False)

    def evaluate(weights: Tensor) -> float:
        return held_out.score(weights)[0]

    def recipe_of(strategy: str, learners: int) -> tuple[Callable[[int], float], MakeOptimizer]:
        own = recipe.training_of(training, strategy, changes)
        return plan.rates(own, samples, batch), recipe.optimizer_of(own, strategy, batch, learners)

    average = (changes or {}).get("average", training.average)
    in_points = round(average * Workload.points / training.snapshots)  # the same part of the budget
    return Workload(
        task,
        evaluate=evaluate,
        recipe=recipe_of,
        device=device,
        average=1 if average == 1 else max(1, in_points),
    )


def samples_of(config: Config) -> int:
    """Samples in an epoch of train. Raises UserError naming the stage to run."""
    from dasr.tasks import setup

    return _samples(config, setup.data_of(config, "train"))


def _samples(config: Config, train: Data) -> int:
    from dasr.features.utterance_feed import Share
    from dasr.tasks import setup

    return setup.feed_of(config, train, train.model(config), Share(1, 0, 1, 0)).num_samples
