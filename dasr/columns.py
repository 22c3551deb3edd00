"""A table for a terminal, in as many of its columns as there is room for."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence

import click

CELL_BREAK = re.compile(r"(?<=.)-(?=[\w.]+=)")  # before an option in a strategy's label

wide = click.option("--wide", is_flag=True, help="All columns, however narrow the terminal is.")
tsv = click.option("--tsv", is_flag=True, help="All columns, separated by tabs.")


def width() -> int:
    """Characters in a line of this terminal: COLUMNS, or 80 where there is no terminal."""
    return shutil.get_terminal_size().columns


def text(
    headings: Mapping[str, str], rows: Sequence[Mapping[str, str]], dear: Sequence[str], columns: int | None
) -> str:
    """The table in lines of at most `columns` characters; None: all columns, however wide.

    `headings`: heading by column, in order; the first column names the row and always stays. Of the others,
    those of `dear` have the first claim to the room, then the rest in order. Words stay whole: what has no
    room is left out and named below the table; a strategy's options go into lines of their own."""
    first, *others = headings
    kept = [first, *others]
    whole = _table(headings, rows, kept)
    if columns is None or _width(whole) <= columns:
        return whole
    rows = [{**row, first: CELL_BREAK.sub("\n-", row[first])} for row in rows]
    claims = [*(name for name in dear if name in headings), *(name for name in others if name not in dear)]
    kept = [first]
    for name in claims:
        tried = [one for one in headings if one in kept or one == name]
        if _width(_table(headings, rows, tried)) <= columns:
            kept = tried
    whole = _table(headings, rows, kept)
    names = [re.sub(r"(?<![/-])\n", " ", headings[name]) for name in headings if name not in kept]
    if not names:
        return whole
    note = f"Left out for want of room (--wide shows all): {', '.join(names)}".replace("\n", "")
    return "\n".join([whole, *textwrap.wrap(note, columns, break_on_hyphens=False)])


def separated(rows: Sequence[Mapping[str, str]]) -> str:
    """The rows below their columns' names, separated by tabs."""
    return "\n".join("\t".join(line) for line in [[*rows[0]], *([*row.values()] for row in rows)])


def _table(headings: Mapping[str, str], rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> str:
    from tabulate import tabulate

    drawn: str = tabulate(
        [[row[name] for name in names] for row in rows],
        [headings[name] for name in names],
        disable_numparse=True,
        colalign=["left", *["right"] * (len(names) - 1)],
    )
    return drawn


def _width(table: str) -> int:
    return max(map(len, table.splitlines()))
