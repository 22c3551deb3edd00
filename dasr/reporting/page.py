"""report.html: one file without external parts: table, figures, rejected utterances, settings."""

from __future__ import annotations

import base64
import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasr import __version__
from dasr.config import Config
from dasr.errors import UserError
from dasr.files import atomic, write_text
from dasr.reporting import costs, curves, speedup
from dasr.reporting import table as tables
from dasr.results import corpus_facts, over_seeds, palette, rejected
from dasr.results.layout import METRICS, Layout
from dasr.results.over_seeds import Entry, Row
from dasr.results.palette import Group
from dasr.results.records import Records, flat
from dasr.results.significance import SIGNIFICANT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("report.html.jinja")
LISTED = 200  # rejected utterances that are named in the report


@dataclass(frozen=True)
class Drawing:
    """A figure of the report: file name, heading, caption, and what draws it (None: nothing to draw)."""

    name: str
    title: str
    caption: str
    draw: Callable[[list[Group]], Figure | None]


DRAWINGS = [
    Drawing(
        "wer_time", "What it buys for what it costs",
        "Word error rate on test (unigram LM) over training time; one mark a run, bars are 95 % intervals. "
        "Down and to the left is better.",
        costs.time_and_errors,
    ),
    Drawing(
        "heldout_epochs", "Held-out loss against epochs",
        "Cross-entropy of the consensus model (the mean of all learners' models) on dev; lines: means over "
        "seeds, bands their range. The first part of training may lie above the picture.",
        partial(curves.heldout, against="epochs"),
    ),
    Drawing(
        "heldout_seconds", "Held-out loss against training time",
        "The same against the training clock, which evaluation and checkpoints do not advance.",
        partial(curves.heldout, against="seconds"),
    ),
    Drawing(
        "wer", "Word error rate",
        "Test set, with Bisani and Ney's 95 % intervals; one mark a seed. Acoustic scale chosen on dev.",
        costs.word_errors,
    ),
    Drawing(
        "time_use", "Where the time goes",
        "Mean over learners and seeds. Waiting is what the activity that computes gradients stood still for.",
        costs.time_use,
    ),
    Drawing("bytes", "Communication", "Bytes as they were sent, after compression.", costs.bytes_sent),
    Drawing(
        "staleness", "Staleness",
        "Updates between the weights that a gradient was computed at and those that it was applied to; "
        "strategies whose gradients are never stale are not drawn.",
        costs.staleness,
    ),
]  # fmt: skip


def draw_all(all_groups: list[Group], results: Path) -> list[dict[str, str]]:
    """Draw every figure into R/figures (svg and png); give name, title, caption and data URI of each."""
    shown = []
    predicted = Drawing(
        "speedup", "Predicted and measured speed-up",
        "Throughput over that of one learner. Lines: the simulator, timing only; marks: measured here.",
        partial(speedup.speedup, results=results),
    )  # fmt: skip
    figures = Layout(results).figures
    with palette.style():
        for drawing in [*DRAWINGS, predicted]:
            figure = drawing.draw(all_groups)
            if figure is None:
                continue
            svg = io.BytesIO()
            figure.savefig(svg, format="svg", metadata={"Date": None})
            with atomic(figures / f"{drawing.name}.svg") as path:
                path.write_bytes(svg.getvalue())
            with atomic(figures / f"{drawing.name}.png") as path:
                figure.savefig(path, format="png", metadata={"Software": None})
            data = "data:image/svg+xml;base64," + base64.b64encode(svg.getvalue()).decode()
            shown.append(
                {"name": drawing.name, "title": drawing.title, "caption": drawing.caption, "data": data}
            )
    return shown


def _seconds(entry: Entry) -> float:
    return entry.mean("seconds") or 0.0


def headlines(table: list[Row]) -> list[str]:
    """What the table says, in sentences."""
    every = [entry for entry in over_seeds.entries(table) if entry.values("seconds")]
    said = []
    if len(every) > 1:
        fastest = min(every, key=_seconds)
        batch = fastest.rows[0]["batch"]
        single = [one for one in every if one.label == "single" and one.rows[0]["batch"] == batch]
        ratio = ""
        if single and fastest is not single[0]:
            ratio = f", {_seconds(single[0]) / _seconds(fastest):.1f} times as fast as one learner"
        said.append(f"Fastest: {fastest.label}, {_seconds(fastest):,.1f} s{ratio}.")
    return said + over_seeds.sentences(table)


def write(config: Config, records: Records, table: list[Row]) -> Path:
    """Draw, and write R/report.html atomically."""
    import jinja2

    results = Path(config.results)
    planned = _plan(results)
    all_groups = palette.groups(records.runs)
    notes = list(records.notes)
    unusable = rejected.gather(results, notes)
    look = palette.plot_styles(all_groups)
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=config.comparison.name,
        version=__version__,
        date=_date(records),
        contents={id: title for id, title in CONTENTS.items() if planned or id != "plan"},
        plan=planned,
        headlines=headlines(table),
        compared=tables.comparison(records.runs, table),
        single=any(record.run.strategy == "single" for record in records.runs),
        effective=tables.effective(records.runs),
        colours={label: one.colour for label, one in look.items()},
        figures=draw_all(all_groups, results),
        notes=notes,
        rejected=unusable[:LISTED],
        rejected_count=len(unusable),
        splits=corpus_facts.gather(config),
        source=f"{config.corpus.kind}, {config.corpus.path}",
        settings=config.text(),
        versions=_versions(records),
        significant=SIGNIFICANT,
        several_seeds=over_seeds.several_seeds(over_seeds.entries(table)),
        server=os.environ.get("MLFLOW_TRACKING_URI", ""),
        runs=[record.run.name for record in records.runs],
    )
    write_text(results / "report.html", text)
    return results / "report.html"


def _plan(results: Path) -> dict[str, Any]:
    """What `dasr plan` left: sentences, rows, and its figure as a data URI; nothing where there is none."""
    folder = Layout(results).plan
    try:
        found: dict[str, Any] = json.loads((folder / "plan.json").read_text("utf-8"))
        figure = base64.b64encode((folder / "plan.svg").read_bytes()).decode()
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{folder / 'plan.json'} is damaged ({error}): run `dasr plan` again") from None
    return {**found, "figure": f"data:image/svg+xml;base64,{figure}"}


CONTENTS = {
    "comparison": "Comparison", "figures": "Figures", "plan": "Plan", "corpus": "Corpus",
    "settings": "Settings and versions", "more": "More",
}  # fmt: skip


def _date(records: Records) -> str:
    """When the last training ended, UTC."""
    ended = max(((one.folder / METRICS).stat().st_mtime for one in records.runs), default=0.0)
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ended)) if ended else ""


def _versions(records: Records) -> dict[str, Any]:
    """Code and environment of the runs; several values where runs differ."""
    found: dict[str, list[str]] = {}
    for record in records.runs:
        for section in ("code", "environment"):
            for key, value in flat(record.settings.get(section, {}), section):
                if value not in found.setdefault(key, []):
                    found[key].append(value)
    return {key: "; ".join(values) for key, values in found.items()}
