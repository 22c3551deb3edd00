"""A byte that changed in a file which a later stage reads is one line that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dasr import checksums
from dasr.config import ModelConfig
from dasr.corpora import arpa, tables
from dasr.corpora.datadir import Entry, read_data_dir, write_data_dir
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.features.store import Shard, Utterance, write_shard
from dasr.files import write_json
from dasr.models import acoustic
from dasr.training import snapshots

FLIPS = 40


def sealed(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    write_json(folder / checksums.MANIFEST, {checksums.FILES: checksums.of_folder(folder)})
    return folder / name


def table(folder: Path) -> tuple[Path, Callable[[], Any]]:
    path = sealed(folder, "text", "a ONE TWO\nb THREE\n")
    return path, lambda: tables.read_table(path, Rejects("corpus"))


def data_dir(folder: Path) -> tuple[Path, Callable[[], Any]]:
    (folder / "a.wav").parent.mkdir(parents=True, exist_ok=True)
    (folder / "a.wav").write_bytes(b"RIFF")
    write_data_dir(folder, [Entry("u", "s", ("ONE",), "u", str(folder / "a.wav"), seconds=1.0)])
    return folder / "utt2spk", lambda: read_data_dir(folder, Rejects("features"))


def language_model(folder: Path) -> tuple[Path, Callable[[], Any]]:
    text = "\\data\\\nngram 1=1\n\n\\1-grams:\n-0.5\tONE\n\n\\end\\\n"
    path = sealed(folder, "x.arpa", text)
    return path, lambda: arpa.read_arpa(path)


def model(folder: Path) -> tuple[Path, Callable[[], Any]]:
    config = ModelConfig(layers=1, cells=6, bottleneck=4, deltas=0, splice=0, subsampling=1, dropout=0.0)
    acoustic.save(acoustic.AcousticModel(config, 5, 7), folder / acoustic.MODEL_FILE, {"seed": 0})
    return folder / acoustic.MODEL_FILE, lambda: acoustic.load(folder)


def snapshot(folder: Path) -> tuple[Path, Callable[[], Any]]:
    snapshots.write(folder, 1, snapshots.Snapshot(torch.ones(50), 0, 96, 1.5, 0.25))
    path = folder / "snapshots" / "0001" / "rank0000.safetensors"
    return path, lambda: snapshots.read(folder, 1)


def shard_names(folder: Path) -> tuple[Path, Callable[[], Any]]:
    write_shard(folder, [Utterance("utt-a", "speaker", np.ones((9, 3), np.float32))], "fbank", {})
    return folder / "frames.zarr" / "zarr.json", lambda: Shard.open(folder).read_frames()


@pytest.mark.parametrize(
    "made", [table, data_dir, language_model, model, snapshot], ids=lambda made: made.__name__
)
def test_a_flipped_bit_is_one_line_that_names_the_file(
    tmp_path: Path, made: Callable[[Path], tuple[Path, Callable[[], Any]]]
) -> None:
    path, read = made(tmp_path / "x")
    read()
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    for _ in range(FLIPS):
        flipped = bytearray(whole)
        flipped[draw.integers(len(whole))] ^= 1 << int(draw.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(UserError, match=path.name):
            read()


def test_another_name_of_an_utterance_in_a_shard_is_noticed(tmp_path: Path) -> None:
    path, read = shard_names(tmp_path / "x")
    path.write_text(path.read_text().replace("utt-a", "utt-b"))
    with pytest.raises(UserError, match="utterances or speakers do not have the checksum"):
        read()


def test_a_file_that_no_manifest_lists_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a ONE\n")
    checksums.check(tmp_path / "text")
    write_json(tmp_path / checksums.MANIFEST, {"made_by": "somebody else"})
    checksums.check(tmp_path / "text")


def test_a_file_that_is_gone_and_a_broken_manifest_are_one_line(tmp_path: Path) -> None:
    sealed(tmp_path, "x", "1").unlink()
    with pytest.raises(UserError, match="x is missing"):
        checksums.check_folder(tmp_path)
    (tmp_path / checksums.MANIFEST).write_text("{")
    with pytest.raises(UserError, match=r"manifest\.json cannot be read"):
        checksums.check_folder(tmp_path)
