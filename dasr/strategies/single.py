"""`single`: one learner, no communication; the baseline of every speed-up.

    w_{k+1} = w_k - a g(w_k)

Robbins & Monro 1951.
"""

from dasr.strategies.base import Strategy


class Single(Strategy):
    """Each learner for itself; meant for one."""

    name = "single"

    async def step(self) -> None:
        await self.learner.step()
