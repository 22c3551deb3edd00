"""Reading an alignment shard: labels that mirror a feature shard, checked against it and their manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from dasr.errors import UserError
from dasr.features.store import REMAKE, Shard, checksum, read_array, read_manifest


def set_aside(folder: Path) -> set[str]:
    """Utterances that the alignment left out, from its manifest. Raises UserError if that is missing."""
    return {entry["utterance"] for entry in read_manifest(folder).get("rejected", [])}


def read_labels(folder: Path, shard: Shard) -> NDArray[np.int32]:
    """int32 [num_frames], pdf ids, -1 where an utterance was rejected. Raises UserError if they do not fit
    `shard`.
    """
    path = Path(folder) / "labels.zarr"
    try:
        group = zarr.open_group(str(path), mode="r")
    except (OSError, ValueError, KeyError):
        raise UserError(f"{path} cannot be opened; {REMAKE}") from None
    labels, offsets = (read_array(group, name, path) for name in ("labels", "offsets"))
    if not np.array_equal(offsets, shard.offsets) or len(labels) != shard.num_frames:
        raise UserError(f"{path} was made from other features than {shard.folder}; {REMAKE}")
    told = read_manifest(folder).get("checksum")
    if told is not None and told != checksum([labels, offsets]):
        raise UserError(f"{path} does not have the checksum of its manifest.json; {REMAKE}")
    return labels.astype(np.int32, copy=False)
