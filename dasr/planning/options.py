"""Options that several commands have: `-o KEY=VALUE` of strategies, `--device` of trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import yaml

from dasr.errors import UserError


def _there(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """Raises UserError where there is no such device."""
    if given == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UserError("--device cuda: PyTorch sees no GPU here; `dasr doctor` says what it sees")
    return given


device = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    callback=_there,
    help="Where learners that train compute; on cuda all side by side on one GPU.",
)


def parsed(given: Sequence[str]) -> dict[str, Any]:
    """Values are read as YAML: 8, 0.5, true, ring. Raises UserError."""
    pairs = [one.partition("=") for one in given]
    for key, sign, _ in pairs:
        if not sign:
            raise UserError(f"-o {key}: write KEY=VALUE, as in -o mixing=random-ring")
    return {key: yaml.safe_load(value) for key, _, value in pairs}
