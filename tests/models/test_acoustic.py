"""Models on disk, and log-posteriors for decoding."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dasr.config import ModelConfig
from dasr.errors import UserError
from dasr.models import acoustic
from dasr.models.acoustic import AcousticModel

CONFIG = ModelConfig(layers=1, cells=6, bottleneck=5, subsampling=3, splice=1)


@pytest.mark.parametrize("frames", [1, 2, 7, 50])
def test_there_is_a_distribution_for_every_frame_whatever_the_subsampling(frames: int) -> None:
    posteriors = AcousticModel(CONFIG, 4, 9).log_posteriors(torch.randn(frames, 4))
    assert posteriors.shape == (frames, 9)
    torch.testing.assert_close(posteriors.exp().sum(1), torch.ones(frames))


def test_several_utterances_together_give_what_each_gives_alone() -> None:
    model = AcousticModel(CONFIG, 4, 9)
    utterances = [torch.randn(length, 4) for length in (1, 40, 17, 90)]
    for together, alone in zip(model.log_posteriors_of(utterances), utterances, strict=True):
        torch.testing.assert_close(together, model.log_posteriors(alone), atol=1e-5, rtol=0)


def test_a_model_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    model = AcousticModel(CONFIG, 4, 9)
    acoustic.save(model, tmp_path / acoustic.MODEL_FILE)
    back = acoustic.load(tmp_path)
    assert back.config == CONFIG
    frames = torch.randn(20, 4)
    assert torch.equal(back.log_posteriors(frames), model.log_posteriors(frames))


def test_a_missing_or_damaged_model_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has not been trained to its end"):
        acoustic.load(tmp_path)
    path = tmp_path / acoustic.MODEL_FILE
    acoustic.save(AcousticModel(CONFIG, 4, 9), path)
    path.write_bytes(path.read_bytes()[:-100])
    for read in (lambda: acoustic.load(tmp_path), lambda: acoustic.dimensions(path)):
        with pytest.raises(UserError, match="not an acoustic model of dasr"):
            read()


def relabelled(folder: Path, shape: dict[str, Any]) -> None:
    """A model whose checksum is right and whose shape is `shape`."""
    path = folder / acoustic.MODEL_FILE
    acoustic.save(AcousticModel(CONFIG, 4, 9), path)
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata()
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    kept = json.loads(metadata["acoustic_model"])
    kept["config"] |= shape.pop("config", {})
    metadata["acoustic_model"] = json.dumps({**kept, **shape})
    metadata["checksum"] = acoustic._checksum(tensors, metadata)
    save_file(tensors, path, metadata)


@pytest.mark.parametrize(
    "shape",
    [
        {"config": {"cells": -1}},
        {"config": {"unknown": 1}},
        {"config": {"kind": "nothing"}},
        {"config": {"cells": 7}},
        {"feature_dim": "4"},
        {"num_outputs": 10},
        {"num_outputs": None},
    ],
)
def test_a_foreign_model_whose_shape_does_not_fit_is_one_line(tmp_path: Path, shape: dict[str, Any]) -> None:
    relabelled(tmp_path, shape)
    with pytest.raises(UserError, match=r"model\.safetensors is not an acoustic model of dasr") as told:
        acoustic.load(tmp_path)
    assert "\n" not in str(told.value)


def test_a_python_file_that_only_the_model_names_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    kind = f"{tmp_path}/evil.py:Net"
    relabelled(tmp_path, {"config": {"kind": kind, "options": {}}})
    with pytest.raises(UserError, match=r"which model\.kind does not name"):
        acoustic.load(tmp_path, own_kind="blstm")
    assert not (tmp_path / "ran").exists()
