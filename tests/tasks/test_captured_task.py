"""The step written out by hand (CPU path) against autograd: the same batches, losses, gradients and dropout
positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dasr.config import ModelConfig
from dasr.cuda.streams import SideBySide
from dasr.features.feed import Feed
from dasr.features.resident import ResidentFeed
from dasr.features.store import Utterance, write_arrays, write_shard
from dasr.files import write_json
from dasr.learner.learner import Budget
from dasr.models.acoustic import AcousticModel
from dasr.planning.simulate import SimulationResult, Workload, simulate
from dasr.tasks.autograd_task import AutogradTask
from dasr.tasks.captured_task import CapturedTask
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute, Link

PDFS, DIM = 37, 6


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(1)
    utterances = [
        Utterance(f"u{i}", f"s{i % 3}", rng.normal(3, 2, (50 + i, DIM)).astype(np.float32)) for i in range(12)
    ]
    write_shard(folder / "f", utterances, "fbank", {"rejected": []})
    offsets = np.cumsum([0, *(len(u.frames) for u in utterances)], dtype=np.int64)
    labels = rng.integers(0, PDFS, offsets[-1]).astype(np.int32)
    labels[100:120] = -1
    write_arrays(folder / "a" / "labels.zarr", {"labels": labels, "offsets": offsets}, {})
    write_json(folder / "a" / "manifest.json", {"rejected": []})
    return [folder / "f"], [folder / "a"]


def tasks(
    config: ModelConfig, shards: tuple[list[Path], list[Path]], **options: Any
) -> tuple[CapturedTask, AutogradTask]:
    def feed() -> Feed:
        return Feed(*shards, 21, 5, 0, 1, seed=3, context=config.margin, pin=False)

    def model() -> AcousticModel:
        return AcousticModel(config, DIM, PDFS)

    return CapturedTask(model(), feed(), 0, device="cpu", **options), AutogradTask(model(), feed(), 0)


@pytest.mark.parametrize(
    ("config", "chunk_rows"),
    [
        (ModelConfig(layers=3, cells=16, bottleneck=8, subsampling=1), 17),
        (ModelConfig(layers=1, cells=8, bottleneck=8, deltas=2, splice=1, subsampling=3), 1000),
    ],
)
def test_gradient_equals_autograd_and_every_element_is_announced_once(
    config: ModelConfig, chunk_rows: int, shards: tuple[list[Path], list[Path]]
) -> None:
    fast, reference = tasks(config, shards, chunk_rows=chunk_rows)
    weights = fast.initial()
    assert torch.equal(weights, reference.initial())
    gradient = torch.full_like(weights, torch.nan)
    expected = torch.empty_like(weights)
    for step in range(3):
        announced = torch.zeros_like(weights, dtype=torch.int32)

        def ready(part: Tensor, announced: Tensor = announced) -> None:
            assert part.isfinite().all()
            announced[part.storage_offset() : part.storage_offset() + part.numel()] += 1

        fast.load_weights(weights, gradient)
        loss = fast.gradient(weights, gradient, ready)
        assert loss == pytest.approx(reference.gradient(weights, expected, lambda _: None), rel=1e-5)
        assert (announced == 1).all()
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
        assert str(fast.describe_batch()) == str(reference.describe_batch())
        weights += 0.1 * step * torch.randn_like(weights)


def test_a_16_bit_gradient_is_the_rounded_one(shards: tuple[list[Path], list[Path]]) -> None:
    config = ModelConfig(layers=2, cells=8, bottleneck=8, subsampling=1)
    narrow, _ = tasks(config, shards, gradient_dtype=torch.bfloat16, chunk_rows=17)
    wide, _ = tasks(config, shards, chunk_rows=17)
    weights = wide.initial()
    rounded = torch.full_like(weights, torch.nan, dtype=torch.bfloat16)
    exact = torch.empty_like(weights)
    for task, gradient in ((narrow, rounded), (wide, exact)):
        task.load_weights(weights, gradient)
        task.gradient(weights, gradient, lambda _: None)
    assert torch.equal(rounded, exact.bfloat16())


def test_a_restored_task_goes_on_with_the_next_batch_and_its_own_dropout(
    shards: tuple[list[Path], list[Path]],
) -> None:
    config = ModelConfig(layers=2, cells=8, bottleneck=8, subsampling=1, dropout=0.4)
    first, _ = tasks(config, shards)
    second, _ = tasks(config, shards)
    weights, gradient = first.initial(), torch.empty(first.num_parameters)

    def step(task: CapturedTask, into: Tensor) -> float:
        task.load_weights(weights, into)
        return float(task.gradient(weights, into, lambda _: None))

    step(first, gradient)
    state = first.state_dict()
    loss = step(first, gradient)
    torch.manual_seed(99)
    other = torch.empty_like(gradient)
    second.load_state_dict(state)
    assert step(second, other) == loss
    assert torch.equal(gradient, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("cells", [16, 128])
def test_captured_steps_follow_float32_autograd_on_a_gpu(
    cells: int, shards: tuple[list[Path], list[Path]]
) -> None:
    """16 cells: cuDNN; 128: the persistent kernels, on a Hopper GPU."""
    config = ModelConfig(layers=2, cells=cells, bottleneck=16, deltas=1, subsampling=1)

    def feed() -> Feed:
        return Feed(*shards, 21, 30, 0, 1, seed=3, context=config.margin)

    fast = CapturedTask(AcousticModel(config, DIM, PDFS), feed(), 0)
    reference = AutogradTask(AcousticModel(config, DIM, PDFS), feed(), 0, device="cuda")
    weights = fast.initial()
    gradient, expected = torch.full_like(weights, torch.nan), torch.empty_like(weights)
    for _ in range(4):
        fast.load_weights(weights, gradient)
        loss = fast.gradient(weights, gradient, lambda _: None)
        assert float(loss) == pytest.approx(
            float(reference.gradient(weights, expected, lambda _: None)), rel=2e-3
        )
        assert (gradient - expected).norm() < 2e-2 * expected.norm()
        weights -= 2.0 * gradient


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("strategy", ["ad", "sd", "sc-allreduce", "bmuf"])
def test_in_virtual_time_a_gpu_gives_the_events_of_a_cpu_and_nearly_its_weights(
    strategy: str, shards: tuple[list[Path], list[Path]]
) -> None:
    """Learners that compute side by side, in float32, at unequal speeds."""
    cluster = Cluster(compute=Compute(fixed_s=1.0, jitter=0.3), between=Link(1, 50))

    def run(device: str) -> tuple[SimulationResult, list[Tensor]]:
        models: list[Tensor] = []

        def task(world: World, batch: int, seed: int) -> CapturedTask:
            config = ModelConfig(layers=2, cells=16, bottleneck=16, subsampling=1)
            feed = ResidentFeed(torch.device(device), *shards, 21, 4, world.rank, world.size, seed)
            model, place = AcousticModel(config, DIM, PDFS), (seed, world.rank, device)
            return CapturedTask(model, feed, *place, dtype=torch.float32, alone=False)

        def evaluate(weights: Tensor) -> float:
            models.append(weights.cpu())
            return 0.0

        workload = Workload(task, evaluate=evaluate, points=3, device=device)
        return simulate(strategy, Budget(12, 16, 4), cluster, workload=workload), models

    (there, expected), (here, found) = run("cpu"), run("cuda")
    assert (here.seconds, here.staleness) == (there.seconds, there.staleness)
    assert [point["seconds"] for point in here.curve] == [point["seconds"] for point in there.curve]
    for model, reference in zip(found, expected, strict=True):
        assert (model - reference).norm() < 1e-4 * reference.norm()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tasks_whose_graphs_run_at_the_same_time_draw_the_dropout_that_each_draws_alone(
    shards: tuple[list[Path], list[Path]],
) -> None:
    config = ModelConfig(layers=2, cells=16, bottleneck=16, subsampling=1, dropout=0.4)

    def task(rank: int) -> tuple[CapturedTask, SideBySide]:
        feed = Feed(*shards, 21, 30, rank, 3, seed=3, context=config.margin)
        made = CapturedTask(AcousticModel(config, DIM, PDFS), feed, 0, rank, alone=False)
        return made, SideBySide(made.device)

    def losses(together: list[tuple[CapturedTask, SideBySide]], steps: int = 8) -> list[list[float]]:
        vectors = [(one.initial(), torch.empty(one.num_parameters, device="cuda")) for one, _ in together]
        found: list[list[Tensor | float]] = [[] for _ in together]
        for _ in range(steps):
            for (one, beside), (weights, gradient), kept in zip(together, vectors, found, strict=True):
                with beside:
                    one.load_weights(weights, gradient)
                    kept.append(one.gradient(weights, gradient, lambda _: None))
        for _, beside in together:
            beside.join()
        return [[float(loss) for loss in kept] for kept in found]

    alone = [losses([task(rank)])[0] for rank in range(3)]
    assert losses([task(rank) for rank in range(3)]) == alone
