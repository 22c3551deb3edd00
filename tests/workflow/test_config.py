"""Which configuration a workflow works with, whatever happens to the files and beside it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.conftest import REPOSITORY, Project

SHARDS = {"train": 2, "dev": 1, "test": 1}
FEATURES = [f"features/fbank/{split}/{n:04d}/manifest.json" for split in SHARDS for n in range(SHARDS[split])]


def configure(folder: Path, **sections: Any) -> Project:
    """A project of a few utterances of AN4."""
    corpus = {"path": str(REPOSITORY / "corpora" / "an4"), "limit": 12, "max_bad_fraction": 0.3}
    features = {"kind": "fbank", "bins": 20, "shards": SHARDS}
    config = {"corpus": corpus, "features": features, **sections}
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return Project(folder)


def everything_in(folder: Path) -> list[str]:
    """All files but Snakemake's own."""
    found = (path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file())
    return ["/".join(parts) for parts in found if parts[0] not in (".snakemake", ".cache")]


def without_torch(folder: Path) -> dict[str, str]:
    """An environment in which torch cannot be imported."""
    folder.mkdir()
    (folder / "torch.py").write_text("raise ImportError('torch is imported')")
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}"}


def test_a_dry_run_writes_nothing_and_needs_no_torch(tmp_path: Path) -> None:
    project = configure(tmp_path / "project")
    for option in ("--dry-run", "--list-rules"):
        run = subprocess.run(
            project.command(option),
            cwd=project.folder,
            env=without_torch(tmp_path / option),
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
    assert everything_in(project.folder) == ["config.yaml"]


def test_with_ctc_on_log_mels_no_stage_of_the_gmm_runs(tmp_path: Path) -> None:
    project = configure(tmp_path / "project", training={"criterion": "ctc"})
    run = subprocess.run(
        project.command("--dry-run"), cwd=project.folder, capture_output=True, text=True, check=True
    )
    jobs = {line.split()[0] for line in run.stdout.splitlines() if len(line.split()) == 2}
    assert {"train", "evaluate", "graph", "decode", "features"} <= jobs
    assert not {"hmm", "align", "adapt"} & jobs


@pytest.mark.parametrize(
    ("recipe", "stages", "none_of"),
    [
        ("an4-ctc", {"train", "graph", "compare"}, {"hmm", "align", "adapt", "units"}),
        ("an4-conformer", {"hmm", "align", "adapt", "train", "compare"}, {"units"}),
    ],
)
def test_a_recipe_leads_to_the_table_through_the_stages_that_it_needs(
    tmp_path: Path, recipe: str, stages: set[str], none_of: set[str]
) -> None:
    file = REPOSITORY / "workflow" / "recipes" / f"{recipe}.yaml"
    planned = configure(tmp_path, features={}).planned("--configfile", str(file))
    assert stages <= planned.keys() and not none_of & planned.keys()


def test_pieces_of_words_are_learned_where_they_are_the_units(tmp_path: Path) -> None:
    planned = configure(tmp_path, training={"criterion": "ctc", "units": "bpe"}).planned()
    assert {"units", "train", "graph"} <= planned.keys() and "hmm" not in planned


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"trainng": {}}, "unknown key 'trainng' at top level; did you mean 'training'?"),
        ({"features": {"kind": "fbnk"}}, "features.kind: 'fbnk' is not one of fmllr, fbank; did you mean"),
        ({"comparison": {"strategies": ["bmuff"]}}, "no strategy 'bmuff'; did you mean 'bmuf'?"),
        ({"comparison": {"strategies": ["x.py:S"]}}, "no strategy file x.py"),
        (
            {"comparison": {"strategies": [{"strategy": "ad", "mixing": "random-rin"}]}},
            "did you mean 'random-ring'?",
        ),
        (
            {"simulation": {"cluster": "ethernet-10"}},
            "no cluster 'ethernet-10'; did you mean",
        ),
        ({"hmm": {"import_from": "nowhere"}}, "hmm.import_from: there is no folder nowhere"),
        ({"corpus": {"path": "nowhere"}}, "corpus.path: there is no folder nowhere"),
        ({"results": "."}, "results: '.' is not a folder of its own"),
        ({"training": {"epochs": float("nan")}}, "training.epochs: nan is not a finite number"),
    ],
)
def test_what_is_wrong_is_said_by_a_dry_run(tmp_path: Path, sections: dict[str, Any], says: str) -> None:
    run = configure(tmp_path, **sections).snakemake("--dry-run", check=False)
    assert run.returncode != 0 and says in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_links_that_lead_out_of_the_results_stop_the_workflow(tmp_path: Path) -> None:
    """Rules would write their logs through them, and Snakemake remove outputs."""
    project, precious = configure(tmp_path / "project"), tmp_path / "precious"
    precious.write_text("data")
    (project.folder / "results" / "logs").mkdir(parents=True)
    (project.folder / "results" / "logs" / "corpus.log").symlink_to(precious)
    run = project.snakemake("--until", "corpus", check=False)
    says = "results/logs/corpus.log is a link that leads out of results: remove it"
    assert run.returncode != 0 and says in run.stdout + run.stderr
    assert precious.read_text() == "data"


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    project = configure(tmp_path)
    (tmp_path / "config.yaml").write_text("training:\n  epochs: 1\n  epochs: 2\n")
    run = project.snakemake("--dry-run", check=False)
    assert run.returncode != 0
    assert "config.yaml: the key 'epochs' is given twice, in lines 2 and 3" in run.stdout + run.stderr


@pytest.mark.slow
def test_a_run_that_cannot_be_built_stops_the_workflow_in_its_first_job(tmp_path: Path) -> None:
    wrong = {"strategies": ["single", {"strategy": "diloco", "period": 2, "overlap": 2}]}
    run = configure(tmp_path, comparison=wrong).snakemake(check=False)
    assert run.returncode != 0 and "overlap 0 to period - 1" in run.stdout + run.stderr
    assert not (tmp_path / "results" / "corpus").exists()


@pytest.mark.slow
def test_a_dry_run_of_another_config_changes_nothing_for_a_running_workflow(tmp_path: Path) -> None:
    project = configure(tmp_path)
    targets = [f"results/{name}" for name in FEATURES]
    command = project.command("--cores", "1", *targets)
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while not any((tmp_path / target).exists() for target in targets):
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGSTOP)  # at most one shard is at work, the others are still to come
    configure(tmp_path, features={"kind": "fbank", "bins": 30, "shards": SHARDS})
    planned = project.planned("--nolock", *targets)
    os.kill(running.pid, signal.SIGCONT)
    assert running.wait() == 0
    assert planned["features"] >= 1
    assert {json.loads((tmp_path / target).read_text())["dim"] for target in targets} == {20}


@pytest.mark.slow
@pytest.mark.parametrize("results", ["my results", "user's", "größe (1)", "-rf", "$(touch hacked)", "a;b&c"])
def test_results_may_have_any_name(tmp_path: Path, results: str) -> None:
    project = configure(tmp_path, results=results)
    project.snakemake("--", f"{results}/features/fbank/dev/0000/manifest.json")
    assert (tmp_path / results / "logs" / "corpus.log").is_file()
    assert {name.split("/")[0] for name in everything_in(tmp_path)} == {"config.yaml", results}
