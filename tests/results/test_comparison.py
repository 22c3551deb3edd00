"""comparison.tsv: columns, values, baselines."""

import csv
import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dasr import checksums
from dasr import config as dasr_config
from dasr.reporting.command import compare
from dasr.results import comparison, records
from dasr.results.significance import paired_p_value
from dasr.results.trn import read_trn
from tests.support import synthetic

COLUMNS = """
strategy learners batch seed samples seconds frames_per_s heldout_ce wer_unigram wer_ngram wer_low wer_high
p_vs_sc_allreduce p_vs_lowest_unigram p_vs_lowest_ngram run_spread
mb_sent_per_learner wait_fraction staleness_mean training diverged
"""


@pytest.fixture(scope="module")
def output(made: Path) -> str:
    return CliRunner().invoke(compare, ["--config", str(made)], catch_exceptions=False).output


def table(made: Path) -> list[dict[str, str]]:
    with open(made.parent / "results" / "comparison.tsv", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_the_table_has_the_columns_that_the_readme_promises_and_what_the_stages_wrote(
    made: Path, output: str
) -> None:
    rows = table(made)
    assert list(rows[0]) == COLUMNS.split()
    config = dasr_config.load(made)
    for row, run in zip(rows, dasr_config.runs(config), strict=True):
        results = Path(config.results)
        score = json.loads((results / "decode" / run.name / "unigram" / "score.json").read_text())
        assert (row["strategy"], int(row["seed"])) == (run.label, run.seed)
        wer = float(row["wer_unigram"])
        assert wer == pytest.approx(
            100 * (score["subs"] + score["dels"] + score["ins"]) / score["words"], abs=0.005
        )
        assert float(row["wer_low"]) < wer < float(row["wer_high"])
        assert run.label in output


def test_the_terminal_shows_mean_and_range_over_seeds(made: Path, output: str) -> None:
    rates: dict[str, list[float]] = {}
    for row in table(made):
        rates.setdefault(row["strategy"], []).append(float(row["wer_unigram"]))
    for strategy, found in rates.items():
        (line,) = [one for one in output.splitlines() if one.startswith(f"{strategy} ")]
        assert f"{sum(found) / 2:.2f}" in line and f"{min(found):.2f} - {max(found):.2f}" in line
    assert "seeds 2" in output.splitlines()[0]


def test_all_seeds_of_a_strategy_share_a_p_value_and_the_lowest_has_none(made: Path, output: str) -> None:
    rows = table(made)
    for lm in ("unigram", "ngram"):
        by_strategy = {row["strategy"]: row[f"p_vs_lowest_{lm}"] for row in rows}
        means = {
            name: sum(float(row[f"wer_{lm}"]) for row in rows if row["strategy"] == name)
            for name in by_strategy
        }
        assert [name for name, p in by_strategy.items() if not p] == [
            min(means, key=lambda name: means[name])
        ]
        assert all(row[f"p_vs_lowest_{lm}"] == by_strategy[row["strategy"]] for row in rows)
    (spread,) = {row["run_spread"] for row in rows}
    pairs = [
        [float(row["wer_unigram"]) for row in rows if row["strategy"] == name]
        for name in ("single", "sc-allreduce", "ad")
    ]
    pooled = (
        sum((a - b) ** 2 / 2 for a, b in pairs) / 3
    ) ** 0.5  # two seeds each: a degree of freedom a pair
    assert float(spread) == pytest.approx(pooled, abs=0.011)


def test_p_values_compare_with_the_all_reduce_run_of_the_same_size_and_seed(made: Path, output: str) -> None:
    results = made.parent / "results"
    for row in table(made):
        if row["strategy"] == "sc-allreduce":
            assert row["p_vs_sc_allreduce"] == ""
            continue
        learners = row["learners"]
        ours = results / "decode" / f"{row['strategy']}-L{learners}-B32-S{row['seed']}" / "unigram"
        theirs = results / "decode" / f"sc-allreduce-L4-B32-S{row['seed']}" / "unigram"
        expected = paired_p_value(
            *(read_trn(p) for p in (ours / "ref.trn", ours / "test.trn", theirs / "test.trn"))
        )
        assert float(row["p_vs_sc_allreduce"]) == pytest.approx(expected, abs=1e-4)


def test_show_prints_the_same_table_and_where_to_look(made: Path, output: str) -> None:
    shown = CliRunner().invoke(compare, ["--show", "--config", str(made)], catch_exceptions=False).output
    assert shown.startswith(output.rstrip())
    assert shown.count("report.html") == 1 and "mlflow" not in shown  # `dasr track` has said that


def test_settings_that_runs_do_not_share_and_divergence_are_shown(tmp_path: Path) -> None:
    config = dasr_config.load(synthetic.make(tmp_path, strategies=["sc-allreduce", "ad"], seeds=[0]))
    found = records.read_comparison(config)
    for record, rate in zip(found.runs, (2.0, 0.004), strict=True):
        said = {"resolved": {"training": {"learning_rate": rate, "optimizer": {"kind": "sgd"}}}}
        with checksums.sealed(record.folder / "config.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(said))
    found.runs[1].heldout.append({"ce": 50.0, "start_ce": 6.0, "priors_ce": None, "samples": 1})
    good, bad = comparison.rows(found, Path(config.results))
    assert (good["training"], good["diverged"]) == ("learning_rate 2.0", "")
    assert (bad["training"], bad["diverged"]) == ("learning_rate 0.004", "yes")
    assert "DIVERGED" in comparison.pretty([good, bad])
    assert "DIVERGED" not in comparison.pretty([good])


def test_what_is_missing_is_an_empty_cell(made: Path) -> None:
    config = dasr_config.load(made)
    found = records.read_comparison(config)
    bare = records.RunRecord(found.runs[0].run, found.runs[0].folder, {}, [], [], [], {})
    row = comparison.rows(records.Records([bare]), Path(config.results))[0]
    assert {key for key, value in row.items() if value} == {"strategy", "learners", "batch", "seed"}
    assert "-" in comparison.pretty([row])


@pytest.mark.parametrize("columns", [60, 80])
def test_the_table_fits_the_terminal_unless_all_columns_are_wanted(
    made: Path, output: str, columns: int
) -> None:
    def shown(*more: str) -> str:
        arguments = ["--show", *more, "--config", str(made)]
        env = {"COLUMNS": str(columns)}
        return CliRunner().invoke(compare, arguments, env=env, catch_exceptions=False).stdout

    narrow = shown().partition("\n\n")[0]
    assert max(map(len, narrow.splitlines())) <= columns
    assert "over" in narrow and "--wide" in narrow
    assert "Left out" not in shown("--wide") and "ness" in shown("--wide")
    assert shown("--tsv") == (made.parent / "results" / "comparison.tsv").read_text(encoding="utf-8")
