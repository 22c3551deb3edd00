"""MLflow: what is there after tracking, and that tracking again adds nothing."""

import json
import re
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dasr import config as dasr_config
from dasr.errors import UserError
from dasr.results import records
from dasr.tracking import view
from dasr.tracking.command import track
from dasr.tracking.database import PLACES
from dasr.tracking.store import Store, how_to_open
from tests.support import synthetic


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    config_path = synthetic.make(
        tmp_path_factory.mktemp("tracked"), strategies=["sc-allreduce", "ad"], seeds=[0]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert (
            CliRunner().invoke(track, ["--config", str(config_path)], catch_exceptions=False).exit_code == 0
        )
        yield config_path


def again(config_path: Path) -> tuple[str, Store]:
    result = CliRunner().invoke(track, ["--config", str(config_path)], catch_exceptions=False)
    store = Store(dasr_config.load(config_path))
    return result.output, store


def test_a_parent_holds_the_comparison_and_a_child_each_training(tracked: Path) -> None:
    store = Store(dasr_config.load(tracked))
    runs = store.client.search_runs([store.experiment])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [run.info.run_name for run in parents] == ["synthetic"]
    children = {run.info.run_name: run for run in runs if run not in parents}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parents[0].info.run_id}
    found = records.read_comparison(dasr_config.load(tracked)).runs[1]
    child = children[found.run.name]
    assert child.data.params["strategy"] == "ad" and child.data.params["training.schedule"] == "warmup-anneal"
    assert child.data.tags["dasr.code.commit"] == "e8df171" and child.info.status == "FINISHED"
    for lm, score in found.scores.items():
        assert child.data.metrics[f"wer/test/{lm}"] == pytest.approx(score["wer"], abs=0.006)
        for end in ("low", "high"):
            told = child.data.metrics[f"wer/interval/{lm}_{end}"]
            assert told == pytest.approx(score[f"wer_{end}"], abs=0.006)
    assert not parents[0].data.metrics, "the best of several runs would be drawn as a run of its own"
    assert child.data.tags["mlflow.source.git.commit"] == "e8df171"
    curve = store.client.get_metric_history(child.info.run_id, "heldout/ce")
    assert [point.step for point in curve] == [point["samples"] for point in found.heldout]
    passed = [(point.timestamp - child.info.start_time) / 1000 for point in curve]
    assert passed == pytest.approx([point["seconds"] for point in found.heldout], abs=0.002)
    names = {file.path for file in store.client.list_artifacts(child.info.run_id)}
    assert {"config.yaml", "metrics.jsonl", "heldout.jsonl", "unigram", "ngram"} <= names


def test_the_comparison_has_a_note_that_leads_to_the_report_and_a_view_that_its_address_opens(
    tracked: Path,
) -> None:
    store = Store(dasr_config.load(tracked))
    parent = store.client.get_run(store.parent())
    experiment = store.client.get_experiment(store.experiment)
    assert (
        f"#/experiments/{store.experiment}/runs/{parent.info.run_id}/artifacts/report.html"
        in (parent.data.tags["mlflow.note.content"])
    )
    assert experiment.tags["mlflow.note.content"] == parent.data.tags["mlflow.note.content"]
    assert parent.info.run_id in json.loads(experiment.tags[view.TAG])["searchFilter"]
    assert how_to_open(store.results) == [
        f"mlflow server --backend-store-uri {store.uri}",
        *(f"{name}: {one}" for name, one in view.addresses(view.LOCAL, store.experiment).items()),
    ]


def test_tracking_twice_adds_nothing(tracked: Path) -> None:
    before = (Path(dasr_config.load(tracked).results) / "mlflow" / "mlflow.db").read_bytes()
    output, store = again(tracked)
    assert "0 runs added, 2 were there, comparison unchanged" in output
    assert (store.results / "mlflow" / "mlflow.db").read_bytes() == before


def test_a_run_that_changed_or_was_cut_off_is_replaced_and_only_that(tracked: Path) -> None:
    config = dasr_config.load(tracked)
    store = Store(config)
    name = dasr_config.runs(config)[1].name
    cut = store.find("dasr.run", name)[0].info.run_id
    store.client.delete_tag(cut, "dasr.content")  # as if `dasr track` had been killed while it wrote this run
    assert "1 runs added, 1 were there" in again(tracked)[0]
    (now,) = store.find("dasr.run", name)
    assert now.info.run_id != cut
    with open(Path(config.results) / "runs" / name / "heldout.jsonl", "a") as stream:
        stream.write('{"kind":"heldout","samples":140000,"seconds":60.0,"epochs":12.7,"ce":1.3}\n')
    assert "1 runs added, 1 were there" in again(tracked)[0]
    assert store.find("dasr.run", name)[0].data.metrics["heldout/ce"] == 1.3


def test_the_users_tracking_uri_is_respected(
    tracked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tracked.parent, copy, ignore=shutil.ignore_patterns("mlflow"))
    (copy / "config.yaml").write_text(tracked.read_text().replace(str(tracked.parent), str(copy)))
    theirs = tmp_path / "theirs.db"
    shutil.copy(tracked.parent / "results" / "mlflow" / "mlflow.db", theirs)  # spares making the tables
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{theirs}")
    output, store = again(copy / "config.yaml")
    assert store.uri.endswith("theirs.db") and not (copy / "results" / "mlflow" / "mlflow.db").exists()
    assert str(theirs) in output


@pytest.mark.parametrize(("table", "column"), [("experiment_tags", "value"), ("runs", "status")])
def test_text_that_is_none_in_the_database_is_one_clear_line(
    tracked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    table: str,
    column: str,
) -> None:
    """One flipped bit that sqlite's own check, which looks at the structure, passes."""
    theirs = tmp_path / "theirs.db"
    shutil.copy(tracked.parent / "results" / "mlflow" / "mlflow.db", theirs)
    with closing(sqlite3.connect(theirs)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = 1")
        database.execute(f"UPDATE {table} SET {column} = CAST(X'8041' AS TEXT)")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{theirs}")
    result = CliRunner().invoke(track, ["--config", str(tracked)])
    assert isinstance(result.exception, UserError) and str(theirs) in str(result.exception)
    assert "\n" not in str(result.exception) and "Traceback" not in capfd.readouterr().err


def test_a_server_that_is_not_there_is_one_clear_line(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"MLflow at http://127\.0\.0\.1:9"):
        Store(dasr_config.load(made))


@pytest.mark.parametrize("name", ["Tom's run", 'the "best" one', """both ' and " %_\\ `x`"""])
def test_a_comparison_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = synthetic.make(tmp_path, strategies=["single"], seeds=[0])
    text = yaml.safe_load(path.read_text())
    text["comparison"]["name"] = name
    path.write_text(yaml.safe_dump(text))
    store = Store(dasr_config.load(path))
    parent = store.parent()
    assert store.parent() == parent, "found again"
    other = store.client.create_run(store.experiment, tags={"dasr.comparison": name.replace("'", "x") + "?"})
    assert [run.info.run_id for run in store.find("dasr.comparison", name)] == [parent] != [other.info.run_id]


def test_a_server_that_is_away_is_one_line_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    path = synthetic.make(tmp_path, strategies=["single"], seeds=[0])
    with pytest.raises(
        UserError, match=rf"MLflow at {uri} \(MLFLOW_TRACKING_URI\) does not answer: .*refused"
    ):
        Store(dasr_config.load(path))


def test_a_foreign_database_writes_nothing_outside_of_the_results(tracked: Path, tmp_path: Path) -> None:
    config = dasr_config.load(tracked)
    shutil.copytree(config.results, tmp_path / "results")
    plain = {**config.plain(), "results": str(tmp_path / "results")}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain))
    (run,) = (tmp_path / "results" / "runs").glob("ad-*")
    with (run / "heldout.jsonl").open("a") as lines:  # so that its files are logged again
        lines.write(json.dumps(records.read_lines(run / "heldout.jsonl", [])[-1]) + "\n")
    with closing(sqlite3.connect(tmp_path / "results" / "mlflow" / "mlflow.db")) as database, database:
        for table, column in PLACES:  # a copy would be told where it is; this is no place of ours
            database.execute(f"UPDATE {table} SET {column} = ?", ((tmp_path / "elsewhere").as_uri(),))
    result = CliRunner().invoke(track, ["--config", str(tmp_path / "config.yaml")])
    assert isinstance(result.exception, UserError)
    assert re.search(
        r"mlflow\.db wants files of a run in .*, outside of .*: move it away", str(result.exception)
    )

    assert not (tmp_path / "elsewhere").exists()
    path = tmp_path / "results" / "mlflow" / "mlflow.db"
    path.rename(tmp_path / "precious.db")
    path.symlink_to(tmp_path / "precious.db")
    before = (tmp_path / "precious.db").read_bytes()
    result = CliRunner().invoke(track, ["--config", str(tmp_path / "config.yaml")])
    assert f"{path} is a link" in str(result.exception)
    assert (tmp_path / "precious.db").read_bytes() == before


@pytest.mark.slow  # MLflow's imports
def test_a_model_of_another_version_is_left_out_and_reported(
    tracked: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = dasr_config.load(tracked)
    (run,) = (Path(config.results) / "runs").glob("ad-*")
    (run / "model.safetensors").write_bytes(b"of another version")
    store = Store(config)
    store._log_model("unused", run / "model.safetensors")
    assert "the model is left out" in caplog.text and "model.safetensors is not an acoustic" in caplog.text
    (run / "model.safetensors").unlink()
