"""Tables fit the terminal, words stay whole, and nothing is lost without a word."""

from __future__ import annotations

import pytest

from dasr import columns

HEADINGS = {"strategy": "strategy", "wer": "WER %\nunigram", "p": "p vs sc-\nallreduce"} | {
    f"n{number}": f"figure {number}" for number in range(12)
}
ROWS = [
    {name: "123.45" for name in HEADINGS} | {"strategy": label}
    for label in ("ad-mixing=random-ring-momentum=0.9-optimizer=adamw-learning_rate=0.001", "sc-allreduce")
]


@pytest.mark.parametrize("width", [60, 80])
def test_a_table_fits_keeps_words_whole_and_names_what_it_leaves_out(width: int) -> None:
    lines = columns.text(HEADINGS, ROWS, ["n11", "wer"], width).splitlines()
    assert max(map(len, lines)) <= width
    table, _, note = "\n".join(lines).partition("Left out")
    for word in ("sc-allreduce", "-mixing=random-ring", "-learning_rate=0.001", "unigram", "figure 11"):
        assert word in table
    note = " ".join(note.split())
    for number in range(11):
        assert (f"figure {number}," in f"{note},") != (
            f"figure {number} " in f"{table} ".replace("\n", " \n")
        )


def test_a_table_that_fits_has_nothing_to_add() -> None:
    assert "Left out" not in columns.text(HEADINGS, ROWS, [], 400)
    assert columns.text(HEADINGS, ROWS, [], 400) == columns.text(HEADINGS, ROWS, [], None)


def test_separated_values_have_every_column() -> None:
    first, *rest = columns.separated(ROWS).splitlines()
    assert first.split("\t") == list(HEADINGS)
    assert [line.split("\t") for line in rest] == [list(row.values()) for row in ROWS]
