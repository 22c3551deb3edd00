"""How much speech a comparison was made with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from dasr import checksums
from dasr.config import SPLITS, Config
from dasr.results.layout import Layout


@dataclass(frozen=True)
class SplitFacts:
    """What the acoustic model was given of one split."""

    split: str
    utterances: int
    speakers: int
    hours: float
    digest: str  # of the features: equal for equal ones


def gather(config: Config) -> list[SplitFacts]:
    """The splits whose features are there, from their shards' manifests.

    Raises UserError for a broken one."""
    return [facts for split in SPLITS if (facts := _of_split(config, split)) is not None]


def _of_split(config: Config, split: str) -> SplitFacts | None:
    layout = Layout.of(config)
    folders = sorted(
        path.parent for path in layout.features(config.features.kind, split).glob("[0-9]*/manifest.json")
    )
    if not folders:
        return None
    manifests = [checksums.read_manifest(folder) for folder in folders]
    sums = "".join(str(one.get("checksum")) for one in manifests)
    return SplitFacts(
        split,
        utterances=sum(int(one["num_utterances"]) for one in manifests),
        speakers=_speakers(layout, split),
        hours=sum(float(one["seconds"]) for one in manifests) / 3600,
        digest=hashlib.sha256(sums.encode()).hexdigest()[:16],
    )


def _speakers(layout: Layout, split: str) -> int:
    path = layout.data(split) / "utt2spk"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return len({line.split()[-1] for line in lines if line.strip()})
