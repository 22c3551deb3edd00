"""What a run's config.yaml says beside what was configured."""

from pathlib import Path

import pytest
import yaml

from dasr import config as dasr_config
from dasr.training.run_metadata import write_record


def test_a_run_tells_the_values_that_count_where_presets_and_defaults_are_filled_in(tmp_path: Path) -> None:
    config = dasr_config.complete(
        {
            "model": {"preset": "demo", "cells": 32},
            "training": {"learning_rate": 0.5, "reference_batch": 32},
            "comparison": {"strategies": [{"strategy": "ad", "mixing": "random-ring"}], "batch": [64]},
        }
    )
    (run,) = dasr_config.runs(config)
    write_record(tmp_path, config, run)
    resolved = yaml.safe_load((tmp_path / "config.yaml").read_text())["resolved"]
    assert resolved["options"]["mixing"] == "random-ring" and len(resolved["options"]) > 1
    assert resolved["peak_learning_rate"] == pytest.approx(1.0), "twice the batch that 0.5 is for"
    assert resolved["model"]["cells"] == 32 and resolved["model"]["layers"] == 2
    assert resolved["training"]["epochs"] == 8
