"""What simulated learners can train: a noisy quadratic, or the acoustic model on the corpus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dasr.learner import recipe
from dasr.learner.optimizer import Optimizer
from dasr.planning.simulate import MakeTask
from dasr.tasks.task import Quadratic, Task
from dasr.worlds.interface import World

MakeOptimizer = Callable[[Tensor], Optimizer]

LOSS = {"quadratic": "excess loss", "corpus": "held-out cross-entropy (nats a frame)"}
"""What `evaluate` gives, for the figure."""


@dataclass(frozen=True)
class Workload:
    """A task for each learner, the loss of a model outside virtual time, the learning rate over samples."""

    task: MakeTask
    evaluate: Callable[[Tensor], float]
    schedule: Callable[[int], float]
    bytes_scale: int = 1  # parameters on the wire that each one of the task stands for
    momentum: float = 0.0
    clip: float | None = None  # longest gradient that is applied as it is
    # (strategy, learners) -> schedule and optimizer where they depend on these, as in a real run
    recipe: Callable[[str, int], tuple[Callable[[int], float], MakeOptimizer]] | None = None


def quadratic(rate: float = 0.1, parameters: int = 64, dimension: int = 64) -> Workload:
    """f(w) = E|w - t|^2 / 2 with targets t around 0: its excess loss is |w|^2 / 2.

    On the wire it is as large as a model of `parameters`."""

    def task(world: World, batch: int, seed: int) -> Task:
        place = {"rank": world.rank, "size": world.size}
        return Quadratic(dimension, batch=batch, seed=seed, dtype=torch.float32, **place)

    def evaluate(weights: Tensor) -> float:
        return float(weights.square().sum() / 2)

    scale = max(1, round(parameters / dimension))
    return Workload(task, evaluate, lambda samples: rate, scale)


def corpus(
    config_path: Path | str, batch: int, seed: int, utterances: int = 100, device: str = "cpu"
) -> Workload:
    """The configured model on the configured corpus; cross-entropy on `utterances` of dev. Raises UserError.

    The stages before training must have run; schedule and sizes are those of the config's `training`."""
    from dasr import config as configuration
    from dasr.features.utterance_feed import Share
    from dasr.tasks import setup
    from dasr.training import heldout, plan

    config = configuration.load(config_path)
    training = config.training
    train = setup.data_of(config, "train")
    held_out = heldout.of_split(config, "dev", utterances)
    samples = setup.feed_of(config, train, train.model(config), Share(1, 0, 1, seed)).num_samples

    def task(world: World, batch: int, seed: int) -> Task:
        model = train.model(config)
        share = Share(batch // world.size, world.rank, world.size, seed)
        feed = setup.feed_of(config, train, model, share)
        return setup.task_of(config, model, feed, share, device)

    def evaluate(weights: Tensor) -> float:
        return held_out.score(weights)[0]

    def recipe_of(strategy: str, learners: int) -> tuple[Callable[[int], float], MakeOptimizer]:
        own = recipe.training_of(training, strategy)
        return plan.rates(own, samples, batch), recipe.optimizer_of(own, strategy, batch, learners)

    rates = plan.rates(training, samples, batch)
    return Workload(task, evaluate, rates, momentum=training.momentum, clip=training.clip, recipe=recipe_of)
