"""Put odd values into every key of a configuration and every option, and compare at random.

    python -m tests.support.odd_values [--comparisons 800] [--trainings 100] [--seed S]

Right is one line (while the configuration is read, or when its runs are built: before anything is started),
or a configuration that is accepted and whose runs can be simulated and trained. Wrong is a traceback, a
message that is not one readable line, and what is accepted and fails later.
Prints a table of keys, options and comparisons; exit status 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import datetime
import math
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from dasr import config as configuration
from dasr.config import OVERRIDES, Config, Run
from dasr.errors import UserError
from dasr.learner.learner import Budget
from dasr.planning.check import check_corpus, check_inputs, check_runs
from dasr.planning.simulate import simulate
from dasr.rehearsal.rehearse import alternatives
from dasr.strategies import registry
from dasr.training.run import train
from dasr.validation import to_yaml
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.simulation import Simulation
from tests.support import aligned_corpus

ODD_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 3, 2**31, 2**63, -(2**70), 10**400,
    0.0, -0.0, 0.5, 1.5, -3.5, 1e-320, 1e308, math.nan, math.inf, -math.inf,
    "", " ", "x", "1e-3", "nan", "line\nbreak", "a\0b", "ünïcødé 🙂", "x" * 5000,
    [], [1, [2]], {}, {"a": {"b": 1}}, ["sd"], datetime.date(2026, 11, 28), "../..", "~", "{run}", b"bytes",
    "5", "-5", "1_000", "true", ".inf", "my folder/a file", "/nowhere", "fp32", "$(touch x)", "0x10", "1:30",
]  # fmt: skip
TEXTS: dict[str, list[Any]] = {
    "compression": ["fp32", "bf16", "topk:0.1", "powersgd:2", "sign,start=2", "1bit", "topk:2", "zip"],
    "inner": ["single", "local", "sd", "sgp", "ad", "lokal"],
}
STEPS = 20  # more than every default period
CLUSTER = presets.load("ethernet-10g")
RIGHT = ("refused", "refused by building", "accepted", "trained")
WRONG = ("TRACEBACK", "UNREADABLE", "FAILS LATER")


def keys(section: type[BaseModel] = Config, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the configuration, sections included, as a path."""
    for name, field in section.model_fields.items():
        yield (*prefix, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, (*prefix, name))


def placed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A configuration that says nothing but that value."""
    for part in reversed(path):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def judged(given: dict[str, Any]) -> tuple[str, Config | None, str]:
    """The outcome, the configuration if it is accepted, and what was said otherwise."""
    outcome = "refused"
    try:
        config = configuration.complete(given)
        check_inputs(config)
        check_corpus(config)
        outcome = "refused by building"
        check_runs(config)
    except UserError as error:
        said = str(error)
        readable = said.isprintable() and 10 < len(said) < 600
        return outcome if readable else "UNREADABLE", None, said
    except Exception:
        return "TRACEBACK", None, traceback.format_exc()
    return "accepted", config, ""


def survives_a_file(config: Config) -> str:
    """What is wrong with an accepted configuration that jobs of a workflow read again; nothing as a rule."""
    try:
        same = configuration.parse(config.text(), "text") == config
        names = all(run.name.isprintable() for run in configuration.runs(config))
    except Exception:
        return traceback.format_exc()
    return "" if same and names else "it does not read as it was written"


def simulated(run: Run) -> str:
    """What ends a simulation of that run without arithmetic; nothing as a rule."""
    try:
        simulate(
            run.strategy, Budget(STEPS, run.batch, run.learners), CLUSTER, options=dict(run.options), seed=0
        )
    except Exception:
        return traceback.format_exc()
    return ""


def trained(config: Config, run: Run) -> str:
    """What ends a training of that run on a corpus of a few sentences; nothing as a rule."""
    simulation = Simulation(CLUSTER, run.learners, samples=run.batch // run.learners)
    try:
        simulation.run(lambda world: train(world, config, run))
    except Exception as error:
        said = f"{error} {error.__cause__}"
        return "" if "finite" in said else traceback.format_exc()  # too high a rate: said in a line
    return ""


def comparison(draw: random.Random) -> dict[str, Any]:
    """A comparison as somebody might write it, with and without mistakes."""
    entries = [_entry(draw) for _ in range(draw.randrange(1, 4))]
    learners = draw.choices([1, 2, 3, 4, 8, 0, -1, 1.5, "2"], [9, 18, 9, 18, 9, 1, 1, 1, 1], k=1)
    batch = draw.choices([24, 48, 12, 16, 1, 0, -8, 1e9], [36, 18, 9, 9, 2, 1, 1, 1], k=1)
    seeds = draw.choices([0, 7, 2**32 - 1, 2**32, -1], [18, 18, 6, 1, 1], k=1)
    training: dict[str, Any] = {}
    for key, values in TRAINING.items():
        if draw.random() < 0.1:
            training[key] = draw.choice(values)
    return {
        "training": training,
        "comparison": {"strategies": entries, "learners": learners, "batch": batch, "seeds": seeds},
    }


TRAINING: dict[str, list[Any]] = {
    "optimizer": [{"kind": "sgd"}, {"kind": "momentum"}, {"kind": "adamw"}, {"kind": "adm"}],
    "schedule": ["constant", "cosine", "inverse-sqrt", "cosin"],
    "learning_rate": [1e-3, 0.1, "1e-2", 0, -1.0],
    "momentum": [0.9, 0.0, 1.0],
    "clip": [1.0, None, 0],
    "clip_rule": ["local-batch", "none"],
    "samples": ["utterances", "chunks", "frames"],
    "chunk_frames": [7, 21, 42, 0, 10],
    "warmup_epochs": [0, 1, 100, -1],
    "anneal_after_epochs": [0, 1e6],
    "snapshots": [1, 50, 0],
    "rate_rule": ["sqrt", "none", "square"],
}


def _entry(draw: random.Random) -> Any:
    name = draw.choice(registry.names())
    if draw.random() < 0.2:
        return name if draw.random() < 0.8 else name[:-1]
    entry: dict[str, Any] = {"strategy": name}
    for key, option in registry.options(name).items():
        if draw.random() < 0.3:
            likely = TEXTS.get(key) or [*alternatives(option.default, option.annotation), option.default]
            entry[key] = draw.choice(ODD_VALUES) if draw.random() < 0.05 else draw.choice(likely)
    for key in OVERRIDES:
        if draw.random() < 0.1:
            values = TRAINING.get(key, [None])
            entry[key] = draw.choice(["adamw", "sgd", "momentum"] if key == "optimizer" else values)
    if draw.random() < 0.03:
        entry[draw.choice(["tua", "period ", "Mixing", "inner_tau", "learners", ""])] = 1
    return entry


class Trial:
    """Counts of outcomes, a row for each kind, and what was wrong."""

    def __init__(self) -> None:
        self.rows: dict[str, Counter[str]] = {}
        self.wrong: list[str] = []

    def add(self, row: str, outcome: str, given: Any, said: str) -> None:
        self.rows.setdefault(row, Counter())[outcome] += 1
        if outcome in WRONG:
            last = said.strip().splitlines()[-1] if said.strip() else ""
            shown = to_yaml(given).strip()[:300]
            self.wrong.append(f"    {outcome}: {shown!r}: {last[:300]}\n{said[-1500:]}")

    def table(self) -> str:
        names = (*RIGHT, *WRONG)
        lines = [f"{'':32s} {' '.join(f'{name:>19s}' for name in names)}"]
        for row, counts in self.rows.items():
            lines.append(f"{row:32s} {' '.join(f'{counts[name]:19d}' for name in names)}")
        total: Counter[str] = sum(self.rows.values(), Counter())
        lines.append(f"{'all':32s} {' '.join(f'{total[name]:19d}' for name in names)}")
        return "\n".join(lines)


def try_keys(trial: Trial) -> None:
    for path in keys():
        for value in ODD_VALUES:
            given = placed(path, value)
            outcome, config, said = judged(given)
            if config is not None and (said := survives_a_file(config)):
                outcome = "FAILS LATER"
            trial.add(".".join(path), outcome, given, said)


def try_options(trial: Trial) -> None:
    for name in registry.names():
        for key in registry.options(name):
            for value in ODD_VALUES:
                given = {"comparison": {"strategies": [{"strategy": name, key: value}], "learners": [4]}}
                outcome, config, said = judged(given)
                if config is not None and (said := simulated(configuration.runs(config)[0])):
                    outcome = "FAILS LATER"
                trial.add(f"{name}: {key}", outcome, given, said)


def try_comparisons(trial: Trial, count: int, trainings: int, seed: int, folder: Path) -> None:
    """Random comparisons; the first `trainings` that are accepted are trained, as far as they are short."""
    results = aligned_corpus.make(folder)
    tiny = aligned_corpus.small_config(results)
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        given = comparison(draw)
        whole = {"results": str(folder / str(number)), "model": tiny.plain()["model"], **given}
        whole["training"] = {"epochs": 1, "chunk_frames": 7, **given["training"]}
        outcome, config, said = judged(whole)
        if config is not None:
            said = next(filter(None, (simulated(run) for run in configuration.runs(config))), "")
            if not said and trainings > 0:
                (folder / str(number)).mkdir()
                for part in ("features", "alignments"):
                    (folder / str(number) / part).symlink_to(results / part)
                run = draw.choice(configuration.runs(config))
                said, outcome = trained(config, run), "trained"
                trainings -= 1
            outcome = "FAILS LATER" if said else outcome
        trial.add("comparisons", outcome, given, said)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--comparisons", type=int, default=800, help="random ones")
    parser.add_argument("--trainings", type=int, default=100, help="of those that are accepted")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    trial = Trial()
    try_keys(trial)
    try_options(trial)
    with tempfile.TemporaryDirectory(prefix="odd-values-") as folder:
        try_comparisons(trial, given.comparisons, given.trainings, given.seed, Path(folder))
    print(f"seed {given.seed}, {len(ODD_VALUES)} odd values\n{trial.table()}")
    print("\n".join(trial.wrong), end="\n" if trial.wrong else "")
    sys.exit(bool(trial.wrong))


if __name__ == "__main__":
    main()
