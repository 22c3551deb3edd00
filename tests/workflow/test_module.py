"""The workflow as a module of another one, in a folder that has nothing else."""

import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import REPOSITORY, SMALL, Project

pytestmark = pytest.mark.slow

OTHER = """
configfile: "settings/comparison.yaml"


module asr:
    snakefile:
        "{snakefile}"
    config:
        config


use rule * from asr{renamed}
"""


class Other(Project):
    """A workflow of somebody else, run by Snakemake as they would."""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]


@pytest.mark.parametrize("prefix", ["", "asr_"])
def test_all_rules_can_be_used_from_another_workflow(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "settings").mkdir()
    config = {**SMALL, "corpus": {**SMALL["corpus"], "path": str(REPOSITORY / "corpora" / "an4")}}
    (tmp_path / "settings" / "comparison.yaml").write_text(yaml.safe_dump(config))
    renamed = f" as {prefix}*" if prefix else ""
    snakefile = REPOSITORY / "workflow" / "Snakefile"
    (tmp_path / "Snakefile").write_text(OTHER.format(snakefile=snakefile, renamed=renamed))
    other = Other(tmp_path)

    planned = other.planned()
    assert planned[f"{prefix}train"] == 3
    assert planned[f"{prefix}all"] == 1

    # A checkpoint is found under its new name too.
    other.snakemake(f"{prefix}corpus")
    assert f"{prefix}corpus" not in other.planned()
    assert {path.name for path in tmp_path.iterdir()} <= {
        "Snakefile",
        "settings",
        "results",
        ".snakemake",
        ".cache",
    }
