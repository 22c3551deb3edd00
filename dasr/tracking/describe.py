"""What MLflow says of a comparison and of a run in words: note, parameters, data sets, source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dasr.config import Config
from dasr.results.corpus_facts import SplitFacts
from dasr.results.records import Record, RunRecord, flat

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

CONTEXTS = {"train": "training", "dev": "validation", "test": "test"}
NOTE = """\
One acoustic model (preset {preset}), one budget ({budget}), trained with each distributed SGD strategy: the \
strategy is the only difference.

- **Report** with all figures and the settings: [report.html]({report})
- `wer/test`: word error rate on the test set, per cent; its 95 % interval is in `wer/interval`.
- `heldout`: loss of the consensus model (the mean of all learners' models) on dev. *Step* counts the \
samples that all learners have seen, *relative time* is the training clock.
- `time`, `cost`: training time, the fraction of it spent waiting for others, megabytes that a learner sent.
"""


def note(config: Config, splits: list[SplitFacts], verdict: list[str], experiment: str, parent: str) -> str:
    """The comparison's note, Markdown: what it is and says, how to read it, where the report is."""
    speech = ", ".join(f"{one.split} {one.utterances:,} utterances ({one.hours:.2f} h)" for one in splits)
    report = f"#/experiments/{experiment}/runs/{parent}/artifacts/report.html"
    budget = f"{config.training.epochs:g} epochs"
    return (
        NOTE.format(preset=config.model.preset, budget=budget, report=report)
        + ("\n" + " ".join(verdict) + "\n" if verdict else "")
        + (f"\nData: {speech}.\n" if speech else "")
    )


def params(record: RunRecord, settings: Record) -> Iterator[tuple[str, str]]:
    """What was chosen for a run, presets and defaults filled in."""
    run, resolved = record.run, settings.get("resolved", {})
    yield from {
        "strategy": run.label, "learners": str(run.learners), "batch": str(run.batch), "seed": str(run.seed),
    }.items()  # fmt: skip
    yield from flat(resolved.get("options", dict(run.options)), "option")
    if "peak_learning_rate" in resolved:
        yield "peak_learning_rate", f"{resolved['peak_learning_rate']:g}"
    if preset := settings.get("model", {}).get("preset"):
        yield "preset", str(preset)
    for section in ("model", "training", "corpus", "features", "hmm", "decoding"):
        yield from flat(resolved.get(section, settings.get(section, {})), section)


def tags(record: RunRecord, settings: Record) -> Iterator[tuple[str, str]]:
    """Where a run comes from: command, commit, versions, machine."""
    yield "mlflow.source.name", f"dasr train {record.run.name}"
    yield "mlflow.source.type", "LOCAL"
    commit = settings.get("code", {}).get("commit")
    if commit:
        yield "mlflow.source.git.commit", str(commit).removesuffix("-dirty")
    for section in ("code", "environment"):
        yield from flat(settings.get(section, {}), f"dasr.{section}")


def data_sets(config: Config, splits: list[SplitFacts]) -> list[DatasetInput]:
    """The splits as MLflow's data sets: hours, utterances, digest of the features."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    kind = config.features.kind
    source = json.dumps({"uri": config.corpus.path})
    found = []
    for one in splits:
        profile = json.dumps(
            {"utterances": one.utterances, "speakers": one.speakers, "hours": round(one.hours, 3)}
        )
        schema = json.dumps({"features": kind})
        data = Dataset(f"{config.corpus.kind} {one.split}", one.digest, "local", source, schema, profile)
        found.append(DatasetInput(data, [InputTag("mlflow.data.context", CONTEXTS[one.split])]))
    return found
