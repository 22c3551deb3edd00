"""What a run was: its configuration, the code and the environment, kept in its folder."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

import dasr
from dasr import checksums
from dasr.config import Config, Run
from dasr.learner import recipe, schedule
from dasr.strategies import registry


def write_record(run_dir: Path, config: Config, run: Run) -> None:
    """Write the run's config.yaml: resolved configuration, run, code version, environment."""
    training = recipe.training_of(config.training, run.strategy, dict(run.training))
    record = {
        **config.plain(),
        "run": {
            **asdict(run),
            "options": dict(run.options),
            "training": dict(run.training),
            "name": run.name,
        },
        "resolved": {
            "model": config.model.shape.values(),
            "training": training.model_dump(),
            "options": {**_defaults(run.strategy), **dict(run.options)},
            "peak_learning_rate": training.learning_rate * schedule.scale(training, run.batch),
        },
        "code": {"version": dasr.__version__, "commit": _commit()},
        "environment": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "platform": platform.platform(),
            "host": platform.node(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
    with checksums.sealed(run_dir / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(record, sort_keys=False), encoding="utf-8")


def _defaults(strategy: str) -> dict[str, Any]:
    """Options that the strategy has a default for."""
    plain = (bool, int, float, str, type(None))  # what a configuration can say
    found = registry.options(strategy)
    return {name: one.default for name, one in found.items() if isinstance(one.default, plain)}


def _commit() -> str | None:
    """The commit of the code, with a mark where files differ from it; None outside a clone."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
