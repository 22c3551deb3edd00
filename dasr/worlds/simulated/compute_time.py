"""How fast one learner computes: jitter, slow periods, pauses."""

from __future__ import annotations

import itertools
import math
import random

from dasr.worlds.simulated.clusters import Cluster


class ComputeTime:
    """Time of the gradients of learner `rank`, `seconds` each where nothing disturbs it."""

    def __init__(self, cluster: Cluster, rank: int, seconds: float, seed: int) -> None:
        self.seconds = seconds
        self.forward_fraction = cluster.compute.forward_fraction
        self._jitter = cluster.compute.jitter
        self._slowdown_jitter = cluster.compute_slowdown_jitter
        self._random = random.Random(f"{seed}/pace/{rank}")
        slow = [(s.from_s, s.until_s, s.factor) for s in cluster.slow if s.rank == rank]
        slow += [(p.at_s, p.at_s + p.seconds, math.inf) for p in cluster.pauses if p.rank == rank]
        edges = sorted({0.0, *(edge for begin, end, _ in slow for edge in (begin, end)), math.inf})
        self._pieces = [  # (until, factor) one after another
            (until, math.prod(f for begin, end, f in slow if begin <= since < end))
            for since, until in itertools.pairwise(edges)
        ]

    def delay_factor(self) -> float:
        """How much traffic holds up this gradient, as a multiple of what it does on average."""
        spread = self._slowdown_jitter
        return self._random.gammavariate(spread**-2, spread**2) if spread else 1.0

    def finish(self, start: float) -> float:
        """When a gradient begun at `start` is done."""
        left = self.seconds
        if self._jitter:
            left *= math.exp(self._random.gauss(-0.5 * self._jitter * self._jitter, self._jitter))
        if len(self._pieces) == 1:
            return start + left * self._pieces[0][1]
        now = start
        for until, factor in self._pieces:
            if until <= now:
                continue
            if (until - now) / factor >= left:
                return now + left * factor
            left -= (until - now) / factor
            now = until
        return math.inf
