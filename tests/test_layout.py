"""Each module of dasr has its tests where its name says: those of dasr/a/b.py are in tests/a/test_b.py."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path.relative_to(ROOT / "dasr") for path in (ROOT / "dasr").rglob("*.py"))

# Modules (fnmatch patterns) without a file of their name: the tests that would fail if they were wrong.
ELSEWHERE = {
    "__main__.py": "test_package.py",
    "*/__init__.py": "test_package.py",
    "__init__.py": "test_package.py",
    # commands are typed by the workflow
    "adaptation/command.py": "workflow/test_reruns.py",
    "hmm/command.py": "hmm/test_alignment.py",
    "reporting/command.py": "reporting/test_page.py",
    "tracking/command.py": "tracking/test_store.py",
    "training/command.py": "workflow/test_reruns.py",
    "strategies/parts/gradient_mean.py": "strategies/test_equivalences.py",
    "strategies/parts/means.py": "strategies/test_delay_by_one.py",
    "strategies/parts/options.py": "strategies/test_registry.py",
    "strategies/parts/rounds.py": "strategies/test_timing.py",
    # a job's parts are tested together, with real learners
    "launch/coordinator.py": "launch/test_jobs_without_a_cluster.py",
    "launch/supervisor.py": "launch/test_jobs_without_a_cluster.py",
    # both worlds do what one set of activities says
    "worlds/interface.py": "worlds/process/test_world.py",
    "worlds/process/local_launch.py": "worlds/process/test_world.py",
    # needs a GPU, or memory that plays one
    "cuda/*.py": "tasks/test_captured_task.py",
    "models/fast_blstm.py": "models/test_fast_recurrence.py",
    "worlds/peer_memory/memory.py": "worlds/peer_memory/test_exchange.py",
    "worlds/process/peers.py": "worlds/peer_memory/test_sharded_update.py",
    "worlds/peer_memory/symmetric.py": "worlds/peer_memory/test_exchange.py",
    # what learners read and compute
    "rehearsal/watched.py": "rehearsal/test_rehearse.py",
    "training/callbacks.py": "training/test_run.py",
    "training/heldout.py": "training/test_run.py",
    "torch_private.py": "worlds/process/test_world.py",
}


def own_tests(module: Path) -> Path:
    return ROOT / "tests" / module.parent / f"test_{module.name}"


def test_every_module_has_tests_of_its_name_or_says_where_they_are() -> None:
    without = [module for module in MODULES if not own_tests(module).is_file()]
    unknown = [str(module) for module in without if not any(fnmatch(str(module), each) for each in ELSEWHERE)]
    assert not unknown, "write tests/.../test_NAME.py for these modules, or say in ELSEWHERE who tests them"


def test_no_exception_outlives_its_reason() -> None:
    missing = {tests for tests in ELSEWHERE.values() if not (ROOT / "tests" / tests).is_file()}
    assert not missing, "ELSEWHERE names tests that are gone"
    without = [str(module) for module in MODULES if not own_tests(module).is_file()]
    stale = [each for each in ELSEWHERE if not any(fnmatch(module, each) for module in without)]
    assert not stale, "these modules are gone, or have tests of their own by now"
