"""`dasr strategies`, `dasr models`, `dasr clusters`: what there is to choose from, with its options."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import click

from dasr.columns import width
from dasr.plugins import Option

INDENT = "    "


@click.command()
def strategies() -> None:
    """List all strategies: what each is, its options and their defaults."""
    from dasr.strategies import registry

    _print(
        (name, _about(registry.find(name)), _defaults(registry.options(name))) for name in registry.names()
    )


@click.command()
def models() -> None:
    """List all kinds of models: what each is, its options and their defaults."""
    from dasr.models import registry

    _print(
        (name, _about(registry.find(name)), _defaults(registry.options(name))) for name in registry.names()
    )


@click.command()
def clusters() -> None:
    """List the clusters that `dasr simulate` knows by name; `dasr calibrate` describes yours in a file."""
    from dasr.worlds.simulated.presets import PRESETS

    _print((name, cluster.note, "") for name, cluster in PRESETS.items())


def entry(name: str, about: str, options: str, columns: int) -> str:
    """One thing in lines of at most `columns`; words stay whole."""
    lines = textwrap.wrap(f"{name}  {about}", columns, subsequent_indent=INDENT, break_on_hyphens=False)
    settings = textwrap.wrap(
        options, columns, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False
    )
    return "\n".join([*lines, *settings])


def _print(entries: Iterable[tuple[str, str, str]]) -> None:
    columns = width()
    for name, about, options in entries:
        print(entry(name, about, options, columns))


def _about(kind: type[Any]) -> str:
    """The first sentence of the module that defines the class, without its name."""
    text = (sys.modules[kind.__module__].__doc__ or kind.__doc__ or "").strip()
    first = re.split(r"(?<!al)\. ", text.split("\n\n")[0].replace("\n", " "))[0]
    _, colon, rest = first.partition("`: ")
    return (rest if colon and first.startswith("`") else first).rstrip(".:")


def _defaults(options: Mapping[str, Option]) -> str:
    return "  ".join(f"{name}={option.default}" for name, option in options.items())
