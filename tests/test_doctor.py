"""`dasr doctor` tells the truth about the machine."""

import importlib.metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from dasr import doctor


def test_a_healthy_machine_passes(tmp_path: Path) -> None:
    result = CliRunner().invoke(doctor.doctor, ["--results", str(tmp_path / "not" / "yet")])
    assert result.exit_code == 0, result.output
    assert importlib.metadata.version("torch") in result.output


def test_a_missing_package_is_named_with_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.PACKAGES, "decode, score", ("no-such-package",))
    result = CliRunner().invoke(doctor.doctor, [])
    assert result.exit_code == 1
    assert "no-such-package" in result.output
    assert "for decode, score: pip install no-such-package" in result.output
