"""The recursions of the strategies in NumPy float64, written apart from them: W is [learners, dimension].

Step k, learner l: the gradient is that of samples (k L + l) share ... of the task in `trial`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.support import recursion_trial
from tests.support.mixing_oracles import Matrix, Mixing, uniform

A = recursion_trial.RATE
FIRST_CALL = 25  # of the roll calls, 1 ms apart and then 1.25 times as long each time, the first after 1 s


def initial(size: int, dimension: int = 7) -> Matrix:
    return np.tile(recursion_trial.start(dimension), (size, 1))


def g(w: Matrix, k: int, share: int = 1) -> Matrix:
    """G(W, xi_k): the gradient of every learner at its own model."""
    size = len(w)
    firsts = [(k * size + rank) * share for rank in range(size)]
    return np.stack(
        [recursion_trial.gradient(w[rank], range(first, first + share)) for rank, first in enumerate(firsts)]
    )


def mean(w: Matrix) -> Matrix:
    return np.tile(w.mean(axis=0), (len(w), 1))


def single(size: int, steps: int, share: int = 1) -> Matrix:
    w = initial(size)
    for k in range(steps):
        w = w - A * g(w, k, share)
    return w


def synchronous(size: int, steps: int, share: int = 1) -> Matrix:
    w = initial(size)
    for k in range(steps):
        w = mean(w - A * g(w, k, share))
    return w


def server(size: int, steps: int, staleness_aware: bool = False) -> Matrix:
    """Equal learners reach the server one after another, in the order of ranks."""
    model, clock = initial(1)[0], 0
    views, seen = initial(size), [0] * size
    for k in range(steps):
        gradients = g(views, k)
        for rank in range(size):
            tau = clock - seen[rank]
            model = model - A * gradients[rank] / (max(1, tau) if staleness_aware else 1)
            clock += 1
            seen[rank], views[rank] = clock, model
    return np.tile(model, (size, 1))


def decentralized(size: int, steps: int, t: Mixing, order: str = "mix-then-update") -> Matrix:
    w = initial(size)
    for k in range(steps):
        w = t(k) @ w - A * g(w, k) if order == "mix-then-update" else t(k) @ (w - A * g(w, k))
    return w


def asynchronous(size: int, steps: int, t: Mixing, every: int = 8) -> Matrix:
    """Equal learners: a round follows each update, and the last rounds up to the next roll call follow the
    last update."""
    w = initial(size)
    round_ = FIRST_CALL * every
    for k in range(steps):
        if k == 0:  # nothing to mix yet
            w = w - A * g(w, k)
        else:
            w = t(round_) @ w - A * g(w, k)
            round_ += 1
    while round_ % every:
        w = t(round_) @ w
        round_ += 1
    return w


def hierarchical(nodes: int, per_node: int, steps: int, t: Mixing) -> Matrix:
    """Super-learners in place of learners: W has a row a node."""
    size = nodes * per_node
    node_mean = np.kron(np.eye(nodes), np.full((1, per_node), 1 / per_node))

    def super_g(w: Matrix, k: int) -> Matrix:
        return node_mean @ g(np.repeat(w, per_node, axis=0), k)

    w, round_ = initial(nodes), 8 * FIRST_CALL
    for k in range(steps):
        if k == 0:
            w = w - A * super_g(w, k)
        else:
            w = t(round_) @ w - A * super_g(w, k)
            round_ += 1
    while round_ % 8:
        w = t(round_) @ w
        round_ += 1
    assert size == len(np.repeat(w, per_node, axis=0))
    return np.repeat(w, per_node, axis=0)


def local(size: int, steps: int, tau: int, switch: int = 0) -> Matrix:
    w = initial(size)
    for k in range(steps):
        w = w - A * g(w, k)
        if k < switch or (k + 1) % tau == 0:
            w = mean(w)
    return w


def bmuf(size: int, steps: int, tau: int, eta: float, zeta: float, nesterov: bool) -> Matrix:
    w = initial(size)
    model, delta = w[0].copy(), np.zeros(w.shape[1])
    start = model.copy()
    for k in range(steps):
        w = w - A * g(w, k)
        if (k + 1) % tau == 0 or k + 1 == steps:
            delta = eta * delta + zeta * (w.mean(axis=0) - start)
            model = model + delta
            start = model + eta * delta if nesterov else model
            w = np.tile(start, (size, 1))
    return np.tile(model, (size, 1))


def elastic(size: int, steps: int, tau: int, beta: float) -> Matrix:
    x = initial(size)
    centre = x[0].copy()
    for k in range(steps):
        moved = x - A * g(x, k)
        if k % tau == 0:
            moved = moved - beta / size * (x - centre)
            centre = (1 - beta) * centre + beta * x.mean(axis=0)
        x = moved
    return np.tile(centre, (size, 1))


def slow_momentum(
    size: int, steps: int, tau: int, alpha: float, beta: float, inner: Callable[[Matrix, int], Matrix]
) -> Matrix:
    w = initial(size)
    old, u = w[0].copy(), np.zeros(w.shape[1])
    for k in range(steps):
        w = inner(w, k)
        if (k + 1) % tau == 0:
            u = beta * u + (old - w.mean(axis=0)) / A
            old = old - alpha * A * u
            w = np.tile(old, (size, 1))
    return w


def push_sum(size: int, steps: int) -> Matrix:
    x, v = initial(size), np.ones((size, 1))
    hops = max(1, int(np.ceil(np.log2(size)))) if size > 1 else 1
    for k in range(steps):
        x = x - A * g(x / v, k)
        if size > 1:
            p = (np.eye(size) + np.roll(np.eye(size), 2 ** (k % hops), axis=0)) / 2
            x, v = p @ x, p @ v
    return mean(x)


def periodic(size: int, steps: int, t: Mixing, period: int) -> Matrix:
    w = initial(size)
    for k in range(steps):
        w = (uniform(size) if (k + 1) % period == 0 else t(k)) @ (w - A * g(w, k))
    return w


class AdamW:
    """Loshchilov & Hutter's update with the defaults of the learner's (0.9, 0.95, decay 0.1)."""

    def __init__(self, shape: tuple[int, ...]):
        self.m, self.v, self.steps = np.zeros(shape), np.zeros(shape), 0

    def __call__(self, w: Matrix, gradient: Matrix) -> Matrix:
        self.steps += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.95 * self.v + 0.05 * gradient**2
        m_hat, v_hat = self.m / (1 - 0.9**self.steps), self.v / (1 - 0.95**self.steps)
        return w - A * 0.1 * w - A * m_hat / (np.sqrt(v_hat) + 1e-8)


def diloco(
    size: int, steps: int, period: int, fragments: int = 1, overlap: int = 0, blend: float = 0.0
) -> Matrix:
    """Outer Nesterov with momentum 0.9 and rate 0.7; fragment p is due at step period (1 - p / fragments)."""
    w = initial(size)
    dimension = w.shape[1]
    inner = AdamW(w.shape)
    old, m = w[0].copy(), np.zeros(dimension)
    parts = [slice(dimension * p // fragments, dimension * (p + 1) // fragments) for p in range(fragments)]
    due = [period - period * p // fragments for p in range(fragments)]
    sent: dict[int, Matrix] = {}

    def arrive(p: int) -> None:
        d, part = sent.pop(p), parts[p]
        m[part] = 0.9 * m[part] + d
        old[part] -= 0.7 * (d + 0.9 * m[part])
        w[:, part] = blend * w[:, part] + (1 - blend) * old[part]

    for k in range(1, steps + 1):
        w = inner(w, g(w, k - 1))
        for p in range(fragments):
            if k >= due[p] and (k - due[p]) % period == 0:
                sent[p] = old[parts[p]] - w[:, parts[p]].mean(axis=0)
            if k - overlap >= due[p] and (k - overlap - due[p]) % period == 0:
                arrive(p)
    for p in sorted(sent):
        arrive(p)
    return w
