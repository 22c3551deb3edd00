"""How MLflow's pages open: the address, the columns of the table, the order of the charts.

MLflow keeps a view that users share as a tag of the experiment, and opens it by a key in the address. The
view's fields are those of its pages (mlflow/server/js); one that a later version does not know is ignored."""

from __future__ import annotations

import json
from typing import Any

from dasr.tracking.metrics import GROUPS, HELDOUT_CE, MB_SENT, TRAINING_S, WAITING, WER, WER_NGRAM

KEY = "comparison"
TAG = f"mlflow.sharedViewState.{KEY}"
PRIMARY_TAG = "mlflow.experiment.primaryMetric.name"
LOCAL = "http://127.0.0.1:5000"  # where `mlflow server` listens
COLUMNS = (WER, WER_NGRAM, HELDOUT_CE, TRAINING_S, WAITING, MB_SENT)
FOLDED = ("wer/interval", "wer/dev", "wer/p")  # groups of charts that are opened by a click
WIDTH = 150  # pixels of a column: its whole heading
CURVES = {  # two charts of one metric: title -> horizontal axis
    "held-out cross-entropy (nats/frame) over training time": "time-relative",
    "held-out cross-entropy (nats/frame) over samples": "step",
}


def addresses(server: str, experiment: str) -> dict[str, str]:
    """The comparison's pages: its runs as a table, its charts."""
    runs = f"{server.rstrip('/')}/#/experiments/{experiment}/runs?viewStateShareKey={KEY}"
    return {"runs": runs, "charts": f"{runs}&compareRunsMode=CHART"}


def shared_view(parent: str) -> str:
    """The view of the trainings below the run `parent`, best word error rate first, as the tag's value."""
    columns = [f"metrics.`{name}`" for name in COLUMNS]
    sections = [_section(name) for name in GROUPS]
    view = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'",
        "orderByKey": columns[0],
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": dict.fromkeys(columns, WIDTH),
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunSections": sections,
        "compareRunCharts": [_curve(title, axis) for title, axis in CURVES.items()],
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
    }
    return json.dumps(view)


def _section(name: str) -> dict[str, Any]:
    # A section that "is reordered" keeps its charts in the order in which they come.
    reordered = name == "heldout"
    return {
        "uuid": f"section-{name}", "name": name, "display": name not in FOLDED, "isReordered": reordered,
    }  # fmt: skip


def _curve(title: str, axis: str) -> dict[str, Any]:
    return {
        "uuid": f"curve-{axis}",
        "type": "LINE",
        "metricSectionId": "section-heldout",
        "metricKey": HELDOUT_CE,
        "selectedMetricKeys": [HELDOUT_CE],
        "displayName": title,
        "xAxisKey": axis,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": True,
        "runsCountToCompare": 20,
        "deleted": False,
        "isGenerated": False,
    }
