"""Clusters known by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.worlds.simulated import clusters, presets
from dasr.worlds.simulated.presets import PRESETS


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_every_preset_survives_a_file(tmp_path: Path, ending: str) -> None:
    for name, cluster in PRESETS.items():
        clusters.save(cluster, tmp_path / f"{name}.{ending}")
        assert presets.load(tmp_path / f"{name}.{ending}") == cluster


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'ethernet-10g'"):
        presets.load("ethernet-10")
