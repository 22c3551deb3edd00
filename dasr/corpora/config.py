"""Where the speech comes from: the config's section `corpus`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CorpusConfig:
    """Fields of the config's section `corpus`; the schema holds their defaults and ranges."""

    kind: str  # an4, or kaldi: existing data directories
    path: Path  # an4: the folder with wav/ and etc/; kaldi: the one with train, test and perhaps dev
    dev_speakers: int  # training speakers held out as dev where the corpus has none
    limit: int | None  # at most this many utterances a split
    sample_rate: int
    resample: bool  # audio of another rate, instead of setting it aside
    allow_pipes: bool  # a wav.scp entry that ends in | runs a command
    max_bad_fraction: float  # of utterances that a stage may set aside; beyond it the stage stops

    @classmethod
    def of(cls, config: dict[str, Any]) -> CorpusConfig:
        """From a configuration that the schema has accepted."""
        return cls(**{**config["corpus"], "path": Path(config["corpus"]["path"])})
