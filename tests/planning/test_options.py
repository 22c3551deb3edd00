"""Options as they are typed."""

from __future__ import annotations

import click
import pytest
import torch
from click.testing import CliRunner

from dasr.errors import UserError
from dasr.planning.options import device, parsed


def test_values_are_read_as_yaml() -> None:
    typed = ["tau=8", "eta=0.5", "nesterov=true", "mixing=random-ring", "beta=null", "name=a=b"]
    assert parsed(typed) == {
        "tau": 8,
        "eta": 0.5,
        "nesterov": True,
        "mixing": "random-ring",
        "beta": None,
        "name": "a=b",
    }


def test_the_error_for_an_option_without_a_value_shows_how_to_write_it() -> None:
    with pytest.raises(UserError, match="-o tau: write KEY=VALUE"):
        parsed(["tau"])


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    @click.command()
    @device
    def command(device: str) -> None:
        print(f"trains on {device}")

    told = CliRunner().invoke(command, ["--device", "cuda"])
    assert isinstance(told.exception, UserError) and "sees no GPU" in str(told.exception)
    assert CliRunner().invoke(command, []).output == "trains on cpu\n"
