"""Each module of dasr has its tests where its name says: those of dasr/a/b.py are in tests/a/test_b.py."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path.relative_to(ROOT / "dasr") for path in (ROOT / "dasr").rglob("*.py"))

# Modules (fnmatch patterns) without a file of their name, by reason, and the tests that hold them.
ELSEWHERE = {
    # what a user imports, types or installs
    "__main__.py": "test_package.py",
    "*/__init__.py": "test_package.py",
    "__init__.py": "test_package.py",
    # two annotations, which the registry reads
    "strategies/parts/options.py": "strategies/test_registry.py",
    # a GPU would be needed: their texts and their memory are emulated
    "models/fast_blstm.py": "models/test_fast_recurrence.py",
    "worlds/peer_memory/symmetric.py": "worlds/peer_memory/test_exchange.py",
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
