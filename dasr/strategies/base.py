"""What every strategy shares: the learner that it drives, the loop over steps, the state in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dasr.strategies.learner import Learner


class Strategy:
    """A distributed SGD algorithm. A subclass says what a learner does besides computing gradients.

    Options are the keyword arguments of `__init__`, all with annotations and defaults; the registry checks
    the values that users give against the annotations. With `**options` a constructor passes what it does
    not name to its base class or, in a direct subclass of Strategy, to an inner strategy."""

    name: ClassVar[str]  # the id that users type
    asynchronous: ClassVar[bool] = False  # no step has a barrier; a lost learner does not end the run
    replaceable: ClassVar[bool] = False  # a new process may take a lost learner's place during the run
    # Option -> where its default is from; those of base classes count too
    sources: ClassVar[Mapping[str, str]] = {"compression": "none, as in each paper", "seed": "arbitrary"}
    optimizer: ClassVar[str | None] = None  # the one that the algorithm is defined with; None: the config's
    # Its learning rate, where the config's is meant for another optimizer
    learning_rate: ClassVar[float | None] = None
    averages_gradients: ClassVar[bool] = False  # an update is made with the mean gradient of all learners

    def __init__(self, learner: Learner):
        self.learner = learner
        self.world = learner.world

    async def run(self) -> None:
        """All steps of this learner. Synchronous strategies override `step`, asynchronous ones `run`."""
        while await self.learner.begin_step():
            await self.step()
        await self.finish()

    async def step(self) -> None:
        """One step of a synchronous strategy. Learner.step() is the local one, w - a g(w)."""
        raise TypeError(f"strategy '{self.name}' defines neither step() nor run()")

    async def finish(self) -> None:
        """Set `weights` to the model to be evaluated, where the strategy keeps another vector in them.

        Called after the last step, and after a request to stop too: then the checkpoint has been taken, what
        this changes is dropped with the process, and the time that it takes is part of the grace period."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, besides the learner's own state: for checkpoints."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state:
            raise ValueError(f"strategy '{self.name}' keeps no state, but was given {sorted(state)}")
