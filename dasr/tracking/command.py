"""`dasr track`."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click

from dasr import config as dasr_config
from dasr.files import write_json
from dasr.lock import exclusive_lock
from dasr.progress import progress
from dasr.results.layout import Layout

logger = logging.getLogger(__name__)


@click.command()
@click.option("--config", "config_path", default="config.yaml", show_default=True, help="configuration")
def track(config_path: str) -> None:
    """Write the comparison to MLflow: a parent run, and a child run for each training.

    Goes to MLFLOW_TRACKING_URI, or to a sqlite database in the results. What is there already is not added
    again."""
    config = dasr_config.load(config_path)
    results = Path(config.results)
    layout = Layout(results)
    from dasr.results import comparison, over_seeds, palette
    from dasr.results.records import read_comparison
    from dasr.tracking.store import Store, errors_named, how_to_open, tracking_uri

    found = read_comparison(config)
    for note in found.notes:
        logger.info("track: %s", note)
    table = comparison.rows(found, results)
    look = palette.plot_styles(palette.groups(found.runs))
    # two writers would each add the runs that they do not find
    folder = layout.mlflow
    writing = exclusive_lock(folder / ".writer", f"{folder} is already being written", "wait for it")
    with writing, errors_named(tracking_uri(results)):
        store = Store(config)
        parent = store.parent()
        added, ids = 0, {}
        pairs = list(zip(found.runs, table, strict=True))
        for record, row in progress(pairs, "track"):
            ids[record.run.name], new = store.child(parent, record, row, look[record.run.label].colour)
            added += new
        planned = [layout.plan / "plan.json", layout.plan / "plan.svg"]
        files = [layout.config, layout.comparison, layout.report, *planned]
        figures = sorted(layout.figures.glob("*.png"))
        changed = store.finish_parent(
            parent, files, figures, [*over_seeds.sentences(table), *_plan(planned[0])]
        )
        stamp = {"tracking_uri": store.uri, "experiment": store.experiment, "parent": parent, "runs": ids}
        write_json(layout.tracked, stamp)
    state = "updated" if changed else "unchanged"
    print(f"MLflow: {added} runs added, {len(ids) - added} were there, comparison {state}")
    print("\n".join(["MLflow, in a browser:", *how_to_open(results)]))


def _plan(path: Path) -> list[str]:
    """What `dasr plan` answered, if it was asked."""
    return list(json.loads(path.read_text("utf-8"))["sentences"]) if path.is_file() else []
