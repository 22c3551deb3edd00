"""Exported files say what the model says, for any length, and are refused where they do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dasr import config as dasr_config
from dasr.config import Config, ModelConfig
from dasr.errors import UserError
from dasr.features.store import Utterance, write_shard
from dasr.inference import export
from dasr.models.acoustic import AcousticModel

DIM, PDFS = 10, 7
SHAPES = {
    "blstm": ModelConfig(layers=1, cells=8, bottleneck=8, subsampling=3, splice=2, deltas=1),
    "dnn": ModelConfig(kind="dnn", options={"layers": 1, "width": 8}, subsampling=1, splice=3),
    "tdnnf": ModelConfig(
        kind="tdnnf", options={"layers": 2, "width": 8, "bottleneck": 4, "stride": 2}, subsampling=2
    ),
    "conformer": ModelConfig(
        kind="conformer", options={"layers": 1, "width": 8, "heads": 2, "kernel": 3}, subsampling=1
    ),
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    draw = np.random.default_rng(0)
    frames = [draw.normal(size=(20 + 7 * k, DIM)).astype(np.float32) for k in range(3)]
    utterances = [Utterance(f"a-{n}", "a", one) for n, one in enumerate(frames)]
    write_shard(tmp_path / "features" / "fmllr" / "dev" / "0000", utterances, "fmllr", {})
    return dasr_config.complete({"results": str(tmp_path), "training": {"criterion": "ctc"}})


def model(kind: str) -> AcousticModel:
    made = AcousticModel(SHAPES[kind], DIM, PDFS)
    made.initialise(0)
    return made.eval()


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("whole", [False, True])
def test_the_portable_module_is_the_model(kind: str, whole: bool, config: Config) -> None:
    original = model(kind)
    portable = export.Portable(original, whole)
    for frames in export.real_frames(config, original, portable.margin):
        with torch.inference_mode():
            found = portable(torch.from_numpy(frames)).numpy()
        np.testing.assert_allclose(found, export.original(original, portable, frames), atol=1e-6)
        assert found.shape[1] == -(-(frames.shape[1] - 2 * portable.margin) // original.subsampling)


@pytest.mark.parametrize("to", export.WRITERS)
@pytest.mark.parametrize("kind", ["blstm", "tdnnf", "conformer"])
def test_an_exported_file_gives_the_same_for_other_lengths_and_batches(
    kind: str, to: str, config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "model.bin"
    original = model(kind)
    assert export.export(config, original, to, path) <= export.PARITY
    told = json.loads((tmp_path / "model.bin.json").read_text())
    frames = np.random.default_rng(1).normal(size=(3, 48 + 2 * told["margin"], DIM)).astype(np.float32)
    expected = export.original(original, export.Portable(original, True), frames)
    if to == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        found = session.run(None, {"frames": frames})[0]
    else:
        found = torch.jit.load(str(path))(torch.from_numpy(frames)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=export.PARITY)
    assert found.shape == (3, 48 // told["subsampling"], PDFS)


def test_a_file_that_differs_from_the_model_is_not_written(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = export.original
    monkeypatch.setattr(export, "original", lambda *given: right(*given) + 2e-4)
    with pytest.raises(UserError, match=r"differs from the original by 0\.0002"):
        export.export(config, model("dnn"), "torchscript", tmp_path / "m.pt")
    assert not (tmp_path / "m.pt").exists()
