"""One learner's life: data, model, strategy, resume, training, the consensus model.

dasr learner RUN     is this, in every process of a run
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from dasr.config import Config, Run
from dasr.errors import UserError
from dasr.features.utterance_feed import Share
from dasr.launch import identity
from dasr.learner import recipe
from dasr.learner.learner import Learner
from dasr.models import acoustic
from dasr.results.layout import Layout
from dasr.strategies import registry
from dasr.strategies.base import Strategy
from dasr.tasks import setup as tasks
from dasr.training import plan, snapshots
from dasr.training.callbacks import RunCallbacks
from dasr.training.checkpoint import KEPT, Checkpoints, mean_of_others
from dasr.training.metrics import Clock, Metrics, learner_record, pack, summary, unpack
from dasr.training.run_metadata import write_record
from dasr.worlds.interface import Accounts, World

logger = logging.getLogger(__name__)

STOP_REACHES_ALL_S = 2.0  # a request to stop is read once a second


def folder(config: Config, run: Run) -> Path:
    return Layout.of(config).run(run.name)


async def train(
    world: World,
    config: Config,
    run: Run,
    device: str = "cpu",
    stop_requested: Callable[[], bool] = lambda: False,
    at: Callable[[int, str], None] = lambda step, doing: None,
    replacement: bool = False,
) -> bool:
    """Train to the end of the budget and leave the consensus model in the run's folder.

    `replacement`: this learner takes the place of a lost one in a running, asynchronous run.
    False if all were asked to stop before: then a checkpoint is there to go on from. Raises UserError."""
    run_dir = folder(config, run)
    training = recipe.training_of(config.training, run.strategy, dict(run.training))
    processors = identity.computed_by(device.partition(":")[0], torch.get_num_threads())
    own = identity.of_run(config, run, processors)
    identity.check(run_dir, own)
    data = tasks.data_of(config, "train")
    model = data.model(config)
    share = Share(max(1, run.batch // world.size), world.rank, world.size, run.seed)
    feed = tasks.feed_of(config, data, model, share)
    budget = plan.budget(training, feed.num_samples, run.batch, world.size)
    task = tasks.task_of(config, model, feed, share, device)
    checkpoints = Checkpoints(run_dir, world.rank, own)
    metrics = None
    if world.rank == 0:
        write_record(run_dir, config, run)
        metrics = Metrics.append(run_dir)
    callbacks = RunCallbacks(
        training, feed.num_samples, checkpoints, Clock(world), metrics, stop_requested, at
    )
    learner = Learner(
        world,
        task,
        recipe.optimizer_of(training, run.strategy, run.batch, world.size),
        plan.rates(training, feed.num_samples, run.batch),
        budget,
        callbacks,
    )
    strategy = registry.make(run.strategy, learner, **dict(run.options))
    callbacks.strategy = strategy
    await _resume(learner, strategy, callbacks)
    if replacement and (theirs := mean_of_others(checkpoints, world.size)) is not None:
        learner.weights.copy_(theirs)
    try:
        await strategy.run()
    except UserError as error:  # NaN, as a rule
        raise UserError(f"run {run.name}: {error}") from None
    if callbacks.stopped:
        callbacks.writer.drain()
        return False
    learner.look_at_losses()
    callbacks.finish(learner)
    at(learner.steps, "finish")
    finished = await _finish(learner, callbacks, run, round(feed.frames_a_sample))
    feed.close()
    return finished


async def _resume(learner: Learner, strategy: Strategy, callbacks: RunCallbacks) -> None:
    """Go on from the newest usable checkpoint, if there is one. Synchronous learners take the same step."""
    world, checkpoints = learner.world, callbacks.checkpoints
    mine = checkpoints.sound_steps()[: KEPT + 1]
    if strategy.asynchronous:
        step = mine[0] if mine else -1
        # The shared counter is as old as the rendezvous store: a new store is told what was done before, but
        # a learner that comes back into a living run finds its batches counted.
        first_life = await world.count(f"restored/{world.rank}", 1) == 0
        if first_life and step > 0:
            await world.count("batches", step)
    else:
        padded = torch.tensor([*mine, *[-1] * (KEPT + 1 - len(mine))])
        sound = [set(steps.tolist()) for (steps,) in await world.all_gather((padded,))]
        step = max(set.intersection(*sound), default=-1)
    for name, value in asdict(Accounts()).items():  # start-up is not training
        setattr(world.accounts, name, value)
    callbacks.clock = Clock(world)
    state = checkpoints.load(step) if step >= 0 else None
    if callbacks.metrics is not None:
        callbacks.metrics.close()
        callbacks.metrics = Metrics(callbacks.run_dir, state["metrics"] if state else 0)
    if state is not None:
        callbacks.restore(learner, state)
        logger.info(f"learner {world.rank}: resumed at step {step}")


async def _finish(learner: Learner, callbacks: RunCallbacks, run: Run, sample_frames: int) -> bool:
    """Average the models of all learners that are left; the first of them writes the model and the totals.

    False if others have saved and left because all were asked to stop: without them there is no consensus."""
    world, budget = learner.world, learner.budget
    seconds = callbacks.clock.seconds()
    record = learner_record(
        world.rank, learner.steps, budget.local_batch, sample_frames, seconds, world.accounts
    )
    members = (await world.roll_call(True)).members
    if len(members) < world.size:
        await world.sleep(STOP_REACHES_ALL_S)
        call = await world.roll_call(not callbacks.stop_requested())
        if not call.unanimous:
            callbacks.save(learner)
            callbacks.writer.drain()
            return False
        members = call.members
    weights, average = learner.copy(), callbacks.config.average
    if average > 1:
        weights.copy_(snapshots.mean_of_last(callbacks.run_dir, world.rank, average))
    await world.all_reduce(weights, members)
    packed = await world.all_gather((pack(record),), members)
    if world.rank != members[0]:
        return True
    records = [unpack(part) for (part,) in packed]
    metrics = callbacks.metrics or Metrics.append(callbacks.run_dir)
    for one in records:
        metrics.write("learner", **one)
    metrics.write(
        "summary",
        strategy=run.label,
        learners=run.learners,
        batch=run.batch,
        seed=run.seed,
        samples=budget.samples,
        **summary(records, budget.samples * sample_frames),
    )
    metrics.finish()
    task = learner.task
    assert isinstance(task, tasks.AcousticTask)
    acoustic.save(
        task.finish(weights),
        callbacks.run_dir / acoustic.MODEL_FILE,
        {"run": run.name, "samples": budget.samples},
    )
    return True
