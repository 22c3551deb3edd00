"""A run's model as MLflow loads it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dasr.config import ModelConfig
from dasr.models import acoustic
from dasr.tracking import model


@pytest.mark.slow  # MLflow's imports
def test_the_loaded_model_gives_the_log_posteriors_and_its_signature_their_shape(tmp_path: Path) -> None:
    import mlflow.pyfunc

    torch.manual_seed(0)
    ours = acoustic.AcousticModel(ModelConfig(layers=1, cells=4, bottleneck=4), feature_dim=5, num_outputs=7)
    acoustic.save(ours, tmp_path / acoustic.MODEL_FILE)
    model.save(tmp_path / acoustic.MODEL_FILE, tmp_path / "saved")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    frames = torch.randn(23, 5)
    theirs = loaded.predict(frames.numpy())
    assert torch.equal(torch.from_numpy(theirs), ours.log_posteriors(frames))
    signature = loaded.metadata.signature
    assert [one.shape for one in signature.inputs] == [(-1, 5)]
    assert [one.shape for one in signature.outputs] == [(-1, 7)]
