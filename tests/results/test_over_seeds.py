"""What is said of word error rates, and what is not."""

from __future__ import annotations

from dasr.results import over_seeds
from dasr.results.over_seeds import Row


def row(strategy: str, seed: int, wer: float, p: str = "", spread: str = "0.50") -> Row:
    found = dict.fromkeys(
        ("training", "wer_ngram", "p_vs_lowest_ngram", "wer_unigram", "p_vs_lowest_unigram"), ""
    )
    return found | {
        "strategy": strategy, "learners": "4", "batch": "32", "seed": str(seed), "wer_unigram": str(wer),
        "p_vs_lowest_unigram": p, "run_spread": spread,
    }  # fmt: skip


def test_rows_that_differ_in_their_seed_only_are_one_entry() -> None:
    table = [row("ad", 0, 7.0), row("sd", 0, 9.0), row("ad", 1, 8.0)]
    ad, sd = over_seeds.entries(table)
    assert (ad.mean("wer_unigram"), ad.range("wer_unigram", ".1f")) == (7.5, "7.0 - 8.0")
    assert (sd.mean("wer_unigram"), sd.range("wer_unigram", ".1f"), sd.mean("wer_ngram")) == (9.0, "", None)
    assert over_seeds.several_seeds([ad, sd]) and not over_seeds.several_seeds([sd])


def test_the_lowest_is_named_only_where_it_differs_from_every_other() -> None:
    table = [row("ad", 0, 7.0), row("sd", 0, 9.0, "0.0100"), row("bmuf", 0, 8.0, "0.0400")]
    assert over_seeds.sentences(table)[0] == (
        "Word error rate (unigram LM): ad has the lowest, 7.00 % (p < 0.05 against each other one)."
    )
    table[2] = row("bmuf", 0, 8.0, "0.2000")
    verdict, allowed = over_seeds.sentences(table)
    assert verdict == (
        "Word error rate (unigram LM): no difference shown between ad, bmuf; sd higher than ad."
    )
    assert "0.50 points" in allowed and "3 comparisons" in allowed
    assert over_seeds.winner(over_seeds.entries(table), "unigram") is None


def test_one_run_each_of_an_unknown_corpus_shows_no_difference() -> None:
    table = [row("ad", 0, 7.0, spread=""), row("sd", 0, 90.0, spread="")]
    (said,) = over_seeds.sentences(table)
    assert "no difference shown" in said and "comparison.seeds" in said
    assert over_seeds.winner(over_seeds.entries(table), "unigram") is None
    assert over_seeds.sentences(table[:1]) == []


def test_a_run_that_recognised_nothing_is_named() -> None:
    assert "sd (seed 3)" in over_seeds.sentences([row("ad", 0, 7.0), row("sd", 3, 100.0)])[-1]
