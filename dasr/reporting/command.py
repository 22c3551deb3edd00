"""`dasr compare` and `dasr report`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from dasr import columns
from dasr import config as dasr_config
from dasr.files import write_text
from dasr.results.layout import Layout

logger = logging.getLogger(__name__)

config_option = click.option(
    "--config", "config_path", default="config.yaml", show_default=True, help="configuration"
)


@click.command()
@click.option("--show", is_flag=True, help="only print the table that was written before")
@columns.wide
@columns.tsv
@config_option
def compare(show: bool, wide: bool, tsv: bool, config_path: str) -> None:
    """Gather all runs of the comparison into comparison.tsv, and print the table."""
    config = dasr_config.load(config_path)
    results = Path(config.results)
    from dasr.results import comparison, records

    if not show:
        found = records.read_comparison(config)
        for note in found.notes:
            logger.info("compare: %s", note)
        comparison.write(comparison.rows(found, results), results)
        write_text(Layout(results).config, config.text())  # for people: what this table compares
    table = comparison.read(results)
    if tsv:
        print(columns.separated(table))
        return
    print(comparison.pretty(table, None if wide else columns.width()))
    if show:
        print(f"\ntable:  {results / comparison.FILE}\nreport: {results / 'report.html'}")


@click.command()
@config_option
def report(config_path: str) -> None:
    """Draw the figures (R/figures, svg and png) and write report.html, one file that needs nothing else."""
    config = dasr_config.load(config_path)
    from dasr.reporting import page
    from dasr.results import comparison, records

    found = records.read_comparison(config)
    for note in found.notes:
        logger.info("report: %s", note)
    print(page.write(config, found, comparison.rows(found, Path(config.results))))
