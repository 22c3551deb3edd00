"""`dasr plan`: which strategy reaches a held-out loss first on a cluster, and where the answer changes."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dasr import columns
from dasr import config as configuration
from dasr.config import Config, Run
from dasr.errors import UserError
from dasr.files import write_json
from dasr.planning import target as targets
from dasr.planning.options import device
from dasr.results.layout import Layout
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.clusters import Cluster, Link, Slow

if TYPE_CHECKING:
    from dasr.planning.answer import Candidate

logger = logging.getLogger(__name__)

SEEDS = 3
BANDWIDTHS = (0.01, 0.1, 10.0)  # times the cluster's, for what-ifs
SLOWER = 4.0  # how many times slower one learner computes there
DEAR = ("time to target", "over seeds", "MB to target", "final loss")


@dataclass(frozen=True)
class Scenario:
    """A cluster, and how it is called in a sentence."""

    place: str
    cluster: Cluster


@click.command(context_settings={"show_default": True})
@click.option("--config", "config_path", default="config.yaml", help="The configuration.")
@click.option("--cluster", help="A preset (see `dasr clusters`) or a file. [default: simulation.cluster]")
@click.option(
    "--target", help="Held-out loss, as 'ce<=1.9'. [default: simulation.target, else what all reach]"
)
@click.option("--seeds", type=click.IntRange(1), default=SEEDS, help="Trainings of each strategy.")
@click.option("--step-seconds", type=click.FloatRange(0), help="Of a gradient. [default: the cluster's]")
@click.option("--what-if/--no-what-if", default=True, help="Also other bandwidths, and one slow learner.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Simulations at once, each a process.")
@device
@columns.wide
def plan(
    config_path: str,
    cluster: str | None,
    target: str | None,
    seeds: int,
    step_seconds: float | None,
    what_if: bool,
    jobs: int,
    device: str,
    wide: bool,
) -> None:
    """Which strategy of the comparison reaches a held-out loss first on a cluster?

    Trains the configured model on the project's features in virtual time; stages before training must have
    run. Each training is kept in plan/ of the results: a plan that was stopped goes on, and another cluster
    trains only what depends on it. Rates that `dasr tune` found are used."""
    config = configuration.load(config_path)
    wanted = target or config.simulation.target
    bound = targets.parse(wanted) if wanted else None
    where = presets.load(cluster or config.simulation.cluster)
    if step_seconds is not None:
        where = dataclasses.replace(
            where, compute=dataclasses.replace(where.compute, fixed_s=step_seconds, per_sample_s=0.0)
        )
    from dasr.planning import answer, failures, plan_figures, scaling
    from dasr.planning.trials import lab_of

    folder = Layout.of(config).plan
    lab = lab_of(Path(config_path), folder / "trainings", device)
    runs = planned(config, seeds)
    scenarios = scenarios_of(where, max(run.learners for run in runs), what_if)
    pairs = [(run, one.cluster) for one in scenarios for run in runs]
    outcomes = list(lab.outcomes(pairs, jobs))
    base, every = outcomes[: len(runs)], config.training.checkpoint_seconds
    bound = bound or common_target(base)
    _look_at_start(bound, base)
    late = failures.with_failures(outcomes, where.failures, every)
    ranked = [
        answer.candidates(late[n * len(runs) : (n + 1) * len(runs)], bound) for n in range(len(scenarios))
    ]
    sentences = [answer.sentence(ranked[0], scenarios[0].place)]
    others = zip(ranked[1:], scenarios[1:], strict=True)
    sentences += [said for found, one in others if (said := answer.change(ranked[0], found, one.place))]
    if said := failures.sentence(answer.candidates(base, bound), where.failures, every):
        sentences.append(said)
    sentences += [*scaling.sentences(base), _how(runs), _gradient(where, runs)]
    body = rows(ranked[0])
    record = {"target": str(bound), "cluster": where.name, "sentences": sentences, "rows": body}
    record["curves"] = [dataclasses.asdict(one) for one in base]
    write_json(folder / "plan.json", record)
    if len({run.learners for run in runs if run.strategy != "single"}) > 1:
        plan_figures.draw_scaling(base, bound, folder / "plan.svg")
    else:
        plan_figures.draw(base, bound, folder / "plan.svg")
    print(
        "\n".join(
            [
                columns.text({name: name for name in body[0]}, body, DEAR, None if wide else columns.width()),
                *sentences,
            ]
        )
    )
    logger.info("plan: %s and %s", folder / "plan.json", folder / "plan.svg")


def planned(config: Config, seeds: int) -> list[Run]:
    """The runs of the comparison with seeds 0, 1, ..., at the rates that `dasr tune` found."""
    tuned = Layout.of(config).tuned
    if tuned.is_file():
        from dasr.validation import read_yaml

        entries = (read_yaml(tuned) or {}).get("comparison", {}).get("strategies")
        config = configuration.complete(
            config.plain() | {"comparison": config.comparison.model_dump() | {"strategies": entries}},
            str(tuned),
        )
        logger.info("plan: learning rates of %s", tuned)
    own = config.comparison.model_copy(update={"seeds": list(range(seeds))})
    return configuration.runs(config.model_copy(update={"comparison": own}))


def scenarios_of(cluster: Cluster, learners: int, what_if: bool) -> list[Scenario]:
    """The cluster itself, then what may be otherwise."""
    found = [Scenario(f"'{cluster.name}'", cluster)]
    if not what_if or learners == 1:
        return found
    for factor in BANDWIDTHS:
        link = joining(cluster, learners)
        name = f"{cluster.name}, {factor:g} x bandwidth"
        rate = f"With {factor:g} times the bandwidth ({bandwidth(link.gbit_s * factor)})"
        if link.gbit_s < float("inf"):
            found.append(Scenario(rate, dataclasses.replace(_scaled(cluster, learners, factor), name=name)))
    slow = dataclasses.replace(
        cluster, name=f"{cluster.name}, a slow learner", slow=(*cluster.slow, Slow(learners - 1, SLOWER))
    )
    return [*found, Scenario(f"With one learner {SLOWER:g} times slower", slow)]


def joining(cluster: Cluster, learners: int) -> Link:
    """The link through which so many learners are joined: the highest one on the way between two of them."""
    if cluster.own_links or learners <= cluster.learners_per_node:
        return cluster.inside
    levels = _levels_between(cluster, learners)
    return cluster.levels[levels - 1].link if levels else cluster.between


def _levels_between(cluster: Cluster, learners: int) -> int:
    """How many levels of groups there are several of."""
    nodes = -(-learners // cluster.learners_per_node)
    return sum(nodes > level.nodes for level in cluster.levels)


def _scaled(cluster: Cluster, learners: int, factor: float) -> Cluster:
    """With `factor` times the bandwidth of the link through which they are joined."""

    def faster(link: Link) -> Link:
        return dataclasses.replace(link, gbit_s=link.gbit_s * factor)

    if cluster.collectives is not None:
        cluster = dataclasses.replace(cluster, collectives=faster(cluster.collectives))
    link = joining(cluster, learners)
    if link is cluster.inside:
        return dataclasses.replace(cluster, inside=faster(link))
    if link is cluster.between:
        return dataclasses.replace(cluster, between=faster(link))
    top = _levels_between(cluster, learners) - 1
    level = dataclasses.replace(cluster.levels[top], link=faster(link))
    return dataclasses.replace(cluster, levels=(*cluster.levels[:top], level, *cluster.levels[top + 1 :]))


def bandwidth(gbit_s: float) -> str:
    return f"{gbit_s:,.3g} Gbit/s" if gbit_s >= 1 else f"{1e3 * gbit_s:,.3g} Mbit/s"


def _look_at_start(target: targets.Target, outcomes: Sequence[Any]) -> None:
    """Raise UserError for a target that takes no training."""
    begin = min((one.loss[0] for one in outcomes if one.loss), default=float("inf"))
    if begin <= target.bound:
        raise UserError(f"the target {target} is reached before training: the loss begins at {begin:.3f}")


def common_target(outcomes: Sequence[Any]) -> targets.Target:
    """The loss that the worst training ends with, so that all reach it. Raises UserError."""
    ends = [one.loss[-1] for one in outcomes if one.loss and one.loss[-1] < one.loss[0]]
    if not ends:
        raise UserError(f"no strategy learned anything in this budget. {outcomes[0].failed}".rstrip())
    return targets.Target(round(max(ends) + 0.005, 2))


def rows(ranked: Sequence[Candidate]) -> list[dict[str, str]]:
    """A line a strategy, the fastest first."""
    from dasr.planning.answer import duration

    found = []
    for one in ranked:
        reached, total = len(one.seconds), len(one.outcomes)
        several = reached > 1 and one.reaches
        found.append(
            {
                "strategy": one.name,
                "time to target": duration(one.typical_s)
                if one.reaches
                else f"never ({total - reached} of {total})",
                "over seeds": f"{duration(min(one.seconds))} - {duration(max(one.seconds))}"
                if several
                else "-",
                "MB to target": f"{one.mb_to_target:,.4g}" if one.seconds else "-",
                "final loss": f"{one.final_loss:.3f}" if one.final_loss < float("inf") else "-",
                "waiting %": f"{100 * one.wait_fraction:.1f}",
                "staleness": f"{one.staleness:.1f}",
                "seeds": str(total),
            }
        )
    return found


def _how(runs: Sequence[Run]) -> str:
    from dasr.planning.trials import asynchronous

    names = dict.fromkeys(run.label for run in runs if asynchronous(run))
    once = dict.fromkeys(run.label for run in runs if not asynchronous(run))
    said = []
    if once:
        said.append(f"Trained once for every cluster, only the clock is this one's: {', '.join(once)}.")
    if names:
        said.append(
            f"Trained again on each cluster, as gradients depend on who comes first: {', '.join(names)}."
        )
    return " ".join(said)


def _gradient(cluster: Cluster, runs: Sequence[Run]) -> str:
    """What the time of a gradient is that of: not of this model, unless it was measured."""
    sizes = sorted({run.batch // run.learners for run in runs})
    times = ", ".join(f"{1e3 * cluster.compute.seconds(size):.3g} ms for {size}" for size in sizes)
    source = (
        f"measured with {cluster.measured}"
        if cluster.measured
        else "the cluster's; --step-seconds gives another"
    )
    return f"A gradient takes {times} samples ({source})."
