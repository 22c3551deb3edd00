"""`dasr track`."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from dasr import config as dasr_config
from dasr.errors import UserError
from dasr.files import write_json
from dasr.progress import progress

logger = logging.getLogger(__name__)


@contextmanager
def _only_writer(results: Path) -> Iterator[None]:
    """Hold a lock: two writers would each add the runs that they do not find."""
    path = results / "mlflow" / ".writer"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another `dasr track` is writing to {path.parent}: wait for it") from None
        yield


@click.command()
@click.option("--config", "config_path", default="config.yaml", show_default=True, help="configuration")
def track(config_path: str) -> None:
    """Write the comparison to MLflow: a parent run, and a child run for each training.

    Goes to MLFLOW_TRACKING_URI, or to a sqlite database in the results. What is there already is not added
    again."""
    config = dasr_config.load(config_path)
    results = Path(config["results"])
    from dasr.reporting import palette
    from dasr.results import comparison
    from dasr.results.records import read_comparison
    from dasr.tracking.store import Store, how_to_open

    found = read_comparison(config)
    for note in found.notes:
        logger.info("track: %s", note)
    table = comparison.rows(found, results)
    look = palette.plot_styles(palette.groups(found.runs))
    with _only_writer(results):
        store = Store(config)
        parent = store.parent()
        added, ids = 0, {}
        pairs = list(zip(found.runs, table, strict=True))
        for record, row in progress(pairs, "track"):
            ids[record.run.name], new = store.child(parent, record, row, look[record.run.label].colour)
            added += new
        files = [results / name for name in ("config.yaml", comparison.FILE, "report.html")]
        figures = sorted((results / "figures").glob("*.png"))
        best = {
            f"best_{name}": min(values)
            for name in ("wer_unigram", "wer_ngram", "heldout_ce")
            if (values := [float(row[name]) for row in table if row[name]])
        }
        changed = store.finish_parent(parent, files, figures, best)
        stamp = {"tracking_uri": store.uri, "experiment": store.experiment, "parent": parent, "runs": ids}
        write_json(results / "mlflow" / "tracked.json", stamp)
    state = "updated" if changed else "unchanged"
    print(f"MLflow: {added} runs added, {len(ids) - added} were there, comparison {state}")
    print(f"MLflow: {how_to_open(results)}")
