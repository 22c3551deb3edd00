"""Does the fast step learn what plain float32 PyTorch learns? Same initial weights, same batches, held-out
loss after each.

python benchmarks/equality.py --features results/features/fbank/train --alignments results/alignments/train
The last shard is held out. Prints the difference of the held-out losses for each seed. *perturbed* is float32
again, from weights that differ by a millionth: how far rounding alone leads. *fast16*: 16-bit gradients.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from dasr.config import ModelConfig
from dasr.features.feed import Feed
from dasr.files import write_json
from dasr.learner import optimizer
from dasr.models import frontend
from dasr.models.acoustic import AcousticModel
from dasr.tasks.autograd_task import AutogradTask
from dasr.tasks.captured_task import CapturedTask

CHUNK = 21


class HeldOut:
    """Loss per frame of flat weights on the same chunks of the held-out shard, in float32."""

    def __init__(self, feed: Feed, model: AcousticModel, device: str):
        self.model, self.device = model.to(device).eval(), device
        self.batches = [feed.next() for _ in range(feed.num_chunks // feed.batch)]
        feed.close()

    @torch.inference_mode()
    def loss(self, weights: Tensor) -> float:
        torch.nn.utils.vector_to_parameters(weights.clone(), self.model.parameters())
        total = count = 0.0
        for batch in self.batches:
            frames, mean, istd, labels = (part.to(self.device) for part in batch)
            logits = self.model(frontend.normalise(frames, mean, istd)).flatten(0, 1)
            targets = labels.flatten().long()
            total += float(functional.cross_entropy(logits, targets, ignore_index=-1, reduction="sum"))
            count += float((targets >= 0).sum())
        return total / count


def trained(
    task: AutogradTask | CapturedTask, steps: int, rate: float, clip: float, perturbation: float = 0.0
) -> Tensor:
    """Flat weights after that many steps of SGD, from initial ones that are off by so much of themselves."""
    weights = task.initial()
    weights *= 1 + perturbation * torch.randn_like(weights)
    kind = task.gradient_dtype if isinstance(task, CapturedTask) else weights.dtype
    gradient, point = torch.zeros_like(weights, dtype=kind), torch.empty_like(weights)
    sgd = optimizer.make("sgd", weights, clip=clip)
    for _ in range(steps):
        if isinstance(task, CapturedTask):
            task.load_weights(weights, gradient)
        else:
            point.copy_(weights)
        task.gradient(point, gradient, lambda _: None)
        sgd.step(weights, gradient, rate)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--alignments", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--cells", type=int, default=512)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    features = sorted(p for p in args.features.iterdir() if (p / "manifest.json").exists())
    alignments = [args.alignments / p.name for p in features]
    pdfs = json.loads((alignments[0] / "manifest.json").read_text())["num_pdfs"]
    config = ModelConfig(layers=args.layers, cells=args.cells, bottleneck=256, deltas=2, subsampling=1)
    rows = []
    for seed in args.seeds:

        def feed(shards: slice, batch: int, seed: int = seed) -> Feed:
            chosen = features[shards], alignments[shards]
            return Feed(*chosen, CHUNK, batch, 0, 1, seed=seed, context=config.margin)

        heldout = HeldOut(feed(slice(-1, None), 256), AcousticModel(config, 40, pdfs), args.device)
        row: dict[str, float] = {"seed": seed}
        narrow = functools.partial(CapturedTask, gradient_dtype=torch.bfloat16)
        ways: list[tuple[str, Any]] = [
            ("float32", AutogradTask),
            ("perturbed", AutogradTask),
            ("fast", CapturedTask),
        ]
        if args.device != "cpu":
            ways.append(("fast16", narrow))
        for name, kind in ways:
            source = feed(slice(None, -1), args.batch)
            task = kind(AcousticModel(config, 40, pdfs), source, seed, device=args.device)
            perturbation = 1e-6 if name == "perturbed" else 0.0
            if not rows and name == "float32":
                row["heldout_before"] = heldout.loss(task.initial())
            began = time.perf_counter()
            row[f"heldout_{name}"] = heldout.loss(
                trained(task, args.steps, args.rate, args.clip, perturbation)
            )
            row[f"seconds_{name}"] = time.perf_counter() - began
            source.close()
            del task
        for name, _ in ways[1:]:
            row[f"difference_{name}"] = row[f"heldout_{name}"] / row["heldout_float32"] - 1
        rows.append(row)
        print("  ".join(f"{k} {v:.5g}" for k, v in row.items()), flush=True)
    if args.json:
        write_json(args.json, {"rows": rows, "arguments": {k: str(v) for k, v in vars(args).items()}})


if __name__ == "__main__":
    main()
