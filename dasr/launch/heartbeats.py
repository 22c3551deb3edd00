"""Heartbeats of the learners, judged by the coordinator: who stands still, and who is to blame."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasr.launch.membership import heartbeat_key

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store


@dataclass
class Heartbeat:
    """What is known of one learner: where it is since when, and when its process last spoke."""

    step: int
    doing: str
    beat: int
    arrived: float
    spoke: float
    stepped: bool = False  # it has made a step since it was started
    longest: float = 0.0  # that it has stood at one place since it began to train


@dataclass(frozen=True)
class Hung:
    rank: int
    reason: str


class HeartbeatMonitor:
    """Signs of life of a generation of learners."""

    SLACK_S = 3.0  # those who wait for a hung learner stop a little before or after it
    LONGER = 3.0  # than a learner has ever stood at one place and gone on: a large model on few cores

    def __init__(
        self,
        store: Store,
        hang_s: float,
        first_step_s: float,
        asynchronous: bool,
        now: Callable[[], float],
    ):
        """`now`: the coordinator's clock, which stands still while it does, and its learners with it.

        A learner that has stood at one place for `hang_s` hangs, but not before it has stood for LONGER times
        as long as any has stood and gone on. Before all have made a step it is `first_step_s`: learners
        import libraries, read data, compile kernels."""
        self._store = store
        self._hang_s = hang_s
        self._first_step_s = first_step_s
        self._asynchronous = asynchronous
        self._now = now
        self._heartbeats: dict[int, Heartbeat] = {}

    def expect(self, rank: int) -> None:
        """A learner is being started: from now on it should show signs of life."""
        now = self._now()
        if self._store.check([heartbeat_key(rank)]):
            self._store.delete_key(heartbeat_key(rank))  # its predecessor's
        self._heartbeats[rank] = Heartbeat(0, "start", -1, now, now)

    def finishing(self, rank: int) -> bool:
        """Whether a learner has trained its share: nobody could take its place, or join it."""
        self._listen(rank, self._now())
        return self._heartbeats[rank].doing == "finish"

    def hung(self, running: Collection[int]) -> Hung | None:
        """The learner to blame if one has stood at one place for too long."""
        now = self._now()
        for rank in running:
            self._listen(rank, now)
        heartbeats = {rank: self._heartbeats[rank] for rank in running}
        limit = self._limit(heartbeats.values())
        still = {r: p for r, p in heartbeats.items() if now - min(p.arrived, p.spoke) > limit - self.SLACK_S}
        if self._asynchronous and any(rank not in still for rank in heartbeats):
            # learners that have done their share wait for slower ones as long as those move
            still = {r: p for r, p in still.items() if p.doing != "wait" or self._frozen(p, now, limit)}
        if not any(now - min(p.arrived, p.spoke) > limit for p in still.values()):
            return None
        rank, heartbeat = min(still.items(), key=lambda item: self._blame_order(item[1], now, limit))
        if self._frozen(heartbeat, now, limit):
            return Hung(
                rank, f"hangs: no sign of life for {now - heartbeat.spoke:.0f} s (step {heartbeat.step})"
            )
        return Hung(
            rank,
            f"hangs: in '{heartbeat.doing}' at step {heartbeat.step} for {now - heartbeat.arrived:.0f} s",
        )

    def _limit(self, heartbeats: Collection[Heartbeat]) -> float:
        if not all(one.stepped for one in heartbeats):
            return self._first_step_s
        return max(self._hang_s, self.LONGER * max((one.longest for one in heartbeats), default=0.0))

    def _frozen(self, heartbeat: Heartbeat, now: float, limit: float) -> bool:
        return now - heartbeat.spoke > limit - self.SLACK_S

    def _blame_order(self, heartbeat: Heartbeat, now: float, limit: float) -> tuple[bool, bool, int]:
        return not self._frozen(heartbeat, now, limit), heartbeat.doing == "wait", heartbeat.step

    def _listen(self, rank: int, now: float) -> None:
        key = heartbeat_key(rank)
        if not self._store.check([key]):
            return
        given = json.loads(self._store.get(key))
        heartbeat = self._heartbeats[rank]
        if given["beat"] != heartbeat.beat:
            heartbeat.beat, heartbeat.spoke = given["beat"], now
        heartbeat.stepped = given["stepped"]
        if (given["step"], given["doing"]) != (heartbeat.step, heartbeat.doing):
            if heartbeat.doing != "start":
                heartbeat.longest = max(heartbeat.longest, now - heartbeat.arrived)
            heartbeat.step, heartbeat.doing, heartbeat.arrived = given["step"], given["doing"], now
