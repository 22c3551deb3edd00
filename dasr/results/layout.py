"""Where the features lie that the acoustic model sees."""

from __future__ import annotations

from pathlib import Path

from dasr.config import Config
from dasr.errors import UserError


def kind_folder(config: Config, split: str) -> Path:
    """R/features/KIND/SPLIT for the kind that the config gives the acoustic model (`features.kind`)."""
    return Path(config.results) / "features" / config.features.kind / split


def model_shards(config: Config, split: str) -> list[Path]:
    """The split's shards for the acoustic model, in order. Raises UserError naming the stage to run."""
    folder = kind_folder(config, split)
    found = sorted(path.parent for path in folder.glob("[0-9]*/manifest.json"))
    if not found:
        kind = folder.parent.name
        stage = "dasr adapt" if kind == "fmllr" else f"dasr features {kind}"
        raise UserError(f"no {kind} features of '{split}' in {folder}: run `{stage} --split {split}`")
    return found
