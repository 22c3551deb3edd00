"""The wheel and the sdist, each installed into an empty environment elsewhere, work without a clone."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import dasr

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = [
    *("dasr", "corpora", "profiles", "workflow", "config.yaml", "pyproject.toml", "MANIFEST.in", "README.md"),
    *("LICENSE", "tests/test_package.py"),
]


@dataclass(frozen=True)
class Installed:
    """An environment that has dasr from a wheel, and a folder to work in."""

    environment: Path
    folder: Path

    def run(self, command: str, *arguments: str) -> str:
        """What the command prints."""
        return call(self.environment / "bin" / command, *arguments, cwd=self.folder)

    def python(self, text: str) -> str:
        return self.run("python", "-c", text)


def call(*command: str | Path, cwd: Path) -> str:
    """What the command prints; neither the clone nor the environment of these tests is on its path."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    bare["XDG_CACHE_HOME"] = str(cwd / ".cache")
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(what: str, source: Path, out: Path) -> Path:
    """The wheel or sdist of `source`, by the setuptools that is installed (no network)."""
    code = f"import sys; from setuptools import build_meta; build_meta.build_{what}(sys.argv[1])"
    out.mkdir()
    call(sys.executable, "-c", code, out, cwd=source)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    pytest.importorskip("setuptools", minversion="77", reason="setuptools IS OLD: make .venv/testable")
    place = tmp_path_factory.mktemp(request.param)
    source = place / "source"
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(
                REPOSITORY / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, source / name)
    if request.param == "sdist":
        with tarfile.open(build("sdist", source, place / "sdist")) as archive:
            assert not [name for name in archive.getnames() if "/tests/" in name]
            archive.extractall(place / "unpacked", filter="data")
        (source,) = (place / "unpacked").iterdir()
    wheel = build("wheel", source, place / "wheel")
    shutil.rmtree(source)

    environment = place / "environment"
    call(sys.executable, "-m", "venv", "--without-pip", environment, cwd=place)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    call(*pip, "--python", environment, "install", "--no-deps", "--no-index", wheel, cwd=place)
    # The dependencies are those that are installed already. A .pth file in their folder is not read, so an
    # editable installation of dasr has no effect.
    (packages,) = (environment / "lib").glob("python3.*/site-packages")
    theirs = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(theirs) + "\n")
    (place / "elsewhere").mkdir()
    return Installed(environment, place / "elsewhere")


@pytest.mark.slow
class TestInstalled:
    def test_it_is_imported_from_the_new_environment(self, installed: Installed) -> None:
        assert installed.python("import dasr; print(dasr.__file__)").startswith(str(installed.environment))

    def test_version_and_help_say_what_is_there(self, installed: Installed) -> None:
        assert dasr.__version__ in installed.run("dasr", "--version")
        assert installed.python("import importlib.metadata as m; print(m.version('dasr'))").strip() == (
            dasr.__version__
        )
        assert "simulate" in installed.run("dasr", "--help")

    def test_doctor_finds_every_package(self, installed: Installed) -> None:
        assert "torch" in installed.run("dasr", "doctor")

    def test_a_small_simulation_runs(self, installed: Installed) -> None:
        printed = installed.run(
            "dasr", "simulate", "--strategy", "ad", "--learners", "4", "--steps", "8", "--task", "quadratic"
        )
        assert '"strategy": "ad"' in printed

    def test_a_configuration_is_completed(self, installed: Installed) -> None:
        completed = "from dasr import config; print(config.complete({}).model.preset)"
        assert installed.python(completed).strip() == "demo"

    def test_the_cuda_sources_are_there(self, installed: Installed) -> None:
        sources = "from dasr.cuda import kernels as k; print(k.recurrence_source(512, 4), k.head_source(32))"
        assert "__global__" in installed.python(sources)

    def test_the_types_are_announced(self, installed: Installed) -> None:
        typed = "import dasr, pathlib; print(pathlib.Path(dasr.__file__).with_name('py.typed').is_file())"
        assert installed.python(typed).strip() == "True"

    def test_a_project_it_writes_runs_the_workflow(self, installed: Installed) -> None:
        installed.run("dasr", "init", "project")
        project = Installed(installed.environment, installed.folder / "project")
        small = yaml.safe_load((project.folder / "config.yaml").read_text())
        small["corpus"]["limit"] = 40
        (project.folder / "config.yaml").write_text(yaml.safe_dump(small))
        run = ("-m", "snakemake", "--profile", "local")
        assert "train" in project.run("python", *run, "--dry-run")
        project.run("python", *run, "results/corpus/dev/text")
        assert (project.folder / "results" / "corpus" / "dev" / "text").stat().st_size > 0


def test_the_citation_and_the_changelog_know_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == dasr.__version__
    assert (
        f"## [{dasr.__version__}] - {citation['date-released']}" in (REPOSITORY / "CHANGELOG.md").read_text()
    )


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *extras["test"], *extras["docs"], *extras["onnx"]]:
        if not requirement.startswith("types-"):  # stubs: their version is a date
            assert ">=" in requirement and ",<" in requirement, requirement


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = {canonical(re.split("[>=<]", requirement)[0]) for requirement in project["dependencies"]}
    distributions = importlib.metadata.packages_distributions()
    imported = set()
    for module in imports(REPOSITORY / "dasr") - set(sys.stdlib_module_names) - {"dasr"}:
        providers = [canonical(name) for name in distributions[module]]
        imported.add(next((name for name in providers if name in declared), providers[0]))
    with_torch = {"cuda-bindings", "cuda-pathfinder", "triton"}  # the first two both provide `cuda`
    started_as_programs = {"snakemake", "snakemake-executor-plugin-slurm", "pygments"}
    asked_for = {re.split("[>=<]", one)[0] for one in project["optional-dependencies"]["onnx"]}
    assert imported - asked_for - with_torch - started_as_programs == declared - started_as_programs


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(folder: Path) -> set[str]:
    """First names of all modules that the Python files of a package import."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock", "requirements-docs.lock"])
def test_the_locks_pin_versions_and_name_no_host(lock: str) -> None:
    lines = [line for line in (REPOSITORY / lock).read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(line.count("==") == 1 and "/" not in line and "@" not in line for line in lines)


def test_the_locks_agree_with_one_another() -> None:
    run, test, docs = (
        set(line for line in (REPOSITORY / name).read_text().splitlines() if not line.startswith("#"))
        for name in ("requirements.lock", "requirements-test.lock", "requirements-docs.lock")
    )
    assert run <= test and run <= docs
    pins = sorted(test | docs)
    assert len({pin.split("==")[0] for pin in pins}) == len(pins), "one version a package"
