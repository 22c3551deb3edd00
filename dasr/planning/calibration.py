"""`dasr calibrate`: times compute, exchange, all-reduce and the store here, and fits a cluster description.

exchange of n bytes           latency + n / rate
ring all-reduce of n bytes    2 (L - 1) (latency' + n / L / rate')
"""

from __future__ import annotations

import datetime
import functools
import platform
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dasr.errors import UserError
from dasr.planning.probe import Times, Work, probe
from dasr.worlds.interface import Ready
from dasr.worlds.process.activities import ignore
from dasr.worlds.process.world import ProcessWorld
from dasr.worlds.simulated.clusters import Cluster, Compute, Link, Measured

if TYPE_CHECKING:
    from dasr.features.feed import Batch
    from dasr.models.acoustic import AcousticModel

STEPS_TIMED = 12
CHUNK = 21  # frames of a sample
DIM, PDFS = 260, 32_000  # features and outputs of the paper's model
DEMO_DIM, DEMO_PDFS = 40, 400
MODEL = {"cpu": "the demo model", "cuda": "the paper's model"}
AT_ONCE = 10  # steps that a GPU is given before it is waited for


def fit_link(times: Times, hops: int = 1, part: float = 1.0) -> Link:
    """The link over which `hops` messages of `part` of the bytes, one after another, take these times:

        seconds = hops latency + max(0, hops part bytes - burst) / rate

    Least squares of the relative errors, for the burst (a token bucket's) that fits best."""
    size = np.array(list(times), dtype=np.float64) * hops * part
    seconds = np.array(list(times.values()), dtype=np.float64)
    best: tuple[float, Link] | None = None
    for burst in [0.0, *(float(1 << power) for power in range(13, 23) if 1 << power <= size[-1] / 8)]:
        carried = np.maximum(size - burst, 0.0)
        columns = np.stack([np.full_like(size, hops), carried], axis=1) / seconds[:, None]
        (latency, per_byte), *_ = np.linalg.lstsq(columns, np.ones_like(size), rcond=None)
        if per_byte <= 0 or latency <= 0:
            continue
        error = float(np.square(columns @ [latency, per_byte] - 1).sum())
        if best is None or error < 0.9 * best[0]:  # a burst must earn its place
            best = error, Link(float(8e-9 / per_byte), float(latency * 1e6), burst_bytes=burst)
    if best is None:
        raise UserError("the times do not grow with the size of messages: run with a larger --max-mb")
    return best[1]


def fit(
    name: str,
    measured: Sequence[dict[str, Any]],
    compute: Compute,
    nodes: Sequence[int],
    origin: Measured | None = None,
) -> Cluster:
    """The description of the cluster on which `measured` (one entry a learner) was taken."""
    size = len(measured)
    link = fit_link(_as_times(measured[0]["exchange"]))
    ring = fit_link(_as_times(measured[0]["all_reduce"]), 2 * (size - 1), 1 / size)
    return Cluster(
        name=name,
        learners_per_node=max(1, sum(node == nodes[0] for node in nodes)),
        own_links=True,
        inside=link,
        between=link,
        collectives=ring,
        flow_contention=_typical(measured, "flow_contention"),
        all_reduce="ring",
        store_us=max(one["store"] for one in measured) * 1e6,
        store_busy_us=statistics.median(one["store_busy"] for one in measured) * 1e6,
        compute_slowdown=_typical(measured, "compute_slowdown"),
        compute_slowdown_jitter=_typical(measured, "compute_slowdown_jitter"),
        message_slowdown=_typical(measured, "message_slowdown"),
        compute=compute,
        measured=origin,
    )


def _typical(measured: Sequence[dict[str, Any]], what: str) -> float:
    return round(float(statistics.median(one[what] for one in measured)), 2)


def _as_times(found: dict[Any, float]) -> Times:
    return {int(size): seconds for size, seconds in found.items()}  # JSON turns keys into strings


def measure(
    name: str,
    processes: int,
    step_seconds: float | None,
    local_batch: int,
    max_mb: float,
    repeats: int,
    device: str = "cpu",
) -> Cluster:
    """Calibrate with `processes` learners on this host, on CPUs or GPUs. Raises UserError where they cannot
    run."""
    from dasr.worlds.process.local_launch import ProcessFailed, run_processes

    learner = functools.partial(
        _calibrate_process,
        max_bytes=int(max_mb * 2**20),
        repeats=repeats,
        local_batch=local_batch,
        step_seconds=step_seconds,
    )
    if device == "cuda" and torch.cuda.device_count() < processes:
        raise UserError(f"{processes} learners need as many GPUs, and here are {torch.cuda.device_count()}")
    try:
        measured = run_processes(processes, learner, device=device)
    except ProcessFailed as error:
        raise UserError(f"calibration failed: {error}") from None
    model, parameters = "a gradient time that was given", None
    if step_seconds is None:
        step_seconds = max(one["step"] for one in measured)
        model, parameters = MODEL[device], int(measured[0]["parameters"])
        compute = Compute(per_sample_s=step_seconds / local_batch)
    else:
        compute = Compute(fixed_s=step_seconds)
    origin = Measured(
        model=model,
        parameters=parameters,
        local_batch=local_batch,
        learners=processes,
        device=device,
        max_mb=max_mb,
        repeats=repeats,
        host=platform.node(),
        date=datetime.date.today().isoformat(),
    )
    return fit(name, measured, compute, [0] * processes, origin)


def _calibrate_process(
    world: ProcessWorld, max_bytes: int, repeats: int, local_batch: int, step_seconds: float | None
) -> dict[str, Any]:
    """One learner. A gradient time that is given is another device's: it leaves this processor alone."""
    torch.set_num_threads(1)
    on_gpu = world.device.type == "cuda"
    step = gpu_step if on_gpu else demo_step
    work = step(local_batch) if step_seconds is None or on_gpu else _sleeping(step_seconds)
    found = world.run(probe(world, max_bytes, repeats, work))
    if step_seconds is None:
        times = []
        for _ in range(STEPS_TIMED):  # all learners compute at once
            start = time.perf_counter()
            for _ in range(AT_ONCE if on_gpu else 1):  # a GPU is given the next before the last is done
                work(ignore)
            if on_gpu:
                torch.cuda.synchronize()
            times.append((time.perf_counter() - start) / (AT_ONCE if on_gpu else 1))
        found["step"] = statistics.median(times[2:])
        model = paper_model() if on_gpu else demo_model()
        found["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return found


class SameBatch:
    """A feed that costs nothing: one batch for ever."""

    def __init__(self, given: Batch):
        self._given, self.batch = given, len(given.frames)

    def next(self) -> Batch:
        return self._given

    def describe(self) -> str:
        return "of the same samples"

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": 0, "position": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is only one."""


def _sleeping(seconds: float) -> Work:
    return lambda ready: time.sleep(seconds)


def paper_model() -> AcousticModel:
    """The model that GPUs are timed with."""
    from dasr.config import MODELS
    from dasr.models.acoustic import AcousticModel

    return AcousticModel(MODELS["swb2000"], DIM, PDFS)


def demo_model() -> AcousticModel:
    """The model that processors are timed with: the demo's, of the size that it has on AN4."""
    from dasr.config import MODELS
    from dasr.models.acoustic import AcousticModel

    return AcousticModel(MODELS["demo"], DEMO_DIM, DEMO_PDFS)


def gpu_step(local_batch: int) -> Work:
    """Gradient and update of the paper's model on random features, put on the current GPU's stream."""
    from dasr.features.feed import Batch
    from dasr.tasks.captured_task import CapturedTask

    model = paper_model()
    frames = torch.randn(local_batch, CHUNK + 2 * model.config.margin, DIM).half()
    labels = torch.randint(PDFS, (local_batch, CHUNK), dtype=torch.int32)
    batch = Batch(frames, torch.zeros(local_batch, DIM), torch.ones(local_batch, DIM), labels)
    task = CapturedTask(model, SameBatch(batch), 0)
    weights = task.initial()
    gradient = torch.zeros_like(weights)

    def step(ready: Ready) -> None:
        task.load_weights(weights, gradient)
        task.gradient(weights, gradient, ready)
        weights.add_(gradient, alpha=-1e-6)

    step(ignore)
    return step


def demo_step(local_batch: int) -> Work:
    """Forward, backward and update of the demo model on random features."""
    model = demo_model()
    inputs = torch.randn(local_batch, CHUNK + 2 * model.config.margin, DEMO_DIM)
    optimizer = torch.optim.SGD(model.parameters(), 1e-6)

    def step(ready: Ready) -> None:
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()

    return step
