"""Means over learners, compressed where asked.

with error feedback:   v' = v + e;   sent = C(v');   e = v' - decode(sent);   result = mean of what was sent
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, cast

from torch import Tensor

from dasr.strategies.internals import internals
from dasr.strategies.learner import Learner
from dasr.strategies.linear_combination import LinearCombination
from dasr.strategies.matrices import matrices_in
from dasr.strategies.parts.awaitables import LazyAwaitable
from dasr.strategies.parts.codecs import Cast, Encoded, PowerSGD, codec_for
from dasr.strategies.parts.compression import parse
from dasr.worlds.interface import ALL, Payload


class Feedback:
    """Encodes a vector again and again; what a lossy codec did not send is added to the next value."""

    def __init__(self, learner: Learner, spec: str, begin: int = 0, end: int | None = None):
        """`begin`, `end`: where in the model's flat vector the vectors lie."""
        shapes = internals(learner).shapes
        end = len(learner.gradient) if end is None else end
        self.length = end - begin
        self.codec = codec_for(parse(spec), matrices_in(shapes, begin, end))
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
        return {"length": self.length, "residual": self.residual, "codec": self.codec.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.residual = state["residual"]
        self.codec.load_state_dict(state["codec"])


class Mean:
    """The mean of a vector over a group of learners, in place; parts of a vector may be reduced separately.

    fp32, bf16, fp16 and PowerSGD (it is linear) go through all-reduces, the others through an all-gather. In
    the first steps some codecs are not used (`compression.start_of`)."""

    def __init__(self, learner: Learner, compression: str = "fp32", group: Sequence[int] | None = None):
        self.learner, self.world = internals(learner), learner.world
        self.spec, self.group = compression, group
        said = parse(compression)
        codec = codec_for(said, ())
        self.exact, self.narrow = codec.exact, codec.dtype if isinstance(codec, Cast) else None
        self.start = said.start_of(self.learner.total_steps) if codec.feedback else 0
        self.feedback: dict[int, Feedback] = {}

    def average(self, part: Tensor, offset: int = 0) -> Awaitable[object]:
        """Start averaging `part` in place, a vector or the slice of one at `offset`; await before reading."""
        if self._as_it_is(part) or self.learner.steps < self.start:
            return self.world.all_reduce(part, self.group)
        if self.narrow is not None:
            return self._cast(part, self.world.all_reduce(part.to(self.narrow), self.group))
        feedback = self._feedback_of(offset, len(part))
        if isinstance(feedback.codec, PowerSGD):
            if not feedback.codec.low_rank:
                return self.world.all_reduce(part, self.group)
            vector = feedback.corrected(part)
            first = self.world.all_reduce(feedback.codec.start(vector), self.group)
            return self._low_rank(part, feedback, vector, first)
        return self._gathered(part, feedback, self.world.all_gather(feedback.encode(part), self.group))

    def _as_it_is(self, part: Tensor) -> bool:
        """Whether nothing is to be compressed: a gradient may have 16 bits already."""
        return self.exact or part.dtype == self.narrow

    async def _cast(self, part: Tensor, reduced: Awaitable[Tensor]) -> None:
        part.copy_(await reduced)

    async def _low_rank(
        self, part: Tensor, feedback: Feedback, vector: Tensor, averaging: Awaitable[Tensor]
    ) -> None:
        power = feedback.codec
        assert isinstance(power, PowerSGD)
        first = await averaging
        second = await self.world.all_reduce(power.finish(vector, first), self.group)
        power.keep(second)
        mean = power.decode((first, second), part)
        feedback.residual = vector - mean
        part.copy_(mean)

    async def _gathered(self, part: Tensor, feedback: Feedback, gathering: Awaitable[list[Any]]) -> None:
        payloads = await gathering
        vectors = [feedback.codec.decode(payload, part) for payload in payloads]
        part.copy_(sum(vectors[1:], start=vectors[0].clone()).div_(len(vectors)))

    def _feedback_of(self, offset: int, length: int) -> Feedback:
        if offset not in self.feedback:
            self.feedback[offset] = Feedback(self.learner, self.spec, offset, offset + length)
        return self.feedback[offset]

    def state_dict(self) -> dict[str, Any]:
        return {"feedback": {offset: feedback.state_dict() for offset, feedback in self.feedback.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for offset, kept in state["feedback"].items():
            self._feedback_of(offset, kept["length"]).load_state_dict(kept)


class ModelMean(Mean):
    """The mean of models, in `vector`, where it stays until the next one is asked for.

    A lossy codec is given w - (the last mean): small, and all know that mean."""

    def __init__(self, learner: Learner, compression: str):
        super().__init__(learner, compression)
        self.mean = learner.world.symmetric_like(learner.weights) if self.exact else None
        self.last = None if self.exact else learner.copy()

    @property
    def vector(self) -> Tensor:
        return self.mean if self.mean is not None else cast(Tensor, self.last)

    async def after_step(self) -> AsyncIterator[tuple[slice, Tensor]]:
        """ApplyPart the learner's next step, and average the models after it: parts of them, and their mean.

        With an element-wise optimizer a part is on its way as soon as its gradient is final. The caller has
        assigned a part to the weights, or changed them there, when it asks for the next one."""
        for part, mean in await self._step():
            yield part, await mean
            self.learner.prefetch_weights(part)

    async def of_weights(self) -> AsyncIterator[tuple[slice, Tensor]]:
        """As after_step(), but of the weights as they are, without a step."""
        for part, mean in self._in_halves():
            yield part, await mean
            self.learner.prefetch_weights(part)

    async def _step(self) -> list[tuple[slice, Awaitable[Tensor]]]:
        """The learner's next step; the parts of the mean, under way."""
        if self.mean is None or not self.learner.elementwise:
            await self.learner.step()
            return self._in_halves()
        mean, started = self.mean, list[tuple[slice, Awaitable[Tensor]]]()

        def on_part(part: slice, weights: Tensor) -> None:
            started.append((part, self.world.all_reduce(weights, out=mean[part])))

        await self.learner.step(on_part)
        return started

    def _in_halves(self) -> list[tuple[slice, Awaitable[Tensor]]]:
        """Start averaging the weights: the first half can be read while the second is on its way."""
        weights = self.learner.weights
        middle = len(weights) // 2 // 64 * 64
        parts = [slice(0, middle), slice(middle, len(weights))][not middle :]
        return [(part, self._of(weights, part)) for part in parts]

    def difference(self, weights: Tensor) -> Awaitable[LinearCombination]:
        """Start averaging `weights`, which must not change until this ends: the mean - weights.

        Two learners exchange theirs: none adds up anything for the other."""
        if self.exact and self.world.size == 2:
            theirs = self.world.exchange((weights,), 1 - self.world.rank)
            return LazyAwaitable(lambda: self._half_apart(weights, theirs))
        mean = self._of(weights)
        return LazyAwaitable(lambda: self._apart(weights, mean))

    async def _half_apart(self, weights: Tensor, coming: Awaitable[Payload]) -> LinearCombination:
        (theirs,) = await coming
        return [(0.5, theirs), (-0.5, weights)]

    async def _apart(self, weights: Tensor, coming: Awaitable[Tensor]) -> LinearCombination:
        return [(1.0, await coming), (-1.0, weights)]

    def _of(self, weights: Tensor, part: slice = ALL) -> Awaitable[Tensor]:
        """Start averaging (that part of) `weights`, which must not change until this ends."""
        if self.mean is not None:
            return self.world.all_reduce(weights[part], out=self.mean[part])
        return self._of_differences(weights[part] - self.vector[part], self.vector[part], part.start or 0)

    def _of_differences(self, difference: Tensor, last: Tensor, offset: int) -> Awaitable[Tensor]:
        averaging = self.average(difference, offset)

        async def finish() -> Tensor:
            await averaging
            return last.add_(difference)

        return finish()

    def start_from(self, model: Tensor) -> None:
        """All learners hold `model`: the next differences are taken from it."""
        if self.last is not None:
            self.last.copy_(model)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"last": self.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.last = state["last"]
