"""Make the pages of measurements from the records in benchmarks/results/.

    python -m benchmarks.report           # write docs/performance.md, prediction.md and so on
    python -m benchmarks.report --check   # only say whether they are what the records give

The text stands in benchmarks/pages/*.jinja, every table comes from records: for each cell from the newest
day on which it was measured, over all records of that day.
"""

from __future__ import annotations

import argparse
import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import jinja2

from benchmarks import records
from benchmarks.records import ROOT, Record, Row
from dasr.errors import UserError
from dasr.files import write_text

PAGES = ("performance.md", "prediction.md", "findings-runs.md", "compression.md")
TEMPLATES = ROOT / "benchmarks" / "pages"
BATCHES = (256, 2560)  # chunks of 21 frames in each GPU's batch
CHUNK = 21
STRATEGIES = ("sc-allreduce", "sd", "delay-by-one", "ad", "h-ad", "bmuf", "local")
ASYNCHRONOUS = ("ac-ps", "ad")
USUAL = {"slow": 1.0, "gradients": "float32", "preset": "swb2000", "peer_memory": "1"}  # what tables show
Lines = list[list[str]]


@dataclass(frozen=True)
class Speed:
    """One row of a throughput record with the GPUs that it was measured on."""

    day: datetime.date
    file: str
    gpu: str
    count: int
    row: Row

    def efficiencies(self) -> list[float]:
        """That of a run, or the least and greatest of several."""
        if "efficiency" in self.row:
            return [self.row["efficiency"]]
        return [self.row[key] for key in ("efficiency_min", "efficiency_max") if key in self.row]

    @property
    def runs(self) -> int:
        return int(self.row.get("runs", 1))

    def kframes(self) -> float | None:
        """Thousand frames a second of all GPUs; where only the efficiency was kept, from that."""
        if "kframes_per_s" in self.row:
            return float(self.row["kframes_per_s"])
        if "alone_ms" in self.row:
            alone = self.row["batch"] * CHUNK / self.row["alone_ms"]
            return float(fmean(self.efficiencies()) * self.count * alone)
        return None


class Throughput:
    """All speeds on GPUs that were measured as `USUAL` says."""

    def __init__(self, found: dict[str, Record]) -> None:
        self.speeds = [
            Speed(record.date, file, gpu_model(record), len(record.hardware.gpus), row)
            for file, record in found.items()
            if record.what == "throughput" and record.hardware.gpus and usual(record)
            for row in record.rows
        ]

    def machines(self) -> list[tuple[str, int]]:
        """(GPU model, how many), fewest first."""
        return sorted({(one.gpu, one.count) for one in self.speeds}, key=lambda pair: (pair[1], pair[0]))

    def newest(self, gpu: str, count: int, what: str, batch: int) -> list[Speed]:
        """The speeds of the newest day."""
        same = [
            one
            for one in self.speeds
            if (one.gpu, one.count, one.row["what"], one.row["batch"]) == (gpu, count, what, batch)
        ]
        return [one for one in same if one.day == max(other.day for other in same)]

    def strategies(self) -> str:
        """Table: speed, efficiency and prediction of every strategy."""
        head = ["GPUs", "strategy"]
        for batch in BATCHES:
            head += [f"B={batch:,}: kframes/s", "efficiency", "step, ms", "predicted, ms"]
        lines: Lines = []
        for gpu, count in self.machines():
            for what in ("single", *STRATEGIES):
                cells = [self.newest(gpu, count, what, batch) for batch in BATCHES]
                if any(cells):
                    label = "each alone" if what == "single" and count > 1 else what
                    lines.append([f"{count} x {gpu}", label, *(cell for one in cells for cell in four(one))])
        return table(head, lines)

    def against_plain(self) -> str:
        """Table: plain PyTorch and DDP on the same machine in the same call."""
        head = ["GPUs", "B", "plain PyTorch, kframes/s", "dasr, kframes/s", "times", "memory, GB (plain)"]
        lines: Lines = []
        for gpu, count in self.machines():
            batches = {one.row["batch"] for one in self.speeds if (one.gpu, one.count) == (gpu, count)}
            for batch in sorted(batches):
                plain = self.newest(gpu, count, "DDP" if count > 1 else "plain PyTorch", batch)
                ours = self.newest(gpu, count, "sc-allreduce" if count > 1 else "single", batch)
                if not plain or not ours:
                    continue
                slow, fast = (typical(kframes(one)) for one in (plain, ours))
                memory = [typical([o.row["gb"] for o in one if "gb" in o.row]) for one in (ours, plain)]
                label = " (DDP)" if count > 1 else ""
                cells = [f"{count} x {gpu}{label}", f"{batch:,}", number(slow), number(fast)]
                cells.append(f"{fast / slow:.1f}" if slow and fast else "")
                cells.append(f"{memory[0]:.1f} ({memory[1]:.1f})" if memory[0] and memory[1] else "")
                lines.append(cells)
        return table(head, lines)

    def files(self) -> list[str]:
        """Of the records that the tables are from."""
        whats = ("single", "plain PyTorch", "DDP", *STRATEGIES)
        batches = {one.row["batch"] for one in self.speeds}
        used = (
            one.file
            for gpu, count in self.machines()
            for what in whats
            for batch in batches
            for one in self.newest(gpu, count, what, batch)
        )
        return sorted(set(used))


def usual(record: Record) -> bool:
    return all(record.settings.get(key, value) == value for key, value in USUAL.items())


def gpu_model(record: Record) -> str:
    """`H200` of `NVIDIA H200`."""
    name = record.hardware.gpus[0]
    found = re.search(r"\b[A-Z]+\d{2,}\w*", name)
    return found.group() if found else name


def kframes(speeds: Iterable[Speed]) -> list[float]:
    return [value for one in speeds if (value := one.kframes()) is not None]


def typical(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def four(speeds: list[Speed]) -> list[str]:
    """kframes/s, efficiency, ms a step, predicted."""
    speed = number(typical(kframes(speeds)))
    efficiencies = [value for one in speeds for value in one.efficiencies()]
    runs = sum(one.runs for one in speeds if one.efficiencies())
    efficiency = ""
    if efficiencies:
        low, high = f"{min(efficiencies):.3f}", f"{max(efficiencies):.3f}"
        efficiency = (low if low == high else f"{low} to {high}") + (f" ({runs})" if runs > 1 else "")
    step = typical([one.row["ms_a_step"] for one in speeds if "ms_a_step" in one.row])
    predicted = [one.row for one in speeds if "predicted_ms" in one.row]
    foretold = ""
    if predicted:
        error = typical([row["error_percent"] for row in predicted]) or 0.0
        foretold = f"{median(row['predicted_ms'] for row in predicted):.2f} ({error:+.1f} %)"
    return [speed, efficiency, "" if step is None else f"{step:.2f}", foretold]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(cells)} |".replace("  |", " |") for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def findings_table(rows: Sequence[Row]) -> str:
    """Held-out losses by batch, strategy and rate: mean over seeds (range); the best rate in bold."""
    best: dict[tuple[int, str], float] = {}
    for row in rows:
        if not row["diverged"]:
            place = row["batch"], row["strategy"]
            best[place] = min(best.get(place, row["heldout"][0]), row["heldout"][0])
    lines: Lines = []
    for row in rows:
        line = [str(row["batch"]), row["strategy"], f"{row['rate']:g}", str(row["seeds"])]
        if row["diverged"]:
            rest = f", else {spread(row['heldout'])}" if "heldout" in row else ""
            lines.append([*line, f"diverged in {row['diverged']}{rest}", "", "", ""])
            continue
        end = spread(row["heldout"])
        end = f"**{end}**" if row["heldout"][0] == best[row["batch"], row["strategy"]] else end
        line += [end, spread(row["heldout_half_way"])]
        lines.append([*line, f"{row['consensus_distance']:.3g}", f"{row['staleness']:.1f}"])
    head = ["batch", "strategy", "rate", "seeds", "held-out CE", "half way", "consensus distance"]
    return table([*head, "staleness"], lines)


def spread(values: Sequence[float]) -> str:
    mean, least, greatest = values
    return f"{mean:.3f} ({least:.3f} to {greatest:.3f})"


def faults_table(found: Sequence[Record]) -> str:
    """Seconds until a run had got further than before the fault; the newest record of each."""
    newest = {(row["fault"], row["strategy"]): row for record in found for row in record.rows}
    lines: Lines = []
    for row in newest.values():
        line = [row["fault"], row["strategy"], str(row["trials"])]
        line += [f"{row['median_s']:.1f}", f"{row['worst_s']:.1f}"]
        lines.append([*line, "yes" if row["same_bits"] else "does not apply"])
    return table(["fault", "strategy", "trials", "median, s", "worst, s", "same bits as undisturbed"], lines)


def prediction_table(record: Record) -> str:
    """Measured and predicted time of a step."""
    head = ["gradient", "learners", "link, Mbit/s", "strategy", "measured, ms a step", "predicted", "error"]
    lines: Lines = []
    for row in record.rows:
        line = [row["gradient"], str(row["learners"]), f"{row['mbit_s']:,}", row["strategy"]]
        line += [f"{row['measured_ms']:.1f}", f"{row['predicted_ms']:.1f}"]
        lines.append([*line, f"{row['error_percent']:+.1f} %"])
    return table(head, lines)


def smoke_differences(record: Record) -> dict[str, float]:
    """case -> mean held-out loss on GPUs against the reference's, %; of some only that was kept."""
    found: dict[str, float] = {}
    for row in record.rows:
        if "difference_percent" in row:
            found[row["case"]] = row["difference_percent"]
            continue
        both = sorted(row["loss"].keys() & row["reference_loss"].keys())
        if both:
            here, there = (fmean(row[key][seed] for seed in both) for key in ("loss", "reference_loss"))
            found[row["case"]] = 100 * (here / there - 1)
    return found


def smoke_table(found: Sequence[Record]) -> str:
    """Differences of all cases, the newest record of each."""
    newest: dict[str, float] = {}
    for record in found:
        newest |= smoke_differences(record)
    lines = [
        ["asynchronous" if case.split()[0] in ASYNCHRONOUS else "synchronous", case, f"{difference:+.2f} %"]
        for case, difference in newest.items()
    ]
    return table(["kind", "case", "GPU against CPU"], sorted(lines))


def conformer_table(record: Record) -> str:
    """Speed of whole utterances, beside plain PyTorch."""
    head = ["utterances a learner", "what", "ms a step", "kframes/s", "efficiency", "GB reserved"]
    lines = [
        [
            str(row["batch"]),
            row["what"],
            f"{row['ms_a_step']:.1f}",
            f"{row['kframes_per_s']:.0f}",
            f"{row['efficiency']:.3f}" if row["what"] in STRATEGIES else "",
            f"{row['reserved_gb']:.1f}",
        ]
        for row in record.rows
    ]
    return table(head, lines)


def compression_table(record: Record) -> str:
    """Held-out loss and bytes of each codec: means and ranges over seeds, beside the first one's of the same
    seeds."""
    groups: dict[str, dict[int, Row]] = {}
    for row in record.rows:
        groups.setdefault(row["compression"], {})[row["seed"]] = row
    (first, *_) = groups.values()
    lines = []
    for spec, rows in groups.items():
        losses, exact = ([group[seed]["heldout"] for seed in rows] for group in (rows, first))
        sent, before = (fmean(group[seed]["mb_sent"] for seed in rows) for group in (rows, first))
        spread = f"{fmean(losses):.3f} ({min(losses):.3f} - {max(losses):.3f})"
        worse = f"{100 * (fmean(losses) / fmean(exact) - 1):+.1f} %"
        lines.append([f"`{spec}`", str(len(rows)), spread, worse, f"{sent:,.0f}", f"{before / sent:.1f}"])
    head = ["compression", "seeds", "held-out loss", "against the first", "MB sent a learner", "times fewer"]
    return table(head, lines)


def about(record: Record) -> str:
    """Where and when, in a phrase."""
    machine = record.hardware
    gpus = f"{len(machine.gpus)} x {machine.gpus[0]}, " if machine.gpus else ""
    cores = f"{machine.cores} cores" if machine.cores else ""
    cpu = " of ".join(part for part in (cores, machine.cpu) if part)
    commit = f", commit {record.commit}" if record.commit else ""
    return f"`{record.command}`; {gpus}{cpu + ', ' if cpu else ''}{record.date}{commit}"


def render(template: str, found: dict[str, Record]) -> str:
    """The page that a template and the records give."""

    def every(what: str) -> list[Record]:
        kept = [record for record in found.values() if record.what == what]
        if not kept:
            raise UserError(f"{template}: there is no record of '{what}' in benchmarks/results")
        return kept

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, made from files of the repository
    )
    return environment.get_template(template).render(
        every=every,
        newest=lambda what: every(what)[-1],
        throughput=Throughput(found),
        about=about,
        compression_table=compression_table,
        conformer_table=conformer_table,
        faults_table=faults_table,
        findings_table=findings_table,
        prediction_table=prediction_table,
        smoke_table=smoke_table,
    )


def pages(found: dict[str, Record]) -> Iterator[tuple[Path, str]]:
    """(path, text) of all generated pages."""
    for name in PAGES:
        yield ROOT / "docs" / name, render(f"{name}.jinja", found)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page would change")
    given = parser.parse_args()
    for path, text in pages(records.read_all()):
        if not given.check:
            write_text(path, text)
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            place = path.relative_to(ROOT)
            raise UserError(f"{place} is not what the records give: run `python -m benchmarks.report`")


if __name__ == "__main__":
    from benchmarks import commandline

    commandline.run(main)
