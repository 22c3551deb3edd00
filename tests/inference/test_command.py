"""`dasr transcribe` and `dasr export` refuse what they cannot use in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from dasr.cli import dasr
from dasr.errors import UserError


def test_a_run_without_a_model_and_one_that_is_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"results": str(tmp_path / "results")}))
    soundfile.write(tmp_path / "a.wav", np.zeros(1600, np.float32), 16000)

    def refused(*arguments: str) -> str:
        with pytest.raises(UserError) as caught:
            CliRunner().invoke(dasr, [*arguments, "--config", str(path)], catch_exceptions=False)
        return str(caught.value)

    audio = str(tmp_path / "a.wav")
    assert "no run 'add-L4-B32-S0'" in refused("transcribe", "add-L4-B32-S0", audio)
    assert "has not been trained to its end" in refused("transcribe", "ad-L4-B32-S0", audio)
    assert "has not been trained to its end" in refused("export", "ad-L4-B32-S0", "--to", "onnx")
