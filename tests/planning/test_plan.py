"""`dasr plan` on a small corpus: its answer, its what-ifs, its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dasr import config as configuration
from dasr.config import Run
from dasr.errors import UserError
from dasr.planning import plan as planning
from dasr.planning.target import Target
from dasr.planning.trials import Outcome
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.clusters import Cluster, Link
from tests.support import aligned_corpus


@pytest.mark.slow
def test_the_answer_is_printed_and_kept_with_table_curves_and_figure(tmp_path: Path) -> None:
    results = aligned_corpus.make(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(aligned_corpus.small_config(results, epochs=1).text())
    arguments = ["--config", str(path), "--cluster", "ethernet-1g", "--step-seconds", "0.01"]
    run = CliRunner().invoke(
        planning.plan, [*arguments, "--seeds", "1", "--no-what-if"], catch_exceptions=False
    )
    found = json.loads((results / "plan" / "plan.json").read_text())
    assert run.stdout.rstrip().endswith("\n".join(found["sentences"]))
    assert found["sentences"][0].startswith("On 'ethernet-1g' take ")
    assert "Trained again on each cluster, as gradients depend on who comes first: ad." in run.stdout
    names = {"single", "sc-allreduce", "sd", "ad", "bmuf-tau=3"}
    assert {row["strategy"] for row in found["rows"]} == names
    assert found["rows"][0]["strategy"] in found["sentences"][0]
    assert len(found["curves"]) == 5 and "never" not in run.stdout, "without a target it is what all reach"
    assert (results / "plan" / "plan.svg").read_text().startswith("<?xml")


def test_rates_that_were_tuned_are_used(tmp_path: Path) -> None:
    config = configuration.complete({"results": str(tmp_path), "comparison": {"strategies": ["sd", "ad"]}})
    assert [run.name for run in planning.planned(config, 2)][:2] == ["sd-L4-B32-S0", "sd-L4-B32-S1"]
    (tmp_path / "tune").mkdir()
    entries = [{"strategy": "sd", "learning_rate": 0.5}, {"strategy": "ad", "learning_rate": 4.0}]
    (tmp_path / "tune" / "tuned.yaml").write_text(yaml.safe_dump({"comparison": {"strategies": entries}}))
    assert [dict(run.training)["learning_rate"] for run in planning.planned(config, 1)] == [0.5, 4.0]


def test_what_ifs_change_the_link_that_joins_the_learners_and_slow_one_of_them() -> None:
    cluster = Cluster(name="c", learners_per_node=2, inside=Link(gbit_s=100), between=Link(gbit_s=1))
    base, *others = planning.scenarios_of(cluster, 4, True)
    assert base.cluster is cluster
    assert [one.cluster.between.gbit_s for one in others] == pytest.approx([0.01, 0.1, 10, 1])
    assert {one.cluster.inside.gbit_s for one in others} == {100}
    assert (others[-1].cluster.slow[0].rank, others[-1].cluster.slow[0].factor) == (3, planning.SLOWER)
    assert "10 Mbit/s" in others[0].place
    on_one_host = planning.scenarios_of(cluster, 2, True)
    assert [one.cluster.inside.gbit_s for one in on_one_host] == pytest.approx([100, 1, 10, 1000, 100])
    assert planning.scenarios_of(cluster, 4, False) == [base]
    sites = presets.load("three-sites")
    for learners, (rack, site) in {8 * 8: (736, 92), 8 * 9: (7360, 92), 8 * 177: (736, 920)}.items():
        wider = planning.scenarios_of(sites, learners, True)[3].cluster
        assert [level.link.gbit_s for level in wider.levels] == [rack, site]
    assert len(planning.scenarios_of(presets.load("ideal"), 4, True)) == 2, "a network that costs nothing"


def test_without_a_target_it_is_what_the_worst_training_ends_with() -> None:
    def ended(loss: float) -> Outcome:
        return Outcome(Run("sd", (), 2, 4, 0), "c", [0.0, 1.0], [9.0, loss], [0.0, 1.0], 0.0, 0.0, 0.0)

    assert planning.common_target([ended(1.234), ended(1.301), ended(9.5)]) == Target(1.31)
    with pytest.raises(UserError, match=r"learned anything in this budget\. nan"):
        planning.common_target([Outcome(Run("sd", (), 2, 4, 0), "c", [], [], [], 0, 0, 0, failed="nan")])


def test_a_target_that_takes_no_training_is_refused() -> None:
    begun = Outcome(Run("sd", (), 2, 4, 0), "c", [0.0, 1.0], [4.1, 3.0], [0.0, 1.0], 0.0, 0.0, 0.0)
    planning._look_at_start(Target(4.0), [begun])
    with pytest.raises(UserError, match=r"ce <= 5 is reached before training: the loss begins at 4\.100"):
        planning._look_at_start(Target(5.0), [begun])


def test_a_mistyped_target_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("results: r\n")
    with pytest.raises(UserError, match="wer<=8"):
        CliRunner().invoke(
            planning.plan, ["--config", str(path), "--target", "wer<=8"], catch_exceptions=False
        )
