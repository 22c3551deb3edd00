"""A shard of labels: the pdf of each frame of a feature shard, in `labels.zarr`, and `manifest.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr import checksums
from dasr.errors import UserError
from dasr.features.store import REMAKE, Shard, checksum, open_group, read_array, read_manifest, write_arrays
from dasr.files import check_place

REJECTED = -1  # the label of every frame of a rejected utterance


def write_labels(
    folder: Path,
    labels: NDArray[np.int32],
    offsets: NDArray[np.int64],
    utterances: Sequence[str],
    num_pdfs: int,
    about: dict[str, Any],
) -> None:
    """Write `labels` [num_frames] of utterances that begin at `offsets`, then the manifest with `about`."""
    check_place(folder / checksums.MANIFEST)
    (folder / checksums.MANIFEST).unlink(missing_ok=True)
    arrays: dict[str, NDArray[Any]] = {"labels": labels, "offsets": offsets}
    write_arrays(folder / "labels.zarr", arrays, {"utterances": list(utterances), "num_pdfs": num_pdfs})
    counts = {
        "num_frames": len(labels),
        "num_labelled": int((labels != REJECTED).sum()),
        "num_utterances": len(utterances),
        "num_pdfs": num_pdfs,
        "checksum": checksum([labels, offsets]),
    }
    checksums.write_manifest(folder, {**about, **counts})


def rejected_in(folder: Path) -> set[str]:
    """Utterances that the alignment rejected, from its manifest. Raises UserError if that is missing."""
    return {entry["utterance"] for entry in read_manifest(folder).get("rejected", [])}


def read_labels(folder: Path, shard: Shard) -> NDArray[np.int32]:
    """int32 [num_frames], pdf ids, REJECTED in rejected utterances. Raises UserError if they do not fit
    `shard`.
    """
    path = Path(folder) / "labels.zarr"
    group = open_group(path)
    labels, offsets = (read_array(group, name, path) for name in ("labels", "offsets"))
    if not np.array_equal(offsets, shard.offsets) or len(labels) != shard.num_frames:
        raise UserError(f"{path} was made from other features than {shard.folder}; {REMAKE}")
    stated = read_manifest(folder).get("checksum")
    if stated is not None and stated != checksum([labels, offsets]):
        raise UserError(f"{path} does not have the checksum of its manifest.json; {REMAKE}")
    return labels.astype(np.int32, copy=False)
