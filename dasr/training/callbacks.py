"""At the boundary between two steps of a real run: metrics, snapshots, checkpoints, the stop flag."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from typing import Any

from dasr.config import TrainingConfig
from dasr.errors import UserError
from dasr.learner.learner import Learner
from dasr.strategies.base import Strategy
from dasr.training import snapshots
from dasr.training.background import Background
from dasr.training.checkpoint import Checkpoints
from dasr.training.metrics import Clock, Metrics
from dasr.training.snapshots import Snapshot
from dasr.training.system import SystemUse

VOTE_SECONDS = 2.0  # synchronous learners agree this often whether to save or stop
TRAIN_RECORDS = 200  # lines of kind "train" in a whole run
SYSTEM_SECONDS = 1.0  # from one line of kind "system" to the next, at least


class RunCallbacks:
    """The Callbacks of one learner of a run. `stopped`: it left early, because all were asked to."""

    def __init__(
        self,
        config: TrainingConfig,
        epoch_samples: int,
        checkpoints: Checkpoints,
        clock: Clock,
        metrics: Metrics | None,
        stop_requested: Callable[[], bool],
        at: Callable[[int, str], None] = lambda step, doing: None,
    ):
        """`metrics`: only the learner that writes them; `at(step, doing)`: tells whoever watches."""
        self.run_dir = checkpoints.run_dir
        self.config, self.epoch_samples = config, epoch_samples
        self.checkpoints, self.clock, self.metrics = checkpoints, clock, metrics
        self.stop_requested, self._at = stop_requested, at
        self.strategy: Strategy | None = None
        self.stopped = False
        self.writer = Background()
        self.point = 0  # snapshots taken
        self._resumed_at = 0  # step
        self._system: SystemUse | None = None
        self._sampled_at = 0.0
        self._saved_at = clock.now()
        self._voted_at = (0, clock.now())  # step and time of the last vote
        self._next_vote = 0  # step

    async def on_step_boundary(self, learner: Learner, together: bool) -> bool:
        self.writer.check()
        self._report(learner)
        self._snapshot(learner, learner.samples)
        if self.stopped:
            return False
        save, stop = await self._vote(learner) if together else self._alone()
        if save or stop:
            self.save(learner)
        self.stopped = stop
        return not stop

    def at(self, step: int, doing: str) -> None:
        self._at(step, doing)

    def finish(self, learner: Learner) -> None:
        """After the last step and the last mixing: the last snapshots, and everything on disk."""
        self._snapshot(learner, learner.budget.samples)
        self.writer.drain()

    def save(self, learner: Learner) -> None:
        """Write a checkpoint of this learner as it is now. A NaN is not saved."""
        self.at(learner.steps, "checkpoint")
        learner.look_at_losses()
        assert self.strategy is not None
        state = {
            "learner": learner.state_dict(),
            "strategy": deepcopy(self.strategy.state_dict()),  # it changes while the file is written
            "accounts": asdict(learner.world.accounts),
            "seconds": self.clock.seconds(),
            "point": self.point,
            "metrics": self.metrics.position if self.metrics else 0,
        }
        self.writer.submit(partial(self.checkpoints.write, learner.steps, state))
        self._saved_at = self.clock.now()

    def restore(self, learner: Learner, state: dict[str, Any]) -> None:
        """Put learner, strategy and accounts back where `state` was saved. Raises UserError."""
        assert self.strategy is not None
        try:
            learner.load_state_dict(state["learner"])
            self.strategy.load_state_dict(state["strategy"])
        except KeyError as missing:
            folder = self.checkpoints.folder
            raise UserError(
                f"a checkpoint in {folder} has no {missing}: another version of dasr wrote it; "
                f"delete {folder.parent} to train anew, or go on with that version"
            ) from None
        for name, value in state["accounts"].items():
            setattr(learner.world.accounts, name, value)
        self.clock.before = state["seconds"]
        self.point = state["point"]
        self._voted_at = (learner.steps, self.clock.now())
        self._next_vote = self._resumed_at = learner.steps

    def _report(self, learner: Learner) -> None:
        if self.metrics is None or learner.steps <= self._resumed_at:
            return
        if learner.steps % max(1, learner.budget.steps // TRAIN_RECORDS) == 0:
            self.metrics.write(
                "train",
                step=learner.steps,
                samples=learner.samples,
                of=learner.budget.samples,
                seconds=self.clock.seconds(),
                loss=learner.mean_loss(),
                learning_rate=learner.learning_rate(),
            )
            self._report_system(learner, self.metrics)

    def _report_system(self, learner: Learner, metrics: Metrics) -> None:
        if self._system is None:  # percentages are of the time since the sample before
            self._system, self._sampled_at = SystemUse(str(learner.weights.device)), self.clock.now()
        if self.clock.now() - self._sampled_at < SYSTEM_SECONDS:
            return
        self._sampled_at = self.clock.now()
        place = {"samples": learner.samples, "seconds": self.clock.seconds()}
        metrics.write("system", **place, **self._system.sample())

    def _snapshot(self, learner: Learner, samples: int) -> None:
        """Take the snapshots whose points have been reached: a copy now, the file later."""
        reached = self.config.snapshots * samples // learner.budget.samples
        if reached <= self.point:
            return
        copy = learner.copy()
        for point in range(self.point + 1, reached + 1):
            snapshot = Snapshot(
                weights=copy,
                rank=learner.world.rank,
                samples=samples,
                seconds=self.clock.seconds(),
                epochs=samples / self.epoch_samples,
            )
            self.writer.submit(partial(snapshots.write, self.run_dir, point, snapshot))
        self.point = reached

    def _due(self) -> bool:
        return self.clock.now() - self._saved_at >= self.config.checkpoint_seconds

    def _alone(self) -> tuple[bool, bool]:
        return self._due(), self.stop_requested()

    async def _vote(self, learner: Learner) -> tuple[bool, bool]:
        """Agree with all learners (save, stop), every VOTE_SECONDS or so: if one wants to, all do."""
        if learner.steps < self._next_vote:
            return False, False
        step, since = self._voted_at
        now = self.clock.now()
        pace = (learner.steps - step) / max(now - since, 1e-3)  # steps a second
        steps = float(max(1, round(pace * VOTE_SECONDS)))  # until the next vote
        self.at(learner.steps, "wait")
        call = await learner.world.roll_call(not self.stop_requested(), steps, float(not self._due()))
        fewest_steps, none_due = call.smallest
        self._voted_at = (learner.steps, now)
        self._next_vote = learner.steps + int(fewest_steps)
        return not none_due, not call.unanimous
