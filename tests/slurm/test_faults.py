"""One random moment of each fault, on live runs. The whole matrix: make soak (and `suspended`: a minute)."""

import random
import time
from pathlib import Path

import pytest

from tests.support.slurm import faults, soak
from tests.support.slurm.cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(900)]
SOON = [fault for fault in faults.SYNCHRONOUS if fault is not faults.suspended]
MATRIX = [("sc-allreduce", fault) for fault in SOON] + [("ad", faults.learner_killed)]


@pytest.fixture(scope="module")
def reference(clone: Path, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> soak.Undisturbed:
    return soak.undisturbed(tmp_path_factory.mktemp("undisturbed") / "run", clone, cluster, "sc-allreduce")


@pytest.mark.parametrize(
    ("strategy", "fault"), MATRIX, ids=[f"{fault.__name__}-{name}" for name, fault in MATRIX]
)
def test_nothing_is_lost(
    clone: Path,
    cluster: Cluster,
    reference: soak.Undisturbed,
    tmp_path: Path,
    strategy: str,
    fault: faults.Fault,
) -> None:
    seed = int(time.time())
    print(f"seed {seed}")
    soak.one(tmp_path / "trial", clone, cluster, strategy, fault, random.Random(seed), reference)
