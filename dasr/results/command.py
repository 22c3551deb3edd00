"""`dasr results`: questions to finished results folders."""

from __future__ import annotations

from pathlib import Path

import click

from dasr import columns

HEADINGS = {
    "run": "run",
    "lm": "LM",
    "before": "WER %\nA",
    "after": "WER %\nB",
    "difference": "B - A",
    "p": "p",
}
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def results() -> None:
    """Compare results folders."""


@results.command(
    epilog="\b\nExamples:\n  dasr results diff results results-old\n  dasr results diff a b --tsv"
)
@click.argument("a", type=FOLDER)
@click.argument("b", type=FOLDER)
@columns.wide
@columns.tsv
def diff(a: Path, b: Path, wide: bool, tsv: bool) -> None:
    """Word error rates in results folders A and B, side by side, with paired tests.

    p is for a difference over the same test utterances, corrected for the number of lines (Holm); "-" where
    the folders' test sets differ. It does not know the spread of trainings: compare seeds for that."""
    from dasr.results.diff import compare

    found = compare(a, b)
    rows = [one.row() for one in found.differences]
    if tsv:
        print(columns.separated(rows))
        return
    print(columns.text(HEADINGS, rows, ("lm", "difference", "p"), None if wide else columns.width()))
    for folder, pairs in ((a, found.only_before), (b, found.only_after)):
        if pairs:
            print(f"only in {folder}: {', '.join(f'{run} ({lm})' for run, lm in pairs)}")
