"""`dasr tune`: the learning rate that each strategy of the comparison is best with, found in virtual time.

Successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943): every candidate is trained on a part of
the budget, the better half goes on with more of it, the last ones with all of it. The configured settings
always go on to the last round, so that tuning ends with nothing worse on dev. Candidates are a grid, and
trainings are kept as those of `dasr plan` are: the same answer whenever it is stopped and however many
processes there are.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dasr import columns
from dasr import config as configuration
from dasr.config import Config, Run
from dasr.files import write_text
from dasr.planning.options import device
from dasr.results.layout import Layout
from dasr.validation import to_yaml

if TYPE_CHECKING:
    from dasr.planning.trials import Lab
    from dasr.worlds.simulated.clusters import Cluster

logger = logging.getLogger(__name__)

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the configured learning rate
PARTS = (0.25, 0.5, 1.0)  # of the budget, a round each

Changes = tuple[tuple[str, Any], ...]
"""What a candidate sets of `training`, in the form of Run.training."""


@dataclass
class Candidate:
    """Settings of one strategy; the mean loss over sizes and seeds of each round that it took part in."""

    changes: Changes
    configured: bool = False
    losses: dict[float, float] = dataclasses.field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Of its last round."""
        return self.losses[max(self.losses)]


@click.command(context_settings={"show_default": True})
@click.option("--config", "config_path", default="config.yaml", help="The configuration.")
@click.option("--cluster", help="For asynchronous strategies. [default: simulation.cluster]")
@click.option(
    "--rates", default=",".join(f"{f:g}" for f in FACTORS), help="Times the configured learning rate."
)
@click.option("--clips", help="Also training.clip, say 0.5,1,2.")
@click.option("--warmups", help="Also training.warmup_epochs, say 0,1.")
@click.option("--seeds", type=click.IntRange(1), default=1, help="Trainings of each candidate and round.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Trainings at once, each a process.")
@device
def tune(
    config_path: str,
    cluster: str | None,
    rates: str,
    clips: str | None,
    warmups: str | None,
    seeds: int,
    jobs: int,
    device: str,
) -> None:
    """Find each strategy's learning rate (clip, warm-up) by successive halving in virtual time.

    Judged by held-out loss on dev. Writes tune/tuned.yaml of the results, which `dasr plan` uses, and which
    trains the tuned strategies when it is given after the configuration: snakemake --configfile config.yaml
    results/tune/tuned.yaml. Stopped, it goes on where it was."""
    from dasr.planning.trials import lab_of
    from dasr.worlds.simulated import presets

    config = configuration.load(config_path)
    where = presets.load(cluster or config.simulation.cluster)
    folder = Layout.of(config).plan / "trainings"
    more = {"clip": _numbers(clips, "--clips"), "warmup_epochs": _numbers(warmups, "--warmups")}
    factors = _numbers(rates, "--rates")
    lab = lab_of(Path(config_path), folder, device)
    families = families_of(config, seeds)
    fields = [candidates(config, runs[0], factors, more) for runs in families]
    halve(lab, where, families, fields, jobs)
    best = [min(field, key=lambda one: (-max(one.losses), one.loss)) for field in fields]
    write_text(Layout.of(config).tuned, overlay(families, best))
    body = rows(families, fields, best)
    print(
        columns.text(
            {name: name for name in body[0]}, body, ("tuned", "loss", "loss as configured"), columns.width()
        )
    )
    for note in edges(families, best, factors, config):
        print(note)
    logger.info("tune: %s", Layout.of(config).tuned)


def _numbers(text: str | None, option: str) -> list[float]:
    """Raises UserError."""
    from dasr.errors import UserError

    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UserError(f"{option} '{text}': numbers with commas between them, as in 0.5,1,2") from None


def families_of(config: Config, seeds: int) -> list[list[Run]]:
    """The runs of the comparison by strategy: every size, with seeds 0, 1, ..."""
    own = config.comparison.model_copy(update={"seeds": list(range(seeds))})
    found: dict[str, list[Run]] = {}
    for run in configuration.runs(config.model_copy(update={"comparison": own})):
        found.setdefault(run.label, []).append(run)
    return list(found.values())


def candidates(
    config: Config, run: Run, factors: Sequence[float], more: dict[str, list[float]]
) -> list[Candidate]:
    """The settings as configured, then the grid without them."""
    from dasr.learner import recipe

    own = recipe.training_of(config.training, run.strategy, dict(run.training))
    rates = [own.learning_rate * factor for factor in factors]
    grid = itertools.product(rates, *(values or [getattr(own, name)] for name, values in more.items()))
    found = [Candidate(run.training, configured=True)]
    as_configured = (own.learning_rate, *(getattr(own, name) for name in more))
    for rate, *others in grid:
        if (rate, *others) != as_configured:
            given = dict(zip(more, others, strict=True))
            chosen = {"learning_rate": rate} | {name: given[name] for name in more if more[name]}
            found.append(Candidate(tuple((dict(run.training) | chosen).items())))
    return found


def halve(
    lab: Lab,
    cluster: Cluster,
    families: Sequence[Sequence[Run]],
    fields: Sequence[list[Candidate]],
    jobs: int,
) -> None:
    """Train round after round, all strategies' candidates of a round at once; fill their losses."""
    left = [list(field) for field in fields]
    for part in PARTS:
        place = dataclasses.replace(lab, epochs=part * float(lab.config.training.epochs))
        entries = [
            (one, dataclasses.replace(run, training=one.changes))
            for runs, alive in zip(families, left, strict=True)
            for one in alive
            for run in runs
        ]
        losses = place.final_losses(
            [(run, cluster) for _, run in entries], jobs, f"tune: {part:g} of the budget"
        )
        found: dict[int, list[float]] = {}
        for (one, _), loss in zip(entries, losses, strict=True):
            found.setdefault(id(one), []).append(loss)
        for alive in left:
            for one in alive:
                one.losses[part] = statistics.fmean(found[id(one)])
        left = [better_half(alive) for alive in left]


def better_half(alive: Sequence[Candidate]) -> list[Candidate]:
    """Of the others, and the settings as configured."""
    others = sorted((one for one in alive if not one.configured), key=lambda one: one.loss)
    kept = others[: math.ceil(len(others) / 2)]
    return [one for one in alive if one.configured or one in kept]


def overlay(families: Sequence[Sequence[Run]], best: Sequence[Candidate]) -> str:
    """YAML to be laid over the configuration."""
    entries = [
        {"strategy": runs[0].strategy, **dict(runs[0].options), **dict(one.changes)}
        for runs, one in zip(families, best, strict=True)
    ]
    return to_yaml({"comparison": {"strategies": entries}})


def rows(
    families: Sequence[Sequence[Run]], fields: Sequence[Sequence[Candidate]], best: Sequence[Candidate]
) -> list[dict[str, str]]:
    """A line a strategy."""
    found = []
    for runs, field, one in zip(families, fields, best, strict=True):
        settings = ", ".join(
            f"{key} {value:g}" for key, value in one.changes if isinstance(value, float | int)
        )
        found.append(
            {
                "strategy": runs[0].label,
                "tuned": "as configured" if one.configured else settings,
                "loss": f"{one.loss:.4f}",
                "loss as configured": f"{field[0].loss:.4f}",
                "candidates": str(len(field)),
            }
        )
    return found


def edges(
    families: Sequence[Sequence[Run]], best: Sequence[Candidate], factors: Sequence[float], config: Config
) -> list[str]:
    """Where the best rate is the lowest or the highest that was tried."""
    from dasr.learner import recipe

    said = []
    for runs, one in zip(families, best, strict=True):
        own = recipe.training_of(config.training, runs[0].strategy, dict(runs[0].training)).learning_rate
        ratio = dict(one.changes).get("learning_rate", own) / own
        for edge, better in ((min(factors), "lower"), (max(factors), "higher")):
            if ratio == edge and len(factors) > 1:
                said.append(f"{runs[0].label}: {better} rates than {ratio * own:g} were not tried (--rates).")
    return said
