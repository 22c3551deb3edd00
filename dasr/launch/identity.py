"""What a run is trained on, kept as `identity.json` in its folder: options, and checksums of its data.

A checkpoint goes on, and a finished model stands, only for the identity that it was made with. `dasr train`
decides, before it submits a job: what is of another identity goes, whole, into the folder `replaced-N` beside
it, and training begins from step 0. Learners compare and refuse. Checksums are those of contents: data that a
stage has made again, byte for byte, are the same data.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dasr import checksums
from dasr.config import Config, Run
from dasr.errors import UserError
from dasr.files import make_folder, write_json
from dasr.learner import recipe
from dasr.models import registry as models
from dasr.plugins import FILE as FROM_FILE
from dasr.results.layout import HELDOUT, METRICS, MODEL
from dasr.strategies import registry
from dasr.tasks.setup import data_of
from dasr.tasks.transcribed import TranscribedShards

logger = logging.getLogger(__name__)

Identity = dict[str, Any]  # flat: a name that can be shown -> number, text or None

FILE = "identity.json"
# What an identity leaves
TRAINED = ("checkpoints", "snapshots", METRICS, HELDOUT, "config.yaml", MODEL, checksums.MANIFEST)
FREE = {"checkpoint_seconds"}  # may change between two parts of a run's life
MOVING = ".replaced"  # while it is moved
SHOWN = 3  # names of what differs

# Sums of more than 32,768 numbers are split among threads, so their number changes the last bits. It counts
# for what is resumed; a finished run is not computed again because another machine has more cores.
COMPUTED_BY = "computed by"


def computed_by(device: str, threads: int) -> str:
    """The processors of one learner. `threads`: OMP_NUM_THREADS."""
    return f"cpu, {threads} thread{'s' if threads > 1 else ''}" if device == "cpu" else "cuda"


def of_run(config: Config, run: Run, processors: str) -> Identity:
    """The identity of `run` with the data that are there now. Raises UserError naming a missing stage."""
    options = {name: one.default for name, one in registry.options(run.strategy).items()}
    training = recipe.training_of(config.training, run.strategy, dict(run.training))
    parts = {
        "strategy": run.strategy,
        "learners": run.learners,
        "batch": run.batch,
        "seed": run.seed,
        "option": {**options, **dict(run.options)},
        "model": config.model.shape.values() | models.complete(config.model.shape),
        "training": training.model_dump(exclude=FREE),
        **_data(config),
        COMPUTED_BY: processors,
    }
    for what, name in (("strategy", run.strategy), ("model", config.model.kind)):
        if FROM_FILE in name:
            parts[f"{what}'s file"] = checksums.of_file(Path(name.rpartition(":")[0]))
    identity: Identity = json.loads(json.dumps(dict(_flat(parts)), default=str))
    return identity


def _data(config: Config) -> dict[str, str]:
    """Checksums of the training data. fMLLR, LDA+MLLT and each speaker's mean and variance are in the shards;
    the tree is in the labels and their number of tied states."""
    train = data_of(config, "train")
    if isinstance(train, TranscribedShards):
        texts = [checksums.of_file(path) for path in train.texts]
        return {
            "features of train": _content(train.features, "checksum", "dim"),
            "transcripts of train": checksums.of_bytes([json.dumps(texts).encode()]),
            "units": " ".join(train.units.symbols),
        }
    return {
        "features of train": _content(train.features, "checksum", "dim"),
        "alignments of train": _content(train.alignments, "checksum", "num_pdfs"),
    }


def _content(folders: list[Path], *keys: str) -> str:
    """One checksum of what the manifests of `folders`, in this order, say of their contents."""
    listed = []
    for folder in folders:
        manifest = checksums.read_manifest(folder)
        if missing := [key for key in keys if key not in manifest]:
            raise UserError(f"{folder / checksums.MANIFEST} lacks '{missing[0]}'; {checksums.REMAKE}")
        listed.append([folder.name, *(manifest[key] for key in keys)])
    return checksums.of_bytes([json.dumps(listed).encode()])


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def read(run_folder: Path) -> Identity | None:
    """The identity that the folder's contents were made with; None if nothing says so. Raises UserError."""
    path = run_folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): remove it to train from step 0") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} is not a JSON object: remove it to train from step 0")
    return found


def difference(was: Identity | None, now: Identity) -> str:
    """What differs, in words that follow a subject; empty if nothing does."""
    if was is None:
        return f"nothing ({FILE}) says what it was trained on"
    names = [key for key in [*now, *(key for key in was if key not in now)] if was.get(key) != now.get(key)]
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(_told(name, was, now) for name in names[:SHOWN]) + more


def _told(name: str, was: Identity, now: Identity) -> str:
    values = [str(which.get(name, "absent")) for which in (was, now)]
    if any(value.startswith("crc32:") for value in values):
        return f"{name} differ"
    return f"{name} was {values[0]}, is {values[1]}"


def is_finished(run_folder: Path, identity: Identity) -> bool:
    """Whether the run has its model, made with this identity."""
    return (run_folder / MODEL).exists() and not difference(*_but_for_processors(run_folder, identity))


def _but_for_processors(run_folder: Path, identity: Identity) -> tuple[Identity | None, Identity]:
    was = read(run_folder)
    return was and {**was, COMPUTED_BY: identity[COMPUTED_BY]}, identity


def check_job(run_folder: Path, identity: Identity, end_it: str) -> None:
    """Raise UserError where the run's job, which is still there, trains something else."""
    if differs := difference(*_but_for_processors(run_folder, identity)):
        raise UserError(
            f"a job of {run_folder} is still there and trains something else ({differs}): {end_it}"
        )


def check(run_folder: Path, identity: Identity) -> None:
    """Raise UserError where the folder was claimed for another identity: data or options have changed since.

    A folder that nobody has claimed (a run without a dispatcher) passes."""
    was = read(run_folder)
    if was is not None and (differs := difference(was, identity)):
        raise UserError(
            f"{run_folder} was begun with other data or options: {differs}; start `dasr train` again"
        )


def claim(run_folder: Path, identity: Identity) -> None:
    """Make the folder this identity's; what another one has left in it goes aside, which is said in a line.

    The caller holds the folder's lock, and no job of the run is there."""
    make_folder(run_folder)
    was = read(run_folder)
    there = any(_holds(run_folder / name) for name in TRAINED)
    cut_short = (run_folder / MOVING).exists()  # by a kill
    differs = difference(was, identity)
    target = _free(run_folder)
    if differs and (there or (cut_short and was)):
        logger.info(f"{run_folder.name}: {differs}: its results go to {target}, training begins from step 0")
        _move(run_folder, target)
    elif cut_short:
        os.replace(run_folder / MOVING, target)
    if differs:
        write_json(run_folder / FILE, identity)


def _holds(path: Path) -> bool:
    """Whether training has left something there: an empty folder, made or mounted by hand, is nothing."""
    return os.path.lexists(path) and not (path.is_dir() and next(path.iterdir(), None) is None)


def _move(run_folder: Path, target: Path) -> None:
    """Whole or not at all for who looks at `target`. The identity goes last: until then, a start after a kill
    comes here again and goes on."""
    moving = run_folder / MOVING
    moving.mkdir(exist_ok=True)
    for name in (*TRAINED, FILE):
        path = run_folder / name
        if _holds(path):
            if os.path.ismount(path):
                raise UserError(
                    f"{path} is a mount point and cannot be moved: move what it holds, or empty it"
                )
            os.replace(path, moving / name)
    os.replace(moving, target)


def _free(run_folder: Path) -> Path:
    number = 1
    while os.path.lexists(run_folder / f"replaced-{number}"):
        number += 1
    return run_folder / f"replaced-{number}"
