"""What a shell completes for `dasr`: runs and strategies. `dasr --help` says how to switch it on."""

from __future__ import annotations

import click

from dasr.errors import UserError


def runs(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Names of the runs of the configuration that is typed, or of config.yaml."""
    from dasr import config as configuration

    try:
        config = configuration.load(context.params.get("config_path") or "config.yaml")
        return [run.name for run in configuration.runs(config) if run.name.startswith(begun)]
    except UserError:
        return []


def strategies(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    from dasr.strategies.ids import strategy_ids

    return sorted(name for name in strategy_ids() if name.startswith(begun))
