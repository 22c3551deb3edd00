"""Means over learners, compressed where asked, and overlapped with the backward pass that produces them.

with error feedback:   v' = v + e;   sent = C(v');   e = v' - decode(sent);   result = mean of what was sent
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dasr.strategies.compression import Cast, Encoded, PowerSGD, codec
from dasr.strategies.gossip import Deferred
from dasr.strategies.strategy import Learner, Terms
from dasr.worlds.interface import Gathering, World

ALL = slice(None)


class Feedback:
    """Encodes a vector again and again; what a lossy codec did not send is added to the next value."""

    def __init__(self, spec: str):
        self.spec, self.codec = spec, codec(spec)
        self.residual: Tensor | None = None

    def corrected(self, vector: Tensor) -> Tensor:
        return vector if self.residual is None else vector + self.residual

    def encode(self, vector: Tensor) -> Encoded:
        vector = self.corrected(vector)
        payload = self.codec.encode(vector)
        if self.codec.feedback:
            self.residual = vector - self.codec.decode(payload, vector)
        return payload

    def state_dict(self) -> dict[str, Any]:
        return {"residual": self.residual, "codec": self.codec.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.residual = state["residual"]
        self.codec.load_state_dict(state["codec"])


class Mean:
    """The mean of a vector over a group of learners, in place; parts of a vector may be reduced separately.

    fp32, bf16, fp16 and PowerSGD (it is linear) go through all-reduces, the others through an all-gather."""

    def __init__(self, world: World, compression: str = "fp32", group: Sequence[int] | None = None):
        self.world, self.spec, self.group = world, compression, group
        chosen = codec(compression)
        self.exact, self.narrow = chosen.exact, chosen.dtype if isinstance(chosen, Cast) else None
        self.feedback: dict[int, Feedback] = {}

    def start(self, part: Tensor, offset: int = 0) -> Awaitable[object]:
        """Start reducing `part`, a vector or the slice of one at `offset`; await this before reading it."""
        if self._as_it_is(part):
            return self.world.all_reduce(part, self.group)
        feedback = self.feedback.setdefault(offset, Feedback(self.spec))
        if isinstance(feedback.codec, Cast):
            buffer = part.to(feedback.codec.dtype)
            return self._cast(part, self.world.all_reduce(buffer, self.group))
        if isinstance(feedback.codec, PowerSGD):
            vector = feedback.corrected(part)
            matrix, p = feedback.codec.start(vector)
            return self._low_rank(part, feedback, matrix, self.world.all_reduce(p, self.group))
        return self._gathered(part, feedback, self.world.all_gather(feedback.encode(part), self.group))

    def _as_it_is(self, part: Tensor) -> bool:
        """Whether nothing is to be compressed: a gradient may have 16 bits already."""
        return self.exact or part.dtype == self.narrow

    async def _cast(self, part: Tensor, reduced: Awaitable[Tensor]) -> None:
        part.copy_(await reduced)

    async def _low_rank(self, part: Tensor, feedback: Feedback, matrix: Tensor, p: Awaitable[Tensor]) -> None:
        power = feedback.codec
        assert isinstance(power, PowerSGD)
        basis, q = power.finish(matrix, await p)
        power.q = await self.world.all_reduce(q.contiguous(), self.group)
        mean = power.decode((basis, power.q), part)
        feedback.residual = matrix.reshape(-1)[: part.numel()] - mean
        part.copy_(mean)

    async def _gathered(self, part: Tensor, feedback: Feedback, gathering: Awaitable[list[Any]]) -> None:
        payloads = await gathering
        vectors = [feedback.codec.decode(payload, part) for payload in payloads]
        part.copy_(sum(vectors[1:], start=vectors[0].clone()).div_(len(vectors)))

    def state_dict(self) -> dict[str, Any]:
        return {"feedback": {offset: feedback.state_dict() for offset, feedback in self.feedback.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for offset, kept in state["feedback"].items():
            self.feedback.setdefault(offset, Feedback(self.spec)).load_state_dict(kept)


@dataclass(frozen=True)
class Participation:
    """Who of a group brings a gradient to its mean: this learner (`computes`), and how many others."""

    computes: bool = True
    whole: bool = False  # all at once: one of the group may not know the parts in which it is made
    share: Callable[[], Awaitable[float]] | None = None  # of the group; asked when the gradient is under way

    async def scale(self) -> float:
        return 1.0 if self.share is None else 1.0 / await self.share()


class GradientMean(Mean):
    """The mean gradient, reduced bucket by bucket while the backward pass goes on."""

    def __init__(
        self, learner: Learner, compression: str, group: Sequence[int] | None = None, bucket_mb: float = 4.0
    ):
        super().__init__(learner.world, compression, group)
        self.learner = learner
        self.bucket = max(1, round(bucket_mb * 2**20 / learner.gradient.element_size()))
        self.parts: list[slice] = []  # the buckets, once a gradient has been computed

    async def compute(self, of: Participation | None = None) -> None:
        """The learner's gradient, averaged over the group: into `learner.gradient`, or into its weights ahead
        of the update() that has to follow. `of`: not all of the group may have one."""
        of, gradient = of or Participation(), self.learner.gradient
        gathering = self.world.gathering(gradient, self.group) if self._as_it_is(gradient) else None
        if gathering is not None:
            return await self._gather(gathering, of)
        started: list[Awaitable[object]] = []
        await self._in_buckets(lambda part: started.append(self.start(gradient[part], part.start)), of)
        scale = await of.scale()
        for reduction in started:
            await reduction
        if scale != 1:
            gradient.mul_(scale)

    async def _gather(self, gathering: Gathering, of: Participation) -> None:
        """Everyone takes the mean in its update, which has come to all but the last bucket while that one is
        on its way."""
        length = left = len(self.learner.gradient)
        arriving: list[tuple[slice, Awaitable[list[Tensor]]]] = []

        def send(part: slice) -> None:
            nonlocal left
            left -= part.stop - part.start
            if not left and part.start == 0 and part.stop < length:
                arriving.append((slice(part.stop, length), gathering.sent()))
            gathering.send(part)

        await self._in_buckets(send, of)
        rest = arriving[0][0].start if arriving else length
        arriving.append((slice(0, rest), gathering.sent()))
        scale = await of.scale()
        for where, sent in arriving:
            everyone = await sent
            self.learner.update_ahead(where, [(scale / len(everyone), vector[where]) for vector in everyone])

    async def _in_buckets(self, send: Callable[[slice], None], of: Participation) -> None:
        """Compute the gradient; send(part) with every part of it, as soon as that is final."""
        gradient = self.learner.gradient
        if not of.computes:
            gradient.zero_()
        elif of.whole:
            await self.learner.compute()
        if of.whole or not of.computes:
            for part in [slice(0, len(gradient))] if of.whole else self.parts:
                send(part)
            return
        begin = end = len(gradient)  # of the bucket being filled: passes go from the last layers to the first
        self.parts = []

        def send_part(first: int, stop: int) -> None:
            self.parts.append(slice(first, stop))
            send(self.parts[-1])

        def ready(part: Tensor) -> None:
            nonlocal begin, end
            first = int(part.storage_offset() - gradient.storage_offset())
            if first + len(part) != begin:  # a pass that jumps about: each part goes on its own
                return send_part(first, first + len(part))
            begin = first
            if end - begin >= self.bucket:
                send_part(begin, end)
                end = begin

        await self.learner.compute(ready)
        if begin < end or not self.parts:  # what is left, or a gradient that arrives all at once
            send_part(begin if begin < end else 0, end)


class ModelMean(Mean):
    """The mean of models, in a vector of its own: it is there until the next one is asked for.

    A lossy codec is given w - (the last mean): small, and all know that mean."""

    def __init__(self, learner: Learner, compression: str):
        super().__init__(learner.world, compression)
        self.mean = learner.world.shared(learner.weights) if self.exact else None
        self.last = None if self.exact else learner.copy()

    def of(self, weights: Tensor, part: slice = ALL) -> Awaitable[Tensor]:
        """Start averaging (that part of) `weights`, which must not change until this ends."""
        if self.mean is not None:
            return self.world.all_reduce(weights[part], out=self.mean[part])
        assert self.last is not None
        return self._of_differences(weights[part] - self.last[part], self.last[part], part.start or 0)

    def difference(self, weights: Tensor, part: slice = ALL) -> Awaitable[Terms]:
        """Start averaging `weights` (that part), which must not change until this ends: the mean - weights.

        Two learners exchange theirs: none adds up anything for the other."""
        if self.exact and self.world.size == 2:
            theirs = self.world.exchange(weights[part], 1 - self.world.rank)
            return Deferred(lambda: self._apart(0.5, weights[part], theirs))
        mean = self.of(weights, part)
        return Deferred(lambda: self._apart(1.0, weights[part], mean))

    async def _apart(self, factor: float, weights: Tensor, coming: Awaitable[Any]) -> Terms:
        return [(factor, await coming), (-factor, weights)]

    def _of_differences(self, difference: Tensor, last: Tensor, offset: int) -> Awaitable[Tensor]:
        averaging = self.start(difference, offset)

        async def finish() -> Tensor:
            await averaging
            return last.add_(difference)

        return finish()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"last": self.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.last = state["last"]
