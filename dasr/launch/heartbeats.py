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


@dataclass(frozen=True)
class Hung:
    rank: int
    reason: str


class HeartbeatMonitor:
    """Signs of life of a generation of learners."""

    SLACK_S = 3.0  # those who wait for a hung learner stop a little before or after it

    def __init__(self, store: Store, hang_s: float, asynchronous: bool, now: Callable[[], float]):
        """`now`: the coordinator's clock, which stands still while it does, and its learners with it."""
        self._store = store
        self._hang_s = hang_s
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
        """Whether a learner has trained its share: nobody could take its place."""
        self._listen(rank, self._now())
        return self._heartbeats[rank].doing == "finish"

    def hung(self, running: Collection[int]) -> Hung | None:
        """The learner to blame if one has stood at one place for too long."""
        now = self._now()
        for rank in running:
            self._listen(rank, now)
        heartbeats = {rank: self._heartbeats[rank] for rank in running}
        still = {
            r: p for r, p in heartbeats.items() if now - min(p.arrived, p.spoke) > self._hang_s - self.SLACK_S
        }
        if self._asynchronous and any(rank not in still for rank in heartbeats):
            # learners that have done their share wait for slower ones as long as those move
            still = {r: p for r, p in still.items() if p.doing != "wait" or self._frozen(p, now)}
        if not any(now - min(p.arrived, p.spoke) > self._hang_s for p in still.values()):
            return None
        rank, heartbeat = min(still.items(), key=lambda item: self._blame_order(item[1], now))
        if self._frozen(heartbeat, now):
            return Hung(
                rank, f"hangs: no sign of life for {now - heartbeat.spoke:.0f} s (step {heartbeat.step})"
            )
        return Hung(
            rank,
            f"hangs: in '{heartbeat.doing}' at step {heartbeat.step} for {now - heartbeat.arrived:.0f} s",
        )

    def _frozen(self, heartbeat: Heartbeat, now: float) -> bool:
        return now - heartbeat.spoke > self._hang_s - self.SLACK_S

    def _blame_order(self, heartbeat: Heartbeat, now: float) -> tuple[bool, bool, int]:
        return not self._frozen(heartbeat, now), heartbeat.doing == "wait", heartbeat.step

    def _listen(self, rank: int, now: float) -> None:
        key = heartbeat_key(rank)
        if not self._store.check([key]):
            return
        given = json.loads(self._store.get(key))
        heartbeat = self._heartbeats[rank]
        if given["beat"] != heartbeat.beat:
            heartbeat.beat, heartbeat.spoke = given["beat"], now
        if (given["step"], given["doing"]) != (heartbeat.step, heartbeat.doing):
            heartbeat.step, heartbeat.doing, heartbeat.arrived = given["step"], given["doing"], now
