"""A comparison in MLflow: an experiment and a parent run for the comparison, a child run for each training.

This is the only writer. Runs are found again by tags, and a run whose files have not changed is left alone:
`dasr track` twice adds nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dasr.config import Config
from dasr.errors import UserError
from dasr.files import make_folder
from dasr.results import corpus_facts
from dasr.results.comparison import Row
from dasr.results.layout import HELDOUT, METRICS, MODEL, Layout
from dasr.results.records import RunRecord
from dasr.tracking import describe, model, view
from dasr.tracking.database import make_whole, sqlite_file, tell_where_artifacts_are
from dasr.tracking.metrics import WER, points

logger = logging.getLogger(__name__)

SERVER_S = 20.0  # in which a tracking server answers
DIVERGED_TAG = "dasr.diverged"
BATCH = 1000  # metrics in one log_batch: the server's limit
FORMAT = "2"  # of what is written about a run: another one is written again
# Of a run: which one, and the hash of its files. The hash is written last: a run without it was cut off.
RUN_TAG, CONTENT_TAG, COMPARISON_TAG = "dasr.run", "dasr.content", "dasr.comparison"
NOTE_TAG = "mlflow.note.content"


def tracking_uri(results: Path) -> str:
    """MLFLOW_TRACKING_URI where the user has set it, else a sqlite database within the results."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_uri(results)


def _own_uri(results: Path) -> str:
    return f"sqlite:///{(Layout(results).mlflow / 'mlflow.db').resolve()}"


def how_to_open(results: Path) -> list[str]:
    """Lines that say which command shows the comparison in a browser, and at which addresses.

    A results folder that has been moved is found where it is from then on."""
    uri = tracking_uri(results)
    tell_where_artifacts_are(uri, _artifacts(results))
    stamp = Layout(results).tracked
    experiment = json.loads(stamp.read_text(encoding="utf-8"))["experiment"] if stamp.is_file() else None
    served = uri.startswith("http")
    lines = [] if served else [f"mlflow server --backend-store-uri {uri}"]
    server = uri if served else view.LOCAL
    if experiment is None:
        return [*lines, server]
    return [*lines, *(f"{name}: {one}" for name, one in view.addresses(server, experiment).items())]


def _artifacts(results: Path) -> Path:
    """Where the files of runs are kept beside our own database."""
    return Layout(results).mlflow.resolve() / "artifacts"


def content_hash(paths: list[Path], extra: str = "") -> str:
    """SHA-256 over names and bytes of the files that exist."""
    digest = hashlib.sha256(extra.encode())
    for path in paths:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]


def look_for_server(uri: str) -> None:
    """Raises UserError where nobody answers: MLflow's own requests are repeated for minutes, in silence."""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SERVER_S).close()
    except urllib.error.HTTPError:
        pass  # somebody is there; whether it is MLflow, its own requests show
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"MLflow at {uri} (MLFLOW_TRACKING_URI) does not answer: {reason}") from None


@contextlib.contextmanager
def errors_named(uri: str) -> Iterator[None]:
    """Raises UserError where MLflow, or the database that it reads, raises an error of its own."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        message = str(error).splitlines()[0][:300]
        database = sqlite_file(uri)
        hint = f" (if {database} is damaged, move it away: a new one is made)" if database else ""
        raise UserError(f"MLflow at {uri}: {message}{hint}") from None


class Store:
    """One comparison's experiment on a tracking server or in a database. Raises UserError if it cannot be
    reached."""

    def __init__(self, config: Config):
        self.config = config
        self.results = Path(config.results)
        self.name = config.comparison.name
        self.uri = tracking_uri(self.results)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        make_folder(Layout(self.results).mlflow)
        self._refuse_link()
        look_for_server(self.uri)
        import mlflow

        for noisy in ("mlflow", "alembic"):  # each has a hundred lines to say about a fresh database
            logging.getLogger(noisy).setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks of what it raises
        with errors_named(self.uri):
            make_whole(self.uri)
            tell_where_artifacts_are(self.uri, _artifacts(self.results))
            self.client = mlflow.MlflowClient(self.uri)
            self.experiment = self._experiment()

    def _refuse_link(self) -> None:
        database = self._own_database()
        if database is not None and database.is_symlink():
            raise UserError(f"{database} is a link, which would be written through: remove it")

    def _own_database(self) -> Path | None:
        """The one within the results, unless the user has named another place."""
        named = os.environ.get("MLFLOW_TRACKING_URI")
        return None if named else Layout(self.results).mlflow / "mlflow.db"

    def _check_artifacts(self, run_id: str) -> None:
        """Raise UserError where our database, which may come from elsewhere, would have files of the run
        written outside of its folder."""
        database = self._own_database()
        if database is None:
            return
        uri = str(self.client.get_run(run_id).info.artifact_uri)
        scheme, _, path = urllib.parse.urlparse(uri)[:3]
        place = Path(os.path.realpath(urllib.parse.unquote(path)))
        if scheme not in ("", "file") or not place.is_relative_to(database.parent.resolve()):
            raise UserError(
                f"{database} wants files of a run in {uri}, outside of {database.parent}: move it away, "
                "it is made again"
            )

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.name)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        # A server keeps artifacts where it likes; beside our own database the place must be absolute, or
        # every command would put them below the folder that it happens to run in.
        place = _artifacts(self.results).as_uri() if self.uri.startswith("sqlite:") else None
        kind = {"mlflow.experimentKind": "custom_model_development", view.PRIMARY_TAG: WER}
        return str(self.client.create_experiment(self.name, artifact_location=place, tags=kind))

    def find(self, tag: str, value: str, parent: str | None = None) -> list[Any]:
        """Runs of the experiment with that tag, newest first."""
        # MLflow's filters know no escape for quotes: any character will do there, and the tag is compared.
        pattern = re.sub(r"[^\w .-]", "_", value, flags=re.ASCII)
        wanted = f"tags.`{tag}` LIKE '{pattern}'"
        if parent:
            wanted += f" and tags.`mlflow.parentRunId` = '{parent}'"
        found = self.client.search_runs([self.experiment], wanted, order_by=["attributes.start_time DESC"])
        return [run for run in found if run.data.tags.get(tag) == value]

    def parent(self) -> str:
        """The comparison's run, made where there is none."""
        found = self.find(COMPARISON_TAG, self.name)
        if found:
            return str(found[0].info.run_id)
        tags = {COMPARISON_TAG: self.name, "mlflow.runName": self.name}
        return str(self.client.create_run(self.experiment, tags=tags).info.run_id)

    def finish_parent(self, parent: str, files: list[Path], figures: list[Path], verdict: list[str]) -> bool:
        """Note, config, table, report and figures of the comparison. False where they have not changed."""
        splits = corpus_facts.gather(self.config)
        note = describe.note(self.config, splits, verdict, self.experiment, parent)
        shared = view.shared_view(parent)
        content = content_hash([*files, *figures], FORMAT + note + shared)
        if self.client.get_run(parent).data.tags.get(CONTENT_TAG) == content:
            return False
        self._check_artifacts(parent)
        for path in files:
            if path.is_file():
                self.client.log_artifact(parent, str(path))
        for path in figures:
            self.client.log_artifact(parent, str(path), "figures")
        self.client.set_tag(parent, NOTE_TAG, note)
        self.client.set_experiment_tag(self.experiment, NOTE_TAG, note)
        self.client.set_experiment_tag(self.experiment, view.TAG, shared)
        self.client.set_tag(parent, CONTENT_TAG, content)
        self.client.set_terminated(parent)
        return True

    def child(self, parent: str, record: RunRecord, row: Row, colour: str) -> tuple[str, bool]:
        """The run of one training: its id, and whether it was added now. One that has changed is replaced."""
        files = _files(record, self.results)
        content = content_hash([*files, record.folder / MODEL], FORMAT + json.dumps([row, colour]))
        before = self.find(RUN_TAG, record.run.name, parent)
        for one in before:
            if one.data.tags.get(CONTENT_TAG) == content:
                return str(one.info.run_id), False
        for one in before:  # retrained, scored again, or cut off half-way; can be restored in MLflow
            self.client.delete_run(one.info.run_id)
        run_id = self._create(parent, record, colour)
        self._log(run_id, record, row, files)
        self.client.set_tag(run_id, CONTENT_TAG, content)
        return run_id, True

    def _create(self, parent: str, record: RunRecord, colour: str) -> str:
        tags = {
            "mlflow.runName": record.run.name,
            "mlflow.parentRunId": parent,
            "mlflow.runColor": colour,  # as in the report
            RUN_TAG: record.run.name,
        }
        if record.diverged:
            tags[DIVERGED_TAG] = "yes"
        start_ms = int(1000 * (_ended(record) - float(record.summary.get("seconds", 0.0))))
        return str(self.client.create_run(self.experiment, start_ms, tags=tags).info.run_id)

    def _log(self, run_id: str, record: RunRecord, row: Row, files: list[Path]) -> None:
        from mlflow.entities import Param, RunTag

        settings = record.settings
        params = [Param(*one) for one in describe.params(record, settings or self.config.plain())]
        tags = [RunTag(*one) for one in describe.tags(record, settings)]
        self.client.log_batch(run_id, params=params[:100], tags=tags[:90])
        self.client.log_inputs(run_id, describe.data_sets(self.config, corpus_facts.gather(self.config)))
        metrics = list(points(record, row, self.client.get_run(run_id).info.start_time))
        for first in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[first : first + BATCH])
        self._check_artifacts(run_id)
        for path in files:
            if path.is_file():
                where = path.parent.name if path.name == "score.json" else None
                self.client.log_artifact(run_id, str(path), where)
        if (record.folder / MODEL).is_file():
            self._log_model(run_id, record.folder / MODEL)
        self.client.set_terminated(run_id, end_time=int(1000 * _ended(record)))

    def _log_model(self, run_id: str, weights: Path) -> None:
        """The figures are added without the model where its file is damaged or an older version's."""
        with TemporaryDirectory() as folder:
            saved = Path(folder) / "model"
            try:
                model.save(weights, saved)
            except UserError as error:
                logger.warning(f"track: the model is left out: {error}")
                return
            self.client.log_artifacts(run_id, str(saved), saved.name)


def _ended(record: RunRecord) -> float:
    """When training ended, seconds since 1970."""
    return (record.folder / METRICS).stat().st_mtime


def _files(record: RunRecord, results: Path) -> list[Path]:
    own = [record.folder / name for name in ("config.yaml", METRICS, HELDOUT)]
    return own + [Layout(results).score(record.run.name, lm) for lm in record.scores]
