"""report.html: one file without external parts: table, figures, rejected utterances, settings."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasr import __version__
from dasr.config import Config
from dasr.files import atomic, write_text
from dasr.reporting import costs, curves, speedup
from dasr.reporting import table as tables
from dasr.results import corpus_facts, palette, rejected
from dasr.results.comparison import Row
from dasr.results.layout import METRICS, Layout
from dasr.results.palette import Group
from dasr.results.records import Records, flat

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


def headlines(table: list[Row]) -> list[str]:
    """What the table says, in sentences."""
    said = []
    timed = [row for row in table if row["seconds"]]
    single = {
        (row["batch"], row["seed"]): float(row["seconds"]) for row in timed if row["strategy"] == "single"
    }
    if len(timed) > 1:
        fastest = min(timed, key=lambda row: float(row["seconds"]))
        alone = single.get((fastest["batch"], fastest["seed"])) if fastest["strategy"] != "single" else None
        ratio = f", {alone / float(fastest['seconds']):.1f} times as fast as one learner" if alone else ""
        said.append(f"Fastest: {fastest['strategy']}, {float(fastest['seconds']):,.1f} s{ratio}.")
    scored = [row for row in table if row["wer_unigram"]]
    if scored:
        said += _word_errors(scored)
        compared = [row for row in scored if row["p_vs_sc_allreduce"]]
        unlike = [row for row in compared if float(row["p_vs_sc_allreduce"]) < tables.SIGNIFICANT]
        if compared:
            names = ", ".join(
                f"{row['strategy']} (seed {row['seed']}, p {tables.p_value(row)})" for row in unlike
            )
            said.append(
                f"Differs from sc-allreduce at p < {tables.SIGNIFICANT}, {len(compared)} comparisons, "
                f"uncorrected: {names or 'none'}."
            )
    return said


def _word_errors(scored: list[Row]) -> list[str]:
    """Which word error rate is the lowest, if the intervals tell; and which runs recognise nothing."""
    said = []
    best, *others = sorted(scored, key=lambda row: float(row["wer_unigram"]))
    if others and all(float(best["wer_high"]) < float(row["wer_low"]) for row in others):
        said.append(
            f"Lowest word error rate (unigram LM): {best['strategy']}, {best['wer_unigram']} % "
            f"[{best['wer_low']}, {best['wer_high']}]."
        )
    elif others:
        said.append(
            "No word error rate (unigram LM) lies clear below the others: the 95 % intervals overlap."
        )
    nothing = [
        f"{row['strategy']} (seed {row['seed']})" for row in scored if float(row["wer_unigram"]) >= 100
    ]
    if nothing:
        said.append(
            f"Word error rates of 100 % and more say that nothing was recognised: {', '.join(nothing)}."
        )
    return said


def write(config: Config, records: Records, table: list[Row]) -> Path:
    """Draw, and write R/report.html atomically."""
    import jinja2

    results = Path(config.results)
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
        contents=CONTENTS,
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
        significant=tables.SIGNIFICANT,
        server=os.environ.get("MLFLOW_TRACKING_URI", ""),
        runs=[record.run.name for record in records.runs],
    )
    write_text(results / "report.html", text)
    return results / "report.html"


CONTENTS = {
    "comparison": "Comparison", "figures": "Figures", "corpus": "Corpus", "settings": "Settings and versions",
    "more": "More",
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
