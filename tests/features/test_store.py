"""Shards of features on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zarr

from dasr import checksums
from dasr.config import Config
from dasr.errors import UserError
from dasr.features.extraction import make
from dasr.features.store import Shard


def test_a_shard_that_was_not_finished_or_does_not_match_its_manifest_is_refused(
    small: Config,
) -> None:
    make(small, "fbank", "train", "0000")
    folder = Path(small.results) / "features" / "fbank" / "train" / "0000"

    def broken(change: Callable[[], Any], message: str) -> None:
        make(small, "fbank", "train", "0000")
        change()
        with pytest.raises(UserError, match=message):
            _ = Shard.open(folder).frames

    broken((folder / "manifest.json").unlink, "not a finished shard")
    broken(lambda: (folder / "manifest.json").write_text("{"), "cannot be read")
    broken(
        lambda: checksums.write_manifest(folder, {**checksums.read_manifest(folder), "dim": 41}),
        "does not match",
    )
    broken(lambda: (folder / "frames.zarr/frames/zarr.json").write_text("{}"), r"frames\.zarr is corrupt")
    broken((folder / "frames.zarr" / "frames" / "c" / "0" / "0").unlink, "1 of 1 chunks of 'frames' missing")

    def flip() -> None:
        array = zarr.open_group(str(folder / "frames.zarr"), mode="r+")["frames"]
        array[5, 5] = array[5, 5] + 1

    broken(flip, "does not have the checksum")
