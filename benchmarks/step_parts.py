"""Error and time of the step's parts on a GPU, each beside PyTorch's own: recurrence, output layer, whole
gradient.

# Errors are relative to float32: |found - expected| / |expected|
python benchmarks/step_parts.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from dasr.config import MODELS
from dasr.cuda import kernels
from dasr.models import fast_head
from dasr.models.acoustic import AcousticModel
from dasr.models.fast_blstm import FastBLSTM
from dasr.models.fast_recurrence import Direction, Layer, LibraryLayer, PersistentLayer

STEPS = 21
GPU = torch.device("cuda", 0)


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected.float()).norm() / expected.float().norm())


def milliseconds(work: Callable[[], Any], repeats: int = 7) -> float:
    """Median, after two calls to warm up."""
    times = []
    for _ in range(repeats + 2):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times[2:])[repeats // 2]


def recurrence(cells: int, inputs: int, batch: int, teams: tuple[int, ...]) -> list[dict[str, Any]]:
    torch.manual_seed(batch)
    module = torch.nn.LSTM(inputs, cells, bidirectional=True).to(GPU)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_((2 * parameter).bfloat16())
    x = torch.randn(STEPS, batch, inputs, device=GPU).bfloat16()
    dy = torch.randn(STEPS, batch, 2 * cells, device=GPU).bfloat16()
    reference = x.float().requires_grad_()
    y, _ = module(reference)
    y.backward(dy.float())
    expected = {"y": y.detach().flatten(0, 1), "dx": reference.grad.flatten(0, 1)}
    expected |= {name: p.grad for name, p in module.named_parameters()}
    names = [
        [f"{kind}_l0{end}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        for end in ("", "_reverse")
    ]
    parameters = dict(module.named_parameters())
    values = [[parameters[n].detach() for n in half] for half in names]
    exact = [Direction(ih, hh, torch.stack(biases)) for ih, hh, *biases in values]
    weights = [Direction(*(t.bfloat16() for t in (d.ih, d.hh, d.biases))) for d in exact]
    gradients = [Direction(*(torch.full_like(t, torch.nan) for t in (d.ih, d.hh, d.biases))) for d in exact]
    counters = torch.zeros(2, 2 * (-(-batch // 64)), dtype=torch.int32, device=GPU)
    flat, d_flat = x.flatten(0, 1), dy.flatten(0, 1)
    rows = []
    makers: dict[str, Callable[[], Layer]] = {"cuDNN": LibraryLayer}
    for team in teams:
        makers[f"persistent, team of {team}"] = lambda team=team: PersistentLayer(
            cells, batch, GPU, counters, team
        )
    for what, make in makers.items():
        layer = make()
        copies: list[Tensor] = []

        def forward(layer: Layer = layer) -> Tensor:
            counters.zero_()
            return layer.forward(flat, STEPS, weights, exact)

        def both(layer: Layer = layer, forward: Callable[[], Tensor] = forward) -> Tensor | None:
            forward()
            return layer.backward(d_flat, gradients, True)

        found = {"y": forward()}
        found["dx"] = layer.backward(d_flat, gradients, True)
        for half, g in zip(names, gradients, strict=True):
            found |= dict(zip(half, (g.ih, g.hh, *g.biases), strict=True))
        row = {"part": f"layer {inputs}->2x{cells}", "batch": batch, "what": what}
        row |= {"error_y": error(found["y"], expected["y"]), "error_dx": error(found["dx"], expected["dx"])}
        row["error_gradient"] = max(error(found[n], expected[n]) for half in names for n in half)
        row["forward_ms"] = milliseconds(forward)
        row["ms"] = milliseconds(both)
        rows.append(row)
        del layer, copies
    return rows


def head(rows: int, chunks: tuple[int, ...], outputs: int = 32_000) -> list[dict[str, Any]]:
    torch.manual_seed(rows)
    linear = torch.nn.Linear(256, outputs).to(GPU)
    z = (2 * torch.randn(rows, 256, device=GPU)).bfloat16()
    labels = torch.randint(-1, outputs, (rows,), device=GPU, dtype=torch.int32)
    labels[::50] = -1
    weight, bias = linear.weight.detach().bfloat16(), linear.bias.detach().bfloat16()
    small = slice(0, 5376)
    exact = z[small].float().requires_grad_()
    w32, b32 = weight.float().requires_grad_(), bias.float().requires_grad_()
    loss = torch.nn.functional.cross_entropy(
        exact @ w32.t() + b32, labels[small].long(), ignore_index=-1, reduction="sum"
    )
    (loss / rows).backward()
    d_weight, d_bias = torch.empty_like(w32), torch.empty_like(b32)
    found, dz = fast_head.linear_cross_entropy(
        z[small], weight, bias, labels[small], 1 / rows, d_weight, d_bias, 2000
    )
    errors = [error(found, loss), error(dz, exact.grad), error(d_weight, w32.grad), error(d_bias, b32.grad)]
    result = []

    def plain() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            x = z.requires_grad_()
            out = torch.nn.functional.cross_entropy(linear(x), labels.long(), ignore_index=-1)
        linear.zero_grad(set_to_none=True)
        out.backward()

    result.append(
        {"part": "output layer", "batch": rows // STEPS, "what": "autocast", "ms": milliseconds(plain)}
    )
    z = z.detach()
    for chunk in chunks:

        def chunked(chunk: int = chunk) -> None:
            arguments = (z, weight, bias, labels, 1 / rows, d_weight, d_bias, chunk)
            fast_head.linear_cross_entropy(*arguments)

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        ms = milliseconds(chunked)
        gb = (torch.cuda.max_memory_allocated() - before) / 1e9
        row = {
            "part": "output layer",
            "batch": rows // STEPS,
            "what": f"chunks of {chunk}",
            "ms": ms,
            "gb": gb,
        }
        result.append(
            row | dict(zip(("error_loss", "error_dx", "error_gradient", "error_bias"), errors, strict=True))
        )
    logits = torch.randn(5376, outputs, device=GPU).bfloat16()
    losses, sums = torch.empty(5376, device=GPU), torch.empty(outputs, device=GPU)
    z, dl = z[:5376], torch.empty(5376, 256, device=GPU, dtype=torch.bfloat16)
    for what, work in {
        "logits": lambda: torch.addmm(bias, z, weight.t(), out=logits),
        "softmax": lambda: fast_head.softmax_gradient_(logits, labels[:5376], 1e-3, losses, sums),
        "dz": lambda: torch.mm(logits, weight, out=dl),
        "dW": lambda: fast_head.product_into(d_weight, logits.t(), z),
    }.items():
        result.append(
            {"part": "output layer, 5376 rows", "batch": 256, "what": what, "ms": milliseconds(work)}
        )
    return result


def whole(preset: str, dim: int, outputs: int, batch: int) -> list[dict[str, Any]]:
    """Gradient of the whole model against float32 autograd; bf16 autocast beside it."""
    torch.manual_seed(0)
    model = AcousticModel(MODELS[preset], dim, outputs)
    model.network.initialise(0)
    model = model.to(GPU).eval() if MODELS[preset].dropout == 0 else model.to(GPU)
    network = model.network.train()
    weights = torch.cat([p.detach().reshape(-1) for p in network.parameters()])
    inputs = model.config.inputs(dim)
    x = torch.randn(batch, STEPS, inputs, device=GPU)
    labels = torch.randint(outputs, (batch, STEPS), device=GPU, dtype=torch.int32)

    def autograd(cast: bool) -> Tensor:
        network.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=cast):
            logits = network(x).flatten(0, 1)
            torch.nn.functional.cross_entropy(logits, labels.flatten().long()).backward()
        return torch.cat([p.grad.reshape(-1) for p in network.parameters()])

    expected, autocast = autograd(False).clone(), autograd(True).clone()
    rows = [{"part": preset, "batch": batch, "what": "autocast", "error_gradient": error(autocast, expected)}]
    for what, persistent in {"cuDNN": False, "persistent": True}.items():
        gradient = torch.full_like(weights, torch.nan)
        fast = FastBLSTM(model, batch, STEPS, gradient, torch.bfloat16, persistent=persistent)
        fast.take(weights)
        with torch.no_grad():
            for _ in fast.run(x, labels):
                pass
        rows.append(
            {"part": preset, "batch": batch, "what": what, "error_gradient": error(gradient, expected)}
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    began = time.perf_counter()
    kernels.recurrence(512, 256, 0)
    rows: list[dict[str, Any]] = [
        {"part": "compiling the recurrence", "ms": 1e3 * (time.perf_counter() - began)}
    ]
    measurements: list[Callable[[], list[dict[str, Any]]]] = [
        lambda: recurrence(512, 1024, 256, (128, 256)),
        lambda: recurrence(512, 264, 128, (256,)),
        lambda: recurrence(320, 640, 300, (128, 256)),
        lambda: recurrence(512, 1024, 2560, (128, 256)),
        lambda: whole("swb2000", 260, 32_000, 256),
        lambda: head(5376, (5376,)),
        lambda: head(53_760, (5376, 10_752, 26_880)),
    ]
    for work in measurements:
        try:
            rows += work()
        except Exception as problem:
            rows.append({"part": "FAILED", "what": repr(problem)[:300]})
        torch.cuda.empty_cache()
    for row in rows:
        print(
            "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else str(v) for k, v in row.items()), flush=True
        )
    if args.json:
        args.json.write_text(
            json.dumps(
                {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}, indent=1
            )
        )


if __name__ == "__main__":
    main()
