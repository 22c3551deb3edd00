"""What a run is trained on: what counts, what does not, and what becomes of another identity's results."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dasr import config as configuration
from dasr.config import Config
from dasr.errors import UserError
from dasr.features.store import Shard, Utterance, write_shard
from dasr.launch import identity
from dasr.launch.command import train
from dasr.models import acoustic
from tests.support import aligned_corpus
from tests.support.aligned_corpus import small_config

ROOT = Path(__file__).resolve().parents[2]
RUN = "sd-L2-B12-S0"
CPU = "cpu, 1 thread"


def of(config: Config, run: str = RUN, processors: str = CPU) -> identity.Identity:
    return identity.of_run(config, configuration.find_run(config, run), processors)


def replace_recordings(results: Path, count: int = 4) -> None:
    """Other frames, of the same number, in the first utterances of one shard of train."""
    folder = results / "features/fmllr/train/0002"
    shard = Shard.open(folder)
    draw = np.random.default_rng(7)
    utterances = [
        Utterance(
            name,
            shard.speakers[shard.speaker_of[n]],
            draw.normal(size=shard.utterance(n).shape) if n < count else shard.utterance(n),
        )
        for n, name in enumerate(shard.utterances)
    ]
    write_shard(folder, utterances, "fmllr", {"split": "train"})


def other_labels(results: Path) -> None:
    path = results / "alignments/train/0001/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "checksum": "crc32:00000000"}))


def another_tree(results: Path) -> None:
    path = results / "alignments/train/0000/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_pdfs": 6}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (replace_recordings, "features of train differ"),
        (other_labels, "alignments of train differ"),
        (another_tree, "alignments of train differ"),
    ],
)
def test_other_data_are_another_identity(tmp_path: Path, change: Callable[[Path], None], told: str) -> None:
    results = aligned_corpus.make(tmp_path)
    before = of(small_config(results))
    change(results)
    assert identity.difference(before, of(small_config(results))) == told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"learning_rate": 0.25}, "training.learning_rate was 0.5, is 0.25"),
        ({"augment": {"stretch": 0.1}}, "training.augment.stretch was 0.0, is 0.1"),
        ({"snapshots": 3}, "training.snapshots was 10, is 3"),
        ({"checkpoint_seconds": 5}, ""),
    ],
)
def test_other_options_are_another_identity_but_for_how_often_to_save(
    corpus: Path, options: dict[str, Any], told: str
) -> None:
    assert identity.difference(of(small_config(corpus)), of(small_config(corpus, **options))) == told


def test_a_default_of_a_preset_or_strategy_is_the_same_as_its_value_written_out(corpus: Path) -> None:
    config = small_config(corpus)
    plain = config.plain()
    plain["training"] = config.training.model_dump()
    assert of(configuration.complete(plain)) == of(config)
    assert of(config, "bmuf-tau=3-L2-B12-S0")["option.tau"] == 3
    assert "option.nesterov" in of(config, "bmuf-tau=3-L2-B12-S0")


def test_the_same_data_made_again_elsewhere_and_later_are_the_same(tmp_path: Path, corpus: Path) -> None:
    results = aligned_corpus.make(tmp_path)
    for path in results.rglob("*"):
        os.utime(path, (1, 1))
    assert of(small_config(results)) == of(small_config(corpus))


def test_the_contents_of_a_strategy_file_count(tmp_path: Path, corpus: Path) -> None:
    path = tmp_path / "own.py"
    source = (ROOT / "dasr/strategies/local.py").read_text()
    plain = small_config(corpus).plain()
    plain["comparison"]["strategies"] = [f"{path}:{'Local'}"]
    config = configuration.complete(plain)
    (run,) = configuration.runs(config)
    path.write_text(source)
    before = identity.of_run(config, run, CPU)
    path.write_text(source + "\n# another\n")
    assert identity.difference(before, identity.of_run(config, run, CPU)) == "strategy's file differ"


def leave(folder: Path, own: identity.Identity) -> None:
    """What a finished run leaves."""
    identity.claim(folder, own)
    for name in ("checkpoints/rank0000/000000012.ckpt", "snapshots/0001/rank0000.safetensors"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("old")
    for name in (
        "metrics.jsonl",
        "heldout.jsonl",
        "config.yaml",
        "model.safetensors",
        "manifest.json",
        "job.json",
    ):
        (folder / name).write_text("old")


ONE, TWO = {"seed": 1, identity.COMPUTED_BY: CPU}, {"seed": 2, identity.COMPUTED_BY: CPU}


def test_the_same_identity_keeps_everything(tmp_path: Path) -> None:
    leave(tmp_path, ONE)
    before = sorted(tmp_path.rglob("*"))
    identity.claim(tmp_path, ONE)
    assert sorted(tmp_path.rglob("*")) == before
    assert identity.is_finished(tmp_path, ONE) and not identity.is_finished(tmp_path, TWO)


def test_another_identity_moves_all_results_aside_and_says_so_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for number, own in enumerate((TWO, ONE), 1):
        leave(tmp_path, ONE if own == TWO else TWO)
        caplog.clear()
        identity.claim(tmp_path, own)
        aside = tmp_path / f"replaced-{number}"
        (line,) = caplog.messages
        assert re_seed(own) in line and str(aside) in line and "begins from step 0" in line
        assert {path.name for path in aside.iterdir()} == {*identity.TRAINED, identity.FILE}
        assert not any((tmp_path / name).exists() for name in identity.TRAINED)
        assert identity.read(tmp_path) == own and (tmp_path / "job.json").exists()


def re_seed(own: identity.Identity) -> str:
    return f"seed was {3 - own['seed']}, is {own['seed']}"


def test_results_of_which_nothing_says_what_they_are_go_aside(tmp_path: Path) -> None:
    leave(tmp_path, ONE)
    (tmp_path / identity.FILE).unlink()
    assert not identity.is_finished(tmp_path, ONE)
    identity.claim(tmp_path, ONE)
    assert (tmp_path / "replaced-1" / "model.safetensors").exists()


def test_an_empty_folder_made_by_hand_holds_no_results(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoints").mkdir()
    identity.claim(tmp_path, {"model": "1"})
    assert not caplog.messages and sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints",
        "identity.json",
    ]


def test_results_on_a_disk_of_their_own_are_named_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints/rank0000").mkdir(parents=True)
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path).name == "checkpoints")
    with pytest.raises(UserError, match="checkpoints is a mount point and cannot be moved"):
        identity.claim(tmp_path, {"model": "1"})
    assert (tmp_path / "checkpoints/rank0000").is_dir()


@pytest.mark.parametrize("moves", range(len(identity.TRAINED) + 2))
def test_a_move_that_was_cut_short_is_completed_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    leave(tmp_path, ONE)
    renamed = 0

    def rename(source: Path, target: Path) -> None:
        nonlocal renamed
        renamed += 1
        if renamed > moves:
            raise KeyboardInterrupt
        Path(source).rename(target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("dasr.launch.identity.os.replace", rename)
        identity.claim(tmp_path, TWO)
    identity.claim(tmp_path, TWO)
    assert {path.name for path in (tmp_path / "replaced-1").iterdir()} == {*identity.TRAINED, identity.FILE}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["identity.json", "job.json", "replaced-1"]
    )


def test_other_threads_count_for_what_is_resumed_but_not_for_what_is_finished(tmp_path: Path) -> None:
    leave(tmp_path, ONE)
    more = {**ONE, identity.COMPUTED_BY: "cpu, 2 threads"}
    assert identity.is_finished(tmp_path, more)
    identity.check_job(tmp_path, more, "")
    (tmp_path / "model.safetensors").unlink()
    identity.claim(tmp_path, more)
    assert (tmp_path / "replaced-1" / "checkpoints").exists()


def test_the_number_of_threads_changes_the_last_bits_of_a_sum() -> None:
    """Else it need not be part of the identity."""
    values = torch.randn(8, 100_000, generator=torch.Generator().manual_seed(0))
    before, sums = torch.get_num_threads(), []
    try:
        for threads in (1, 1, 2):
            torch.set_num_threads(threads)
            sums.append([row.sum().item() for row in values])
    finally:
        torch.set_num_threads(before)
    assert sums[0] == sums[1] != sums[2]


def test_learners_refuse_a_folder_of_another_identity(tmp_path: Path) -> None:
    identity.check(tmp_path, ONE)  # of nobody
    identity.claim(tmp_path, ONE)
    identity.check(tmp_path, ONE)
    with pytest.raises(
        UserError, match=r"other data or options: seed was 1, is 2; start `dasr train` again$"
    ):
        identity.check(tmp_path, TWO)


def test_a_running_job_of_another_identity_is_named(tmp_path: Path) -> None:
    identity.claim(tmp_path, ONE)
    with pytest.raises(UserError, match=r"trains something else \(seed was 1, is 2\): wait for its end"):
        identity.check_job(tmp_path, TWO, "wait for its end")


@pytest.mark.parametrize("damaged", ["", "[1]", '{"seed": '])
def test_a_damaged_file_is_one_line(tmp_path: Path, damaged: str) -> None:
    (tmp_path / identity.FILE).write_text(damaged)
    with pytest.raises(UserError, match=r"identity\.json .* remove it to train from step 0$"):
        identity.claim(tmp_path, ONE)


@pytest.mark.parametrize(
    "link",
    [
        "runs",
        f"runs/{RUN}",
        *(f"runs/{RUN}/{name}" for name in ("lock", "checkpoints", "logs", "metrics.jsonl")),
    ],
)
def test_a_run_is_not_begun_in_a_folder_with_links_that_lead_out(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    told = f"{link}( is a link that leads out of|: Too many levels of symbolic)"
    monkeypatch.setattr("dasr.files._confined", set())
    monkeypatch.setattr("dasr.launch.dispatcher.CancelRequest.catch", lambda self: None)
    results, outside = tmp_path / "results", tmp_path / "outside"
    shutil.copytree(corpus, results)
    is_file = link.endswith(("lock", ".jsonl"))
    outside.mkdir()
    (outside / "precious").write_text("data")
    (results / link).parent.mkdir(parents=True, exist_ok=True)
    (results / link).symlink_to(outside / "precious" if is_file else outside)
    (tmp_path / "config.yaml").write_text(small_config(results).text())
    with pytest.raises(UserError, match=told):
        train.callback(RUN, f"{tmp_path}/config.yaml", 3, 3, 600.0, 300.0, executor="local")  # type: ignore[misc]
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "data"


class Started:
    """`dasr train` of one run in a folder of its own."""

    def __init__(self, folder: Path, corpus: Path, **training: Any):
        self.folder, self.results = folder, folder / "results"
        if not self.results.exists():
            shutil.copytree(corpus, self.results)
        self.config = small_config(self.results, snapshots=2, checkpoint_seconds=1e-6, **training)
        (folder / "config.yaml").write_text(yaml.safe_dump(self.config.plain()))
        self.run = self.results / "runs" / RUN

    def __call__(self, *options: str) -> str:
        command = [sys.executable, "-m", "dasr", "train", RUN, "--config", f"{self.folder}/config.yaml"]
        done = subprocess.run(
            [*command, "--cpus-per-task", "1", *options],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def weights(self) -> torch.Tensor:
        state = acoustic.load(self.run).state_dict()
        return torch.cat([state[name].flatten() for name in sorted(state)])

    def first_step(self) -> int:
        records = [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]
        return int(records[0]["step"])


@pytest.mark.slow
def test_corrected_recordings_train_a_new_model_with_the_bits_of_a_fresh_folder(
    corpus: Path, tmp_path: Path
) -> None:
    """Four recordings replaced by others of the same length, after the run has finished."""
    for name in ("one", "fresh"):
        (tmp_path / name).mkdir()
    again = Started(tmp_path / "one", corpus)
    again()
    old = again.weights()
    assert "is finished" in again()

    model = again.run / "model.safetensors"
    model.unlink()  # as Snakemake does before it trains again
    assert "resumed at step" in again()
    assert torch.equal(again.weights(), old), "same identity: only the last steps are done again"

    replace_recordings(again.results)
    model.unlink()
    told = again()
    (line,) = [line for line in told.splitlines() if "features of train differ" in line]
    assert "replaced-1, training begins from step 0" in line and "resumed" not in told
    assert again.first_step() == 1

    fresh = Started(tmp_path / "fresh", again.results)
    shutil.rmtree(fresh.results / "runs")
    fresh()
    assert torch.equal(fresh.weights(), again.weights())
    assert not torch.equal(old, again.weights())

    other = Started(tmp_path / "one", corpus, learning_rate=0.25)
    assert "training.learning_rate was 0.5, is 0.25" in other()
    assert (again.run / "replaced-2" / "model.safetensors").exists()
