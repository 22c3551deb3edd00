"""Codecs against NumPy and PyTorch, their bytes, and strategies that send compressed vectors against their
recursions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.multiprocessing.spawn import spawn

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies.matrices import matrices_in
from dasr.strategies.parts.codecs import Codec, PowerSGD, codec_for
from dasr.strategies.parts.compression import parse
from dasr.strategies.sc_allreduce import ScAllReduce
from dasr.worlds.interface import Ready
from dasr.worlds.simulated.simulation import Simulation
from tests.support import mixing_oracles, oracles, powersgd_hook, recursion_trial

Vector = NDArray[np.float64]
D = 23
SHAPES = [(3, 4), (3,), (2, 4)]  # of the vectors of length D
LOSSY = ["sign", "1bit", "topk:0.2", "powersgd:2"]


def bf16(v: Vector) -> Vector:
    """Round to nearest even at 8 bits of significand."""
    mantissa, exponent = np.frexp(v)
    return np.array(np.ldexp(np.round(mantissa * 256) / 256, exponent), np.float64)


def blocks(v: Vector) -> list[Vector]:
    """Views: a matrix each; a vector is one row."""
    edges = np.cumsum([0, *(int(np.prod(shape)) for shape in SHAPES)])
    pieces = [v[a:b] for a, b in itertools.pairwise(edges)]
    return [piece.reshape(-1, shape[-1]) for piece, shape in zip(pieces, SHAPES, strict=True)]


def sign(v: Vector) -> Vector:
    result = np.where(v >= 0, 1.0, -1.0)
    for block, magnitudes in zip(blocks(result), blocks(np.abs(v)), strict=True):
        block *= magnitudes.mean()
    return result


def one_bit(v: Vector) -> Vector:
    result = v.copy()
    for block in blocks(result):
        for row in block:
            above = row >= 0
            for part in (above, ~above):
                if part.any():
                    row[part] = row[part].mean()
    return result


def top(v: Vector, ratio: float = 0.2) -> Vector:
    kept = np.argsort(-np.abs(v))[: max(1, round(ratio * len(v)))]
    result = np.zeros_like(v)
    result[kept] = v[kept]
    return result


ORACLES: dict[str, Callable[[Vector], Vector]] = {
    "bf16": bf16,
    "fp16": lambda v: v.astype(np.float16).astype(np.float64),
    "sign": sign,
    "1bit": one_bit,
    "topk:0.2": top,
}
BYTES = {
    "fp32": 4 * D,
    "bf16": 2 * D,
    "fp16": 2 * D,
    "sign": 3 + 4 * 3,  # a scale a matrix
    "1bit": 3 + 4 * 2 * (3 + 1 + 2),  # two values a row
    "topk:0.2": 5 * 8,
    "powersgd:1,saving=1": 4 * ((3 + 4) + 3 + (2 + 4)),
    "powersgd:1,saving=1.5": 4 * ((3 + 4) + 3 + 8),  # 6 x 1.5 > 8
    "powersgd:1": 4 * D,  # nothing becomes half as large
}


def codec(spec: str, shapes: Sequence[tuple[int, ...]]) -> Codec:
    return codec_for(parse(spec), matrices_in(shapes, 0, sum(int(np.prod(shape)) for shape in shapes)))


@pytest.mark.parametrize("spec", ORACLES)
def test_a_codec_gives_back_what_numpy_says(spec: str) -> None:
    random = np.random.default_rng(1)
    for scale in (1.0, 1e-3, 1e3):
        v = random.normal(size=D) * scale
        one = codec(spec, SHAPES)
        decoded = one.decode(one.encode(torch.from_numpy(v)), torch.from_numpy(v))
        expected = ORACLES[spec](v)
        # fp64 -> bf16 goes over fp32 in torch, which may round a tie the other way
        np.testing.assert_allclose(decoded.numpy(), expected, rtol=0.004 if spec == "bf16" else 1e-12)


@pytest.mark.parametrize("spec", ["sign", "1bit"])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 64, 1000])
def test_signs_of_any_number_survive_packing(spec: str, length: int) -> None:
    v = torch.from_numpy(np.random.default_rng(length).normal(size=length))
    one = codec(spec, [(length,)])
    assert torch.equal(one.decode(one.encode(v), v).sign(), v.sign())


def test_powersgd_converges_to_the_best_low_rank_approximation_of_each_matrix() -> None:
    random = np.random.default_rng(2)
    shapes = [(20, 20), (7,), (30, 12)]
    pieces = [random.normal(size=(n, 3)) @ random.normal(size=(3, m)) for n, m in (shapes[0], shapes[2])]
    pieces = [piece + 0.01 * random.normal(size=piece.shape) for piece in pieces]
    bias = random.normal(size=7)
    vector = torch.from_numpy(np.concatenate([pieces[0].reshape(-1), bias, pieces[1].reshape(-1)]))
    one = codec("powersgd:3,saving=1", shapes)
    for _ in range(10):
        decoded = one.decode(one.encode(vector), vector).numpy()
    for piece, found in zip(pieces, (decoded[:400], decoded[407:]), strict=True):
        u, s, v = np.linalg.svd(piece, full_matrices=False)
        np.testing.assert_allclose(found.reshape(piece.shape), u[:, :3] * s[:3] @ v[:3], atol=1e-4)
    assert np.array_equal(decoded[400:407], bias)


@pytest.mark.parametrize("spec", BYTES)
def test_the_bytes_counted_are_the_bytes_sent(spec: str) -> None:
    """In a ring of four, two partners a step."""
    result = recursion_trial.run(
        "sd", 4, 5, dimension=D, shapes=SHAPES, dtype=torch.float32, compression=spec
    )
    assert result.learners[1].world.accounts.bytes_sent == 5 * 2 * BYTES[spec]


@pytest.mark.parametrize("spec", ["sign", "1bit", "topk:0.2"])
@pytest.mark.parametrize("start", [0, 4])
def test_error_feedback_follows_its_recursion(spec: str, start: int) -> None:
    """e <- g + e - C(g + e) on every learner; the mean of what was sent is applied. First the mean of g."""
    size, steps = 5, 9
    w, e = oracles.initial(size, D), np.zeros((size, D))
    for k in range(steps):
        corrected = oracles.g(w, k) + e
        sent = np.stack([ORACLES[spec](row) for row in corrected]) if k >= start else corrected
        e = corrected - sent
        w = w - oracles.A * oracles.mean(sent)
    options: dict[str, Any] = {"compression": f"{spec},start={start}", "bucket_mb": 1.0}  # one bucket
    result = recursion_trial.run("sc-allreduce", size, steps, dimension=D, shapes=SHAPES, **options)
    np.testing.assert_allclose(result.weights, w, rtol=0, atol=1e-12)


def test_powersgd_follows_its_recursion_on_each_matrix() -> None:
    """P = orth(mean(M) Q); Q = mean(M)' P; g = P Q'; e = M - g, with M = g_l + e_l; vectors as they are."""
    size, steps, start = 5, 12, 3
    w, e, queries = oracles.initial(size, D), np.zeros((size, D)), dict[int, Vector]()
    for k in range(steps):
        corrected = oracles.g(w, k) + (e if k >= start else 0)
        mean = corrected.mean(axis=0)
        applied = mean.copy()
        for number, block in enumerate(blocks(applied) if k >= start else []):
            if len(block) > 1:
                q = queries.setdefault(number, first_query(number // 2, block.shape[1]))
                p, _ = np.linalg.qr(block @ q)
                queries[number] = block.T @ p
                block[:] = p @ queries[number].T
        e = corrected - applied if k >= start else e
        e[:, 12:15] = 0
        w = w - oracles.A * applied
    options: dict[str, Any] = {"compression": f"powersgd:1,saving=1,start={start}", "bucket_mb": 1.0}
    result = recursion_trial.run("sc-allreduce", size, steps, dimension=D, shapes=SHAPES, **options)
    np.testing.assert_allclose(result.weights, w, rtol=0, atol=1e-12)


def first_query(number: int, columns: int) -> Vector:
    """Drawn as the codec says: by the number of the matrix among those that become low rank."""
    generator = torch.Generator().manual_seed(number)
    return torch.randn(columns, 1, generator=generator, dtype=torch.float64).numpy()


class OfTheHook:
    """The task that PyTorch's hook was given."""

    def __init__(self, rank: int):
        self.rank, self.model, self.steps = rank, powersgd_hook.model(), 0
        self.shapes = [tuple(parameter.shape) for parameter in self.model.parameters()]
        self.num_parameters = len(self.initial())
        self.seen: list[torch.Tensor] = []

    def initial(self) -> torch.Tensor:
        return powersgd_hook.flat(self.model)

    def gradient(self, weights: torch.Tensor, gradient: torch.Tensor, ready: Ready) -> float:
        self.seen.append(weights.clone())
        torch.nn.utils.vector_to_parameters(weights.clone(), self.model.parameters())
        loss = powersgd_hook.loss(self.model, self.rank, self.steps)
        parts = torch.autograd.grad(loss, list(self.model.parameters()))
        gradient.copy_(torch.cat([part.reshape(-1) for part in parts]))
        self.steps += 1
        ready(gradient)
        return float(loss.detach())

    def describe_batch(self) -> str:
        return ""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@pytest.mark.slow
def test_powersgd_is_that_of_pytorchs_hook(tmp_path: Path) -> None:
    """With the hook's start step, smallest saving and first Q: the same weights before every step."""
    spawn(powersgd_hook.learner, (str(tmp_path),), powersgd_hook.LEARNERS)
    expected, queries = torch.load(tmp_path / "found.pt")
    simulation = Simulation(recursion_trial.SECOND, powersgd_hook.LEARNERS)
    tasks = [OfTheHook(world.rank) for world in simulation.worlds]
    budget = Budget(powersgd_hook.STEPS, powersgd_hook.LEARNERS, powersgd_hook.LEARNERS)
    strategies = []
    for world, task in zip(simulation.worlds, tasks, strict=True):
        learner = Learner(world, task, Optimizer, lambda samples: powersgd_hook.RATE, budget)
        strategies.append(ScAllReduce(learner, compression=f"powersgd:1,start={powersgd_hook.START}"))
        power = strategies[-1].mean._feedback_of(0, task.num_parameters).codec
        assert isinstance(power, PowerSGD)
        power.q = [queries[matrix.columns].clone() for matrix in power.low_rank]
        assert len(power.q) == 2 and len(power.whole) == 4
    simulation.run(lambda world: strategies[world.rank].run())
    for task in tasks:
        torch.testing.assert_close(torch.stack(task.seen), expected[:-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", ["sign", "1bit", "topk:0.2"])
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
    result = recursion_trial.run("sd", size, steps, dimension=D, shapes=SHAPES, compression=spec)
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
