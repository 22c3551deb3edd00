"""A byte that changed in a file which a later stage reads is one line that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dasr import checksums
from dasr.config import ModelConfig, complete, load
from dasr.corpora import arpa, tables
from dasr.corpora.datadir import Entry, read_data_dir, write_data_dir
from dasr.corpora.rejects import Rejects
from dasr.decoding import hypotheses, scoring
from dasr.errors import UserError
from dasr.features.store import Shard, Utterance, write_shard
from dasr.files import write_json
from dasr.models import acoustic
from dasr.results import comparison, records, rejected, trn
from dasr.training import snapshots
from dasr.training.metrics import Metrics

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


def said(folder: Path) -> tuple[Path, Callable[[], Any]]:
    path = folder / "dev.jsonl"
    words = [
        hypotheses.Hypothesis("u", hypotheses.Setting(0.1), ["ONE", "TWO"], [(0.0, 0.1), (0.1, 0.2)], 2.5)
    ]
    hypotheses.write(path, words)
    hypotheses.write(folder / "test.jsonl", words)
    return path, lambda: hypotheses.read(path)


def reference(folder: Path) -> tuple[Path, Callable[[], Any]]:
    one = hypotheses.Hypothesis("u", hypotheses.Setting(0.1), ["ONE"], [(0.0, 0.1)], 2.5)
    scoring.write_nist(folder, {"u": ["ONE"]}, {"u": one}, {"u": "s"})
    return folder / "ref.trn", lambda: trn.read_trn(folder / "ref.trn")


def course(folder: Path) -> tuple[Path, Callable[[], Any]]:
    for _ in range(2):  # the second takes back what the first has written
        metrics = Metrics(folder)
        metrics.write("train", loss=1.25, samples=96)
        metrics.finish()
    return metrics.path, lambda: records.read_lines(metrics.path, [])


def table_of_runs(folder: Path) -> tuple[Path, Callable[[], Any]]:
    path = comparison.write([dict.fromkeys(comparison.COLUMNS, "1.5")], folder)
    return path, lambda: comparison.read(folder)


def rejected_utterances(folder: Path) -> tuple[Path, Callable[[], Any]]:
    rejects = Rejects("corpus")
    rejects.add("u", "too short")
    rejects.write(folder / "corpus" / "train" / "rejected.jsonl")
    return folder / "corpus" / "train" / "rejected.jsonl", lambda: rejected.gather(folder, [])


def resolved_config(folder: Path) -> tuple[Path, Callable[[], Any]]:
    config = complete({})
    path = folder / "config" / f"{config.digest}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(config.text())
    return path, lambda: load(path)


def shard_names(folder: Path) -> tuple[Path, Callable[[], Any]]:
    write_shard(folder, [Utterance("utt-a", "speaker", np.ones((9, 3), np.float32))], "fbank", {})
    return folder / "frames.zarr" / "zarr.json", lambda: Shard.open(folder).read_frames()


@pytest.mark.parametrize(
    "made",
    [
        table,
        data_dir,
        language_model,
        model,
        snapshot,
        said,
        reference,
        course,
        table_of_runs,
        rejected_utterances,
        resolved_config,
    ],
    ids=lambda made: made.__name__,
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


def test_a_flipped_bit_of_a_manifest_changes_nothing_that_it_says(tmp_path: Path) -> None:
    checksums.write_manifest(tmp_path, {"num_pdfs": 400, "rejected": [{"utterance": "u-1", "reason": "é"}]})
    path = tmp_path / checksums.MANIFEST
    whole, right = path.read_bytes(), checksums.read_manifest(tmp_path)
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            found = checksums.read_manifest(tmp_path)
        except UserError as error:
            assert str(path) in str(error)
        else:
            assert {key: found.get(key) for key in right} == right


def test_a_writer_that_is_killed_leaves_a_file_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with checksums.sealed(path) as temporary:
        temporary.write_text("one")
    checksums.unseal(path)  # what comes first
    path.write_text("two")
    checksums.check(path)


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
