"""A run's network in a format that needs no dasr: ONNX or TorchScript, checked against the original.

It takes `frames`, float32 [batch, T + 2 margin, dim]: normalised features with `margin` frames of context at
either end, and gives `log_posteriors`, float32 [batch, T / subsampling, outputs]. The front end (deltas,
splicing, stacking) is inside; what a decoder needs besides is in the JSON file beside the model.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dasr.config import Config
from dasr.errors import UserError
from dasr.features import deltas
from dasr.features.store import Shard
from dasr.files import atomic, write_text
from dasr.models.acoustic import AcousticModel
from dasr.results.layout import Layout, model_shards

PARITY = 1e-4  # largest difference of a log-posterior
CHECKED = 8  # utterances
EXAMPLE_FRAMES = 42
Floats = NDArray[np.float32]
Runner = Callable[[Floats], Floats]


class Portable(nn.Module):
    """An acoustic model in operations that can be traced for any length."""

    def __init__(self, model: AcousticModel, whole: bool) -> None:
        """`whole`: it has learned from whole utterances, without context at their ends."""
        super().__init__()
        whole = whole or model.network.context is None
        self.network, self.config = model.network, model.config
        self.margin = model.config.margin if whole else model.margin
        self.cut = (self.margin - model.config.margin) // model.subsampling
        self.eval()

    def forward(self, frames: Tensor) -> Tensor:
        x = deltas.of_chunks(frames, self.config.deltas) if self.config.deltas else frames
        size, step = self.config.subsampling + 2 * self.config.splice, self.config.subsampling
        # As frontend.inputs(), whose unfold() cannot be traced for any length
        inputs = torch.cat([x[:, k : (k + 1 - size) or None : step] for k in range(size)], dim=2)
        lengths = torch.ones_like(inputs[:, :, 0]).sum(1).long()
        logits = self.network(inputs, lengths)[0]
        inner: Tensor = logits[:, self.cut : -self.cut or None]
        return inner.log_softmax(dim=-1)


def export(config: Config, model: AcousticModel, to: str, path: Path) -> float:
    """Write `path` and `path`.json; return the largest difference from the original on dev's first
    utterances.

    Raises UserError where that is above PARITY, or what is needed is not installed."""
    portable = Portable(model, config.training.criterion == "ctc")
    with tempfile.TemporaryDirectory(prefix="dasr-") as folder:
        made = Path(folder) / "model"
        runner = WRITERS[to](
            portable, torch.zeros(2, EXAMPLE_FRAMES * model.subsampling, model.feature_dim), made
        )
        difference = max(
            float(np.abs(runner(frames) - original(model, portable, frames)).max())
            for frames in real_frames(config, model, portable.margin)
        )
        if not difference <= PARITY:
            raise UserError(
                f"the exported model differs from the original by {difference:.2g} (more than {PARITY:g}): "
                f"{path} is not written"
            )
        with atomic(path) as temporary:
            temporary.write_bytes(made.read_bytes())
    write_text(path.with_name(path.name + ".json"), json.dumps(facts(config, model, portable)) + "\n")
    return difference


def original(model: AcousticModel, portable: Portable, frames: Floats) -> Floats:
    """What the trained model itself says to the same frames."""
    given = torch.from_numpy(frames)
    with torch.inference_mode():
        if portable.margin == model.config.margin:
            length = torch.full((len(given),), given.shape[1] - 2 * portable.margin)
            logits = model.utterances(given, length)
        else:
            logits = model(given)
        found: Floats = logits.log_softmax(dim=-1).numpy()
    return found


def real_frames(config: Config, model: AcousticModel, margin: int) -> list[Floats]:
    """Frames of dev's first utterances, each [1, T + 2 margin, dim], T whole outputs. Raises UserError."""
    shard = Shard.open(model_shards(config, "dev")[0])
    found = []
    for number in range(min(CHECKED, len(shard.utterances))):
        frames = shard.normalised(number)
        length = len(frames) // model.subsampling * model.subsampling
        if length:
            found.append(np.pad(frames[:length], ((margin, margin), (0, 0)), "edge")[None])
    return found


def facts(config: Config, model: AcousticModel, portable: Portable) -> dict[str, Any]:
    """What a decoder needs to know; log_priors: of the tied states, to be taken from the log-posteriors."""
    from dasr.hmm.system import HmmSystem

    hybrid = config.training.criterion == "ce"
    return {
        "features": config.features.kind,
        "bins": config.features.bins,
        "sample_rate": config.corpus.sample_rate,
        "dim": model.feature_dim,
        "normalisation": "mean 0 and variance 1 of each dimension over a speaker's utterances",
        "margin": portable.margin,
        "subsampling": model.subsampling,
        "outputs": model.num_outputs,
        "log_priors": HmmSystem.load(Layout.of(config).hmm).log_priors.tolist() if hybrid else None,
    }


def _onnx(portable: Portable, example: Tensor, path: Path) -> Runner:
    try:
        import onnx  # noqa: F401  # torch's exporter wants it
        import onnxruntime
    except ImportError:
        raise UserError("ONNX wants onnxruntime and onnx: pip install 'dasr[onnx]'") from None
    exporter: Any = torch.onnx
    exporter.register_custom_op_symbolic("aten::trace", _trace, 9)
    with warnings.catch_warnings(), _no_operator_missing():
        warnings.simplefilter("ignore")  # the tracer's, of branches that its example decides
        exporter.export(
            portable,
            (example,),
            str(path),
            dynamo=False,  # the other exporter unrolls an LSTM to the length of the example
            input_names=["frames"],
            output_names=["log_posteriors"],
            dynamic_axes={name: {0: "batch", 1: name + "_length"} for name in ("frames", "log_posteriors")},
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda frames: np.asarray(session.run(None, {"frames": frames})[0], np.float32)


def _trace(graph: Any, matrix: Any) -> Any:
    """The trace of a matrix, which the exporter does not know (tdnnf has one)."""
    diagonal = graph.op("Mul", matrix, graph.op("EyeLike", matrix))
    return graph.op("ReduceSum", diagonal, keepdims_i=0)


@contextlib.contextmanager
def _no_operator_missing() -> Iterator[None]:
    try:
        yield
    except torch.onnx.errors.UnsupportedOperatorError as error:
        why = str(error).splitlines()[0]
        raise UserError(f"this model cannot be written as ONNX: {why}; try --to torchscript") from None


def _torchscript(portable: Portable, example: Tensor, path: Path) -> Runner:
    jit: Any = torch.jit
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # as above, and that TorchScript is old
        jit.trace(portable, (example,), check_trace=False).save(str(path))
        loaded = jit.load(str(path))

    def run(frames: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = loaded(torch.from_numpy(frames)).numpy()
        return found

    return run


WRITERS: dict[str, Callable[[Portable, Tensor, Path], Runner]] = {
    "onnx": _onnx,
    "torchscript": _torchscript,
}
