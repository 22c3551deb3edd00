"""The report's tables: numbers as a reader wants them, and what is emphasised."""

from pathlib import Path

import pytest

from dasr import config as dasr_config
from dasr.reporting import table
from dasr.results import comparison, records
from dasr.results.records import RunRecord


def scored(strategy: str, low: float, wer: float, high: float, seconds: float = 1234.5) -> RunRecord:
    config = dasr_config.complete({"comparison": {"strategies": [strategy], "learners": [2], "seeds": [0]}})
    score = {"wer": wer, "wer_low": low, "wer_high": high}
    summary = {"seconds": seconds, "wait_fraction": 0.256, "samples": 123456}
    return RunRecord(dasr_config.runs(config)[0], Path("nowhere"), summary, [], [], [], {"ngram": score})


def made_of(*found: RunRecord) -> table.Table:
    rows = comparison.rows(records.Records(list(found)), Path())
    return table.comparison(list(found), rows)


def test_numbers_have_separators_and_fractions_are_per_cent() -> None:
    (row,) = made_of(scored("ad", 1, 2, 3)).rows
    assert row["seconds"].text == "1,234.5" and row["wait_fraction"].text == "25.6"
    assert row["interval_ngram"].text == "1.00 – 3.00" and row["wer_unigram"].text == "–"


def test_what_is_the_same_in_every_row_is_said_once() -> None:
    found = made_of(scored("ad", 1, 2, 3), scored("sd", 1, 2, 3))
    assert found.same == "learners 2, batch 32, seed 0, samples 123,456"
    assert not {"learners", "batch", "seed", "samples"} & set(found.headings)
    assert [set(row) for row in found.rows] == [set(found.headings)] * 2


def test_means_and_ranges_are_shown_where_there_are_several_seeds(made: Path) -> None:
    found = records.read_comparison(dasr_config.load(made))
    rows = comparison.rows(found, made.parent / "results")
    shown = table.comparison(found.runs, rows)
    assert [row["strategy"].text for row in shown.rows] == ["single", "sc-allreduce", "ad"]
    assert "seeds 2" in shown.same and shown.headings["interval_unigram"] == "over seeds"
    rates = [float(row["wer_unigram"]) for row in rows if row["strategy"] == "ad"]
    assert shown.rows[2]["wer_unigram"].text == f"{sum(rates) / 2:.2f}"
    assert shown.rows[2]["interval_unigram"].text == f"{min(rates):.2f} – {max(rates):.2f}"


@pytest.mark.parametrize(("p", "emphasis"), [("0.0400", "best"), ("0.0600", "")])
def test_a_word_error_rate_is_bold_only_where_the_tests_say_that_it_is_the_lowest(
    p: str, emphasis: str
) -> None:
    found = [scored("ad", 1, 2, 3), scored("sd", 4, 5, 6), scored("bmuf", 7, 8, 9)]
    rows = comparison.rows(records.Records(found), Path())
    assert not any(cell.emphasis for row in table.comparison(found, rows).rows for cell in row.values())
    rows[1]["p_vs_lowest_ngram"], rows[2]["p_vs_lowest_ngram"] = "0.0010", p
    assert [row["wer_ngram"].emphasis for row in table.comparison(found, rows).rows] == [emphasis, "", ""]


def test_p_values_are_marked_only_where_they_are_small_after_correction_for_their_number() -> None:
    found = [scored(name, 1, 2, 3) for name in ("ad", "sd", "bmuf")]
    rows = comparison.rows(records.Records(found), Path())
    for row, p in zip(rows, ("0.0100", "0.0300", "0.0400"), strict=True):
        row["p_vs_sc_allreduce"] = p
    shown = table.comparison(found, rows)
    assert [row["p_vs_sc_allreduce"].emphasis for row in shown.rows] == ["unlike", "", ""]


def test_a_p_value_below_what_the_bootstrap_tells_is_no_zero() -> None:
    assert table.p_value({"p_vs_sc_allreduce": "0.0000"}) == "< 0.0001"
    assert table.p_value({"p_vs_sc_allreduce": "0.0123"}) == "0.0123"


def test_effective_values_that_differ_are_columns_and_others_are_said_once(tmp_path: Path) -> None:
    found = []
    for strategy, rate in (("ad", 0.5), ("sd", 0.25)):
        config = dasr_config.complete({"comparison": {"strategies": [strategy], "learners": [2]}})
        folder = tmp_path / strategy
        folder.mkdir()
        (folder / "config.yaml").write_text(
            f"resolved: {{peak_learning_rate: {rate}, model: {{cells: 8}}, "
            f"training: {{augment: {{warp: 0.1}}}}, options: {{mixing: ring}}}}\n"
        )
        found.append(RunRecord(dasr_config.runs(config)[0], folder, {}, [], [], [], {}))
    effective = table.effective(found)
    assert [row["peak_learning_rate"].text for row in effective.rows] == ["0.5", "0.25"]
    assert effective.same == "cells 8, augment.warp 0.1"
    assert effective.rows[0]["options"].text == "mixing ring"
