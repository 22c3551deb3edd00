"""Task 0's judge of a job: starts all learners, watches them, decides what a lost one means."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dasr.errors import UserError
from dasr.files import open_own
from dasr.launch.active_clock import ActiveClock
from dasr.launch.environment import check_interface
from dasr.launch.failures import FaultPolicy, LearnerFailure, RemoteSupervisor, cause_order
from dasr.launch.heartbeats import HeartbeatMonitor
from dasr.launch.job_record import JobRecord, Outcome
from dasr.launch.membership import (
    EXIT_DONE,
    EXIT_MISTAKE,
    EXIT_SAVED,
    STOP,
    WHERE,
    generation_prefix,
    raised_key,
    standing_key,
)
from dasr.launch.raised import Raised
from dasr.launch.rendezvous import (
    Address,
    JsonConnection,
    Message,
    host_store,
    listening_socket,
    reachable_at,
    welcome,
)
from dasr.worlds.process.authentication import SignedStore, Tampered, derive
from dasr.worlds.process.store_keys import lost_key

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

logger = logging.getLogger(__name__)

MOMENTS_S = 1.0  # in which a lost learner's end shows at the others
ANSWER_S = 10.0  # for learners, which look once a second, to say where they stand


@dataclass
class Coordinator:
    run_folder: Path
    token: str
    secret: bytes
    restart: int  # how often the cluster has requeued this job
    tasks: int
    nodes: int
    policy: FaultPolicy
    wants_requeue: Callable[[str], bool]  # by the last signal's name: is a stopped job to be queued again?
    members: dict[int, RemoteSupervisor] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    finished: set[int] = field(default_factory=set)

    async def run(self) -> Outcome:
        """Conduct the job to its end; the outcome is on disk and with all supervisors when this returns."""
        self._events: asyncio.Queue[tuple[str, int, Message]] = asyncio.Queue()
        self._generation, self._restarts, self._replacements = (
            0,
            self.policy.restarts,
            self.policy.replacements,
        )
        self._now = ActiveClock(often_s=5.0)
        self._stop_deadline = float("inf")
        self._saved = False  # a learner has saved and left
        self._started = False
        self._opened: list[Callable[[], object]] = []
        self._last_signal = ""
        self._raised: list[Raised] = []  # what has cost a restart or a replacement
        try:
            await self._open()
            outcome = await self._run_job()
        except UserError as error:
            outcome = self._failed(str(error))
        except Exception as error:
            outcome = self._failed(f"the coordinator failed: {type(error).__name__}: {error}")
        if outcome.state != "superseded":
            try:
                outcome.write(self.run_folder)
            except OSError as error:
                self._say(f"cannot write the outcome to {self.run_folder}: {error.strerror}")
        requeue = outcome.state == "stopped" and await asyncio.to_thread(
            self.wants_requeue, self._last_signal
        )
        for member in self.members.values():
            member.connection.send(do="end", state=outcome.state, reason=outcome.reason, requeue=requeue)
        for opened in self._opened:
            opened()
        return outcome

    async def _open(self) -> None:
        """Host the store, listen, and say where. The store comes first: importing torch may stop this process
        for longer than supervisors that have come would wait."""
        check_interface()
        hosts, address = reachable_at(self.nodes)
        listening, for_store = listening_socket(address), listening_socket(address)
        self._store_port = for_store.getsockname()[1]
        self._root_store = await asyncio.to_thread(host_store, for_store, self.policy.startup_s)
        server = await asyncio.start_server(self._serve, sock=listening, limit=1 << 20)
        beating = asyncio.create_task(self._beat())
        self._opened = [server.close, beating.cancel]
        self._address = Address(self.token, self.restart, hosts, listening.getsockname()[1])
        self._address.publish(self.run_folder)

    async def _beat(self) -> NoReturn:
        """Signs of life to supervisors, from the first that has come: the last may come much later."""
        while True:
            for member in self.members.values():
                member.connection.send(do="beat")
            await asyncio.sleep(1.0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = JsonConnection(reader, writer)
        hello = await welcome(connection, self.secret, self.policy.silence_s) or {}
        rank = hello.get("rank", -1)
        known = (hello.get("token"), hello.get("restart")) == (self.token, self.restart)
        if not known or rank in self.members or not 0 <= rank < self.tasks:
            await connection.close()
            return
        self.members[rank] = RemoteSupervisor(rank, int(hello["node"]), str(hello["host"]), connection)
        connection.send(do="welcome")
        with contextlib.suppress(asyncio.CancelledError):  # the job has ended; asyncio.streams would complain
            while message := await connection.receive(self.policy.silence_s):
                if "beat" not in message:
                    self._events.put_nowait((str(message.pop("event")), rank, message))
            if self._started:
                self._events.put_nowait(("gone", rank, {}))
            else:
                del self.members[rank]  # it may come again

    async def _run_job(self) -> Outcome:
        while len(self.members) < self.tasks:
            if self._now() > self.policy.startup_s:
                missing = sorted(set(range(self.tasks)) - set(self.members))
                return self._failed(
                    f"of {self.tasks} tasks, {missing} did not report within {self.policy.startup_s:.0f} s"
                )
            await asyncio.sleep(0.05)
        self._started = True
        self._start_all()
        while True:
            try:
                async with asyncio.timeout(1.0):
                    event, rank, message = await self._events.get()
                outcome = await self._handle_event(event, self.members[rank], message)
            except TimeoutError:
                outcome = await self._tick()
            if outcome:
                return outcome

    def _start_all(self) -> None:
        from torch.distributed.distributed_c10d import PrefixStore

        prefix = generation_prefix(self._generation)
        self._store: Store = PrefixStore(prefix, self._root_store)
        self._signed = SignedStore(self._store, derive(self.secret, prefix))
        self._heartbeats = HeartbeatMonitor(
            self._store, self.policy.hang_s, self.policy.first_step_s, self.policy.asynchronous, self._now
        )
        self.finished.clear()
        for member in self.members.values():
            self._start(member, replacement=False)

    def _start(self, member: RemoteSupervisor, replacement: bool) -> None:
        member.incarnation += 1
        member.kill_reason = member.standing = ""
        self.running.add(member.rank)
        self._heartbeats.expect(member.rank)
        self._store.delete_key(raised_key(member.rank))  # its predecessor's
        member.connection.send(
            do="start",
            incarnation=member.incarnation,
            generation=self._generation,
            port=self._store_port,
            nodes=[self.members[rank].node for rank in range(self.tasks)],
            replacement=replacement,
        )

    async def _tick(self) -> Outcome | None:
        """Once a second: hung learners, deadlines, are we of the past?"""
        if self._superseded():
            self._kill_all("the run folder belongs to a newer job")
            return Outcome(self.token, "superseded", "the run folder belongs to a newer job")
        if self._now() > self._stop_deadline:
            self._kill_all("it did not stop in time")
            return Outcome(self.token, "stopped", f"{sorted(self.running)} did not stop in time: killed")
        hung = self._heartbeats.hung(self.running)
        if hung and not self.members[hung.rank].kill_reason:
            member = self.members[hung.rank]
            member.kill_reason = hung.reason
            self._say(f"{member.name()} {hung.reason}")
            stands = await self._where_all_stand()
            if hung.rank in stands:
                member.standing = self._report(stands)
                member.connection.send(do="kill")
            else:  # its interpreter does not run: the stacks are in its log, and in its supervisor's report
                self._say(self._report(stands))
                member.connection.send(do="abort")
        return None

    async def _where_all_stand(self) -> dict[int, list[str]]:
        """What each learner that still runs says when it is asked, a line for each activity."""
        self._signed.set(WHERE, question := str(self._now()))
        asked, stands = self._now(), dict[int, list[str]]()
        while self.running - stands.keys() and self._now() - asked < ANSWER_S:
            await asyncio.sleep(0.1)
            for rank in self.running - stands.keys():
                with contextlib.suppress(Tampered, ValueError, TypeError):
                    answered, lines = json.loads(self._signed.get(standing_key(rank)) or "[0, 0]")
                    if answered == question:
                        stands[rank] = lines
        return stands

    def _report(self, stands: dict[int, list[str]]) -> str:
        lines = []
        for rank in sorted(self.running):
            who = self.members[rank].name()
            lines += [f"{who}, {line}" for line in stands.get(rank, ["no answer"])]
        return "\n".join(lines)

    def _superseded(self) -> bool:
        """Whether another job owns the run folder now. A file that cannot be read proves nothing."""
        try:
            record, address = JobRecord.read(self.run_folder), Address.read(self.run_folder)
        except (OSError, UserError):
            return False
        return bool((record and record.token != self.token) or (address and address != self._address))

    async def _handle_event(self, event: str, member: RemoteSupervisor, message: Message) -> Outcome | None:
        if event == "signal":
            if self._last_signal != message["name"]:  # each supervisor may report it
                self._last_signal = str(message["name"])
                self._say(f"asked to stop ({self._last_signal}): saving")
            self._stop_deadline = min(self._stop_deadline, self._now() + self.policy.stop_s)
            self._signed.set(STOP, self._last_signal)
            return None
        if member.rank not in self.running:  # a supervisor that went after its learner had finished
            return None
        if event == "exited" and message["incarnation"] != member.incarnation:
            return None
        self.running.discard(member.rank)
        code = int(message["code"]) if event == "exited" else None
        if code == EXIT_DONE:
            self.finished.add(member.rank)
        elif self._stop_deadline == float("inf"):  # nobody was asked to stop
            return await self._on_failure(self._failure(event, member, message))
        elif code == EXIT_SAVED:
            self._saved = True
        else:
            self._say(self._failure(event, member, message).report)
        return None if self.running else self._all_left()

    def _all_left(self) -> Outcome:
        """No learner runs any more, and each of them ended well or was asked to stop."""
        if self._saved:
            # What others may have called finished lacks these learners: they will finish it together.
            (self.run_folder / "model.safetensors").unlink(missing_ok=True)
        if self._saved or not self.finished:
            why = "saved and left" if self._saved else "left without saving"
            return Outcome(self.token, "stopped", why, self._saved)
        return Outcome(self.token, "finished")

    def _failure(self, event: str, member: RemoteSupervisor, message: Message) -> LearnerFailure:
        raised = None
        with contextlib.suppress(Tampered, RuntimeError, ValueError, TypeError, KeyError):
            published = self._signed.get(raised_key(member.rank))
            raised = None if published is None else Raised.from_json(published)
        return LearnerFailure.of(member, event, message, raised)

    def _repeats(self, failure: LearnerFailure) -> bool:
        """Whether its exception has ended a learner at this step or a later one: another start would end the
        same way."""
        raised = failure.raised
        if raised is None:
            return False
        repeats = any(one.same_as(raised) and raised.step <= one.step for one in self._raised)
        self._raised.append(raised)
        return repeats

    async def _on_failure(self, failure: LearnerFailure) -> Outcome | None:
        if self.policy.asynchronous:
            return self._go_on_without(failure)
        failures = await self._failures_after(failure)
        failure = min(failures, key=cause_order)
        repeats = self._repeats(failure)
        hopeless = (
            failure.code == EXIT_MISTAKE
            or failure.member.kill_reason
            or any(one.code is None for one in failures)
        )
        if hopeless or repeats or self._restarts == 0:
            self._kill_all("another learner is lost")
            return self._failed(("the same again, without progress: " if repeats else "") + failure.report)
        self._restarts -= 1
        self._say(
            f"{failure.summary}\nall start again from the last checkpoint ({self._restarts} restarts left)"
        )
        self._kill_all("another learner is lost")
        self.running.clear()
        self._generation += 1
        self._start_all()
        return None

    async def _failures_after(self, failure: LearnerFailure) -> list[LearnerFailure]:
        """A lost learner takes the others with it within moments; wait for them, and for who was lost."""
        failures = [failure]
        began = self._now()
        while True:
            passed = self._now() - began
            known = passed > MOMENTS_S and not all(one.peer_lost for one in failures)
            if known or not self.running or passed > self.policy.silence_s:
                return failures
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    event, rank, message = await self._events.get()
                member = self.members[rank]
                if event == "signal":
                    await self._handle_event(event, member, message)
                elif event == "gone" or message["incarnation"] == member.incarnation:
                    self.running.discard(rank)
                    failures.append(self._failure(event, member, message))

    def _go_on_without(self, failure: LearnerFailure) -> Outcome | None:
        member = failure.member
        if not self.running and not self.finished:
            return self._failed(f"no learner is left; the last: {failure.report}")
        if failure.code == EXIT_MISTAKE:
            self._kill_all("another learner found a mistake")
            return self._failed(failure.report)
        self._signed.set(lost_key(member.rank), failure.reason)
        self._say(f"{failure.summary}\nthe others go on")
        over = bool(self.finished) or any(map(self._heartbeats.finishing, {member.rank, *self.running}))
        hopeless = failure.code is None or failure.peer_lost or self._repeats(failure)
        if not hopeless and self._replacements > 0 and self.running and not over:
            self._replacements -= 1
            self._store.delete_key(lost_key(member.rank))
            self._start(member, replacement=True)
            self._say(f"learner {member.rank} is replaced ({self._replacements} replacements left)")
        return None if self.running else Outcome(self.token, "finished")

    def _kill_all(self, why: str) -> None:
        for member in self.members.values():
            member.kill_reason = member.kill_reason or why
            member.connection.send(do="kill")

    def _say(self, text: str) -> None:
        """A line in logs/job.log, which the dispatcher shows, and in the cluster's log of task 0."""
        logger.info(text)
        with (
            contextlib.suppress(OSError, UserError),
            open_own(self.run_folder / "logs" / "job.log", "a") as stream,
        ):
            stream.write(text + "\n")

    def _failed(self, reason: str) -> Outcome:
        return Outcome(self.token, "failed", reason)
