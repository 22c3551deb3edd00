"""Models by their kind: a mistake is one line that names the nearest right thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dasr import config as configuration
from dasr.errors import UserError
from dasr.models import registry
from dasr.planning import check

FILE = """
import torch
from torch import nn
from dasr.models.network import Network


class Wrong(Network):
    name = "wrong"
    subsampling, context = 2, 0

    def __init__(self, inputs: int, outputs: int, *, width: int = 8):
        super().__init__()
        self.output = nn.Linear(inputs, outputs)

    def forward(self, frames, lengths):
        return self.output(frames), lengths


class Batched(Network):
    name = "batched"

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(inputs)


class Broken(Network):
    name = "broken"

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.output = nn.Linear(inputs, -1)
"""


def test_every_kind_of_the_table_is_there() -> None:
    assert registry.names() == ["blstm", "conformer", "dnn", "tdnnf"]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"kind": "confomer"}, "model.kind: no model 'confomer'; did you mean 'conformer'"),
        ({"kind": "dnn", "options": {"widht": 8}}, "no option 'widht'; did you mean 'width'"),
        ({"kind": "dnn", "options": {"layers": 0}}, "'layers' must be at least 1"),
        ({"kind": "conformer", "options": {"width": 100, "heads": 3}}, "must be a multiple of 2 x heads"),
        ({"kind": "conformer", "options": {"kernel": 4}}, "kernel must be odd"),
        ({"kind": "none.py:Net"}, "no model file none.py"),
        ({"kind": "mine.py:Wrog"}, "mine.py defines no model 'Wrog'; did you mean 'Wrong'"),
        ({"kind": "mine.py:Wrong", "options": {"wide": 3}}, "no option 'wide'; did you mean 'width'"),
        ({"kind": "mine.py:Wrong"}, r"gave logits of shape .* subsampling of 2 asks for \[1, 21, 8\]"),
        ({"kind": "mine.py:Batched"}, "norm is a BatchNorm, whose statistics no strategy exchanges"),
        ({"kind": "mine.py:Broken"}, "model 'mine.py:Broken' cannot be built: RuntimeError"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_before_anything_starts(
    model: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    config = configuration.complete({"model": model})
    with pytest.raises(UserError, match=says) as error:
        check.check_inputs(config)
        check.check_runs(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"kind": "dnn", "cells": 8}, "'cells' is a key of the kind blstm: options of dnn stand under"),
        ({"options": {"cells": 8}}, "the options of a blstm are keys of the section: layers, cells"),
        ({"kind": "dnn", "options": [1]}, "is not a mapping of options"),
        ({"kind": "dnn", "options": {"a": [1]}}, "the option 'a' must be text, null or a number"),
    ],
)
def test_options_in_the_wrong_place_are_refused(model: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        configuration.complete({"model": model})


def test_a_kind_other_than_blstm_sees_plain_frames_and_has_its_own_values_only() -> None:
    config = configuration.complete({"model": {"kind": "dnn", "splice": 5, "options": {"width": 64}}})
    expected = {"kind": "dnn", "options": {"width": 64}, "deltas": 0, "splice": 5, "subsampling": 1}
    assert config.model.shape.values() == expected
    assert registry.complete(config.model.shape) == {"layers": 4, "width": 64, "dropout": 0.0}
    assert config.training.epochs == 8  # the preset's
    assert configuration.parse(config.text(), "text") == config
