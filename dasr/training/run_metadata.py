"""What a run was: its configuration, the code and the environment, kept in its folder; and its identity."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

import dasr
from dasr.config import Config, Run
from dasr.files import write_text

FREE = {"checkpoint_seconds"}  # may change between two parts of a run's life


def identity(config: Config, run: Run, num_chunks: int) -> dict[str, Any]:
    """Everything that a checkpoint's meaning depends on, as a flat mapping of dotted names."""
    parts = {
        "model": config.model.shape.model_dump(),
        "training": config.training.model_dump(exclude=FREE),
        "features": config.features.model_dump(exclude={"shards"}),
        "hmm": config.hmm.model_dump(),
        "run": run.name,
        "chunks of training data": num_chunks,
    }
    return dict(_flat(parts))


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def write_record(run_dir: Path, config: Config, run: Run) -> None:
    """Write the run's config.yaml: resolved configuration, run, code version, environment."""
    record = {
        **config.plain(),
        "run": {**asdict(run), "options": dict(run.options), "name": run.name},
        "resolved": {
            "model": config.model.shape.model_dump(),
            "training": config.training.model_dump(),
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
    write_text(run_dir / "config.yaml", yaml.safe_dump(record, sort_keys=False))


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
