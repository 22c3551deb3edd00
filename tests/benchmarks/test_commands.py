"""Every benchmark runs anywhere with tiny arguments and writes a record; a mistake is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks import lost_learner, prediction, records
from dasr.errors import UserError
from dasr.features.store import Utterance, write_arrays, write_shard
from dasr.files import write_json
from dasr.worlds.simulated import clusters
from tests.support import aligned_corpus

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if "commandline.run(main)" in path.read_text(encoding="utf-8")
)


def start(
    name: str, *arguments: str | Path, launcher: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *launcher, "-m", f"benchmarks.{name}", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def record_of(name: str, folder: Path, *arguments: str | Path, **more: Any) -> records.Record:
    path = folder / "record.json"
    ran = start(name, *arguments, "--record", path, **more)
    assert ran.returncode == 0, ran.stderr
    return records.read(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_help_has_a_line_for_each_option(name: str) -> None:
    ran = start(name, "--help")
    assert ran.returncode == 0 and f"python -m benchmarks.{name}" in ran.stdout
    lines = ran.stdout[ran.stdout.index("options:") :].splitlines()[1:]
    entries = "\n".join(lines).split("\n  -")
    assert all(len(entry.split("  ", 1)) == 2 for entry in entries if entry.strip()), ran.stdout


@pytest.mark.slow
def test_features_beside_kaldi_native_fbank(tmp_path: Path) -> None:
    record = record_of("features", tmp_path, "--seconds", "1", "--repeat", "1")
    assert [row["kind"] for row in record.rows] == ["fbank", "mfcc"]
    assert all(row["largest_difference"] < 1e-3 for row in record.rows)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "speed"), [("speed", "feed_kframes_per_s"), ("memory", "kframes_per_s")])
def test_loader(tmp_path: Path, what: str, speed: str) -> None:
    arguments = ("--hours", "0.16", "--shard-hours", "0.02", "--batch", "8", "--seconds", "0.3")
    record = record_of("loader", tmp_path, what, *arguments, "--folder", tmp_path)
    assert record.what == f"feed-{what}" and record.rows[0][speed] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.slow
def test_simulator(tmp_path: Path) -> None:
    record = record_of("simulator", tmp_path, "--fraction", "0.001")
    assert [row["learners"] for row in record.rows] == [1024, 4096]


@pytest.mark.slow
def test_straggler_draws_its_figure(tmp_path: Path) -> None:
    figure = tmp_path / "figure.svg"
    record = record_of("straggler", tmp_path, "--steps", "100", "--figure", figure)
    slowest = {row["strategy"]: row["of_full_speed"] for row in record.rows if row["factor"] == 100}
    assert slowest["ad"] > 10 * slowest["sc-allreduce"]
    assert figure.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.slow
def test_findings_trains_and_does_not_train_again(tmp_path: Path) -> None:
    config = aligned_corpus.small_config(aligned_corpus.make(tmp_path))
    path, out = tmp_path / "config.yaml", tmp_path / "findings.jsonl"
    path.write_text(yaml.safe_dump(config.plain()))
    arguments = ("--config", path, "--out", out, "--only", "sc-allreduce", "--batches", "16")
    chosen = (*arguments, "--rates", "0.1", "--seeds", "0", "--points", "2")
    record = record_of("findings", tmp_path, *chosen)
    assert [(row["strategy"], row["batch"], row["diverged"]) for row in record.rows] == [
        ("sc-allreduce", 16, 0)
    ]
    kept = out.read_bytes()
    assert record_of("findings", tmp_path, *chosen).rows == record.rows and out.read_bytes() == kept


def forty_dimensions(folder: Path) -> tuple[Path, Path]:
    """Two shards of noise with labels."""
    draw = np.random.default_rng(0)
    for number in range(2):
        frames = [draw.normal(size=(900, 40)).astype(np.float16) for _ in range(8)]
        utterances = [Utterance(f"u{number}{i}", f"s{number}", one) for i, one in enumerate(frames)]
        write_shard(folder / "features" / f"{number:04d}", utterances, "fmllr", {"rejected": []})
        aligned = folder / "alignments" / f"{number:04d}"
        labels = draw.integers(0, 5, 8 * 900).astype(np.int32)
        offsets = np.arange(0, 9 * 900, 900, dtype=np.int64)
        write_arrays(aligned / "labels.zarr", {"labels": labels, "offsets": offsets}, {})
        write_json(aligned / "manifest.json", {"rejected": [], "num_pdfs": 5})
    return folder / "features", folder / "alignments"


@pytest.mark.slow
def test_smoke_matrix_compares_with_a_record(tmp_path: Path) -> None:
    features, alignments = forty_dimensions(tmp_path)
    where = ("--features", features, "--alignments", alignments, "--device", "cpu")
    arguments = (*where, "--only", "sc-allreduce", "sd sign", "--steps", "2", "--batch", "2")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    reference = record_of("smoke_matrix", tmp_path, *arguments, launcher=launcher)
    kept = tmp_path / "record.json"
    again = record_of("smoke_matrix", tmp_path, *arguments, "--reference", kept, launcher=launcher)
    assert {"sc-allreduce", "sd sign"} <= {row["case"] for row in again.rows}
    assert all(row["loss"] == row["reference_loss"] for row in again.rows)
    assert [row["loss"] for row in again.rows] == [row["loss"] for row in reference.rows]


def test_prediction_takes_the_same_measure_of_a_simulated_step() -> None:
    """A gradient of 15 ms and a network that is free: nothing else is in a step."""
    cluster = clusters.Cluster(name="free", compute=clusters.Compute(fixed_s=0.015))
    assert prediction.predict(cluster, 2, "ad") == pytest.approx(0.015, rel=0.02)


def test_the_rate_of_a_run_is_that_between_two_moments() -> None:
    found = [{"seconds": float(s), "samples": 10 * s if s < 5 else 50 + 2 * (s - 5)} for s in range(11)]
    assert lost_learner.rate(found, 0, 5) == 10 and lost_learner.rate(found, 5, 10) == 2


@pytest.mark.parametrize("module", [prediction, lost_learner])
def test_what_needs_root_says_so_in_one_line(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["benchmark"])
    with pytest.raises(UserError, match="root"):
        module.main()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("straggler", ("--cluster", "papr"), "paper"),
        ("throughput", ("--preset", "tiny", "--features", "here"), "--alignments"),
        ("smoke_matrix", ("--features", "nowhere", "--alignments", "nowhere"), "nowhere"),
        ("findings", ("--config", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_line_with_status_2(name: str, arguments: tuple[str, ...], told: str) -> None:
    ran = start(name, *arguments)
    assert ran.returncode == 2 and "error: " in ran.stderr and told in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr
