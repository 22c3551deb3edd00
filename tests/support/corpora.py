"""What the tests of corpora share: a configuration, and a Kaldi table as a mapping."""

from pathlib import Path
from typing import Any

from dasr.config import Config, complete

SPLITS = ("train", "dev", "test")


def config(results: Path, shards: int = 1, **settings: Any) -> Config:
    sizes = {split: shards for split in SPLITS}
    return complete({"results": str(results), "corpus": settings, "features": {"shards": sizes}})


def table(path: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())


def settings(data: Path, **more: Any) -> dict[str, Any]:
    """`corpus` of a configuration for a Kaldi data directory."""
    return {"kind": "kaldi", "path": str(data), "dev_speakers": 1, "max_bad_fraction": 0.2, **more}
