"""Codecs against NumPy, their bytes, and strategies that send compressed vectors against their recursions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dasr.errors import UserError
from dasr.strategies.parts import codecs
from tests.support import mixing_oracles, oracles, recursion_trial

Vector = NDArray[np.float64]
D = 23
LOSSY = ["sign", "topk:0.2", "powersgd:2"]


def bf16(v: Vector) -> Vector:
    """Round to nearest even at 8 bits of significand."""
    mantissa, exponent = np.frexp(v)
    return np.array(np.ldexp(np.round(mantissa * 256) / 256, exponent), np.float64)


def sign(v: Vector) -> Vector:
    return np.where(v >= 0, 1.0, -1.0) * float(np.abs(v).mean())


def top(v: Vector, ratio: float = 0.2) -> Vector:
    kept = np.argsort(-np.abs(v))[: max(1, round(ratio * len(v)))]
    result = np.zeros_like(v)
    result[kept] = v[kept]
    return result


ORACLES: dict[str, Callable[[Vector], Vector]] = {
    "bf16": bf16,
    "fp16": lambda v: v.astype(np.float16).astype(np.float64),
    "sign": sign,
    "topk:0.2": top,
}
BYTES = {
    "fp32": 4 * D,
    "bf16": 2 * D,
    "fp16": 2 * D,
    "sign": 3 + 4,
    "topk:0.2": 5 * 8,
    "powersgd:2": 4 * 2 * (4 + 6),
}


@pytest.mark.parametrize("spec", ORACLES)
def test_a_codec_gives_back_what_numpy_says(spec: str) -> None:
    random = np.random.default_rng(1)
    for length in (1, 7, 8, 9, 64, 1000):
        v = random.normal(size=length)
        codec = codecs.codec(spec)
        decoded = codec.decode(codec.encode(torch.from_numpy(v)), torch.from_numpy(v))
        expected = ORACLES[spec](v)
        # fp64 -> bf16 goes over fp32 in torch, which may round a tie the other way
        np.testing.assert_allclose(decoded.numpy(), expected, rtol=0.004 if spec == "bf16" else 1e-12)


def test_powersgd_converges_to_the_best_low_rank_approximation() -> None:
    random = np.random.default_rng(2)
    matrix = random.normal(size=(20, 3)) @ random.normal(size=(3, 20)) + 0.01 * random.normal(size=(20, 20))
    codec = codecs.codec("powersgd:3")
    vector = torch.from_numpy(matrix.reshape(-1))
    for _ in range(10):
        decoded = codec.decode(codec.encode(vector), vector).numpy().reshape(20, 20)
    u, s, v = np.linalg.svd(matrix)
    best = u[:, :3] * s[:3] @ v[:3]
    np.testing.assert_allclose(decoded, best, atol=1e-4)


@pytest.mark.parametrize("spec", BYTES)
def test_the_bytes_counted_are_the_bytes_sent(spec: str) -> None:
    """In a ring of four, two partners a step."""
    result = recursion_trial.run("sd", 4, 5, dimension=D, dtype=torch.float32, compression=spec)
    assert result.learners[1].world.accounts.bytes_sent == 5 * 2 * BYTES[spec]


@pytest.mark.parametrize("spec", ["sign", "topk:0.2"])
def test_error_feedback_follows_its_recursion(spec: str) -> None:
    """e <- g + e - C(g + e) on every learner; the mean of what was sent is applied."""
    size, steps = 5, 9
    w, e = oracles.initial(size, D), np.zeros((size, D))
    for k in range(steps):
        corrected = oracles.g(w, k) + e
        sent = np.stack([ORACLES[spec](row) for row in corrected])
        e = corrected - sent
        w = w - oracles.A * oracles.mean(sent)
    result = recursion_trial.run("sc-allreduce", size, steps, dimension=D, compression=spec)
    np.testing.assert_allclose(result.weights, w, rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", ["sign", "topk:0.2"])
def test_mixed_weights_are_compressed_as_differences(spec: str) -> None:
    """CHOCO on a fixed ring: x_i += C(w_i - x_i); w_i += gamma sum_j T_ij (x_j - x_i)."""
    size, steps, gamma = 5, 9, 0.3
    t = mixing_oracles.mixing("ring", size)(0)
    w, x = oracles.initial(size, D), np.zeros((size, D))
    for k in range(steps):
        if k == 0:
            x = np.stack([ORACLES[spec](row) for row in w])
        else:
            x = x + np.stack([ORACLES[spec](row) for row in w - x])
        w = w + gamma * (t @ x - x) - oracles.A * oracles.g(w, k)
    result = recursion_trial.run("sd", size, steps, dimension=D, compression=spec)
    np.testing.assert_allclose(result.weights, w, rtol=0, atol=1e-12)


SENDERS: list[tuple[str, dict[str, Any]]] = [
    ("sc-allreduce", {}),
    ("sc-ps", {"servers": 2}),
    ("ac-ps", {"servers": 2}),
    ("sd", {}),
    ("sd", {"mixing": "random-ring"}),
    ("ad", {}),
    ("h-ad", {}),
    ("delay-by-one", {}),
    ("bmuf", {"tau": 2, "eta": 0.5}),
    ("local", {"tau": 2}),
    ("post-local", {"tau": 2, "switch": 8}),
    ("easgd", {"tau": 2}),
    ("slowmo", {"tau": 2}),
    ("sgp", {}),
    ("gossip-pga", {}),
    ("diloco", {"period": 2, "outer_momentum": 0.3}),
    ("streaming-diloco", {"period": 4, "outer_momentum": 0.3}),
]


@pytest.mark.parametrize("spec", LOSSY)
@pytest.mark.parametrize(("strategy", "options"), SENDERS, ids=str)
def test_a_compressed_strategy_learns_what_the_exact_one_does(
    strategy: str, options: dict[str, Any], spec: str
) -> None:
    """After 60 steps the mean model is near where the exact one is, seen from the start."""
    exact, lossy = (
        recursion_trial.run(
            strategy, 4, 60, dimension=D, compression=c, optimizer_=recursion_trial.Recorder, **options
        )
        for c in ("fp32", spec)
    )
    start, end = recursion_trial.start(D), exact.weights.mean(axis=0)
    distance = np.linalg.norm(lossy.weights.mean(axis=0) - end) / np.linalg.norm(end - start)
    assert distance < 0.25
    spread = np.linalg.norm(lossy.weights - lossy.weights.mean(axis=0), axis=1).max()
    assert spread < 0.5 * np.linalg.norm(end - start)


def test_a_mistyped_compression_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean 'topk'"):
        codecs.codec("topk2:0.1")
    for spec in ("topk:2", "topk:x", "powersgd:0", "powersgd:1.5", "bf16:3"):
        with pytest.raises(UserError, match="compression"):
            codecs.codec(spec)
