"""Records of measurements: what was measured, by which command, on what, when, with which code.

A record is a JSON file in benchmarks/results/. The benchmarks write them (`--record`), and `report.py` makes
the tables of the documentation from them and from nothing else.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dasr.errors import UserError
from dasr.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
LIBRARIES = ("torch", "numpy", "kaldi-native-fbank", "zarr")  # whose versions are kept
FRESH = "written by the benchmark"

What = Literal[
    "compression",
    "conformer",
    "fault-trials",
    "features",
    "feed-memory",
    "feed-speed",
    "findings",
    "lost-learner",
    "make-run",
    "prediction",
    "scale-corpus",
    "scale-dry-run",
    "simulator",
    "smoke-matrix",
    "straggler",
    "throughput",
    "virtual-time",
]
Row = dict[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Hardware(_Strict):
    """The machine of a measurement."""

    cpu: str | None  # model name; None: not known
    cores: int | None  # that the process may use; None: not known
    gpus: list[str]  # model names of those used
    driver: str | None = None  # of the GPUs
    note: str = ""  # what else matters: other load, links between GPUs


class Record(_Strict):
    """One measurement with everything that is needed to repeat it."""

    what: What
    command: str
    date: datetime.date
    hardware: Hardware
    commit: str | None  # of the code measured; None: not known
    dirty: bool | None  # whether tracked files differed from that commit; None: not known
    versions: dict[str, str]  # of Python and the libraries
    source: str = FRESH  # or the page that the figures were transcribed from
    note: str = ""
    settings: dict[str, Any] = {}  # what the rows have in common
    rows: list[Row]  # raw figures; units are in the names

    def name(self) -> str:
        """The file name: what, hardware, date."""
        gpus = self.hardware.gpus
        model = re.sub(
            r"[^a-z0-9]+", "-", (gpus[0] if gpus else self.hardware.cpu or "unknown").lower()
        ).strip("-")
        model = re.sub(r"-(processor|with|core|cpu|\d+-core)\b.*", "", model.removeprefix("nvidia-"))
        count = f"{len(gpus)}x-" if gpus else ""
        return f"{self.what}_{count}{model}_{self.date}.json"


def make(what: What, rows: Sequence[Row], settings: Row | None = None, gpus: int = 0) -> Record:
    """A record of what this process has measured, on this machine with `gpus` of its GPUs."""
    commit, dirty = _revision()
    return Record(
        what=what,
        command=command_line(),
        date=datetime.date.today(),
        hardware=hardware(gpus),
        commit=commit,
        dirty=dirty,
        versions=_versions(),
        settings=settings or {},
        rows=list(rows),
    )


def write(record: Record, target: Path) -> Path:
    """Write `record` to a file, or into a folder under its own name (`-2` and so on if that is taken)."""
    if target.is_dir():
        first = target / record.name()
        names = (first.with_stem(f"{first.stem}-{number}") for number in range(2, 1000))
        target = first if not first.exists() else next(name for name in names if not name.exists())
    write_json(target, record.model_dump(mode="json"))
    return target


def read(path: Path) -> Record:
    """The record in a file. Raises UserError that names file and field."""
    try:
        return Record.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "not a record"
        raise UserError(f"{path}: {place}: {first['msg']}") from None


def read_all(folder: Path = RESULTS) -> dict[str, Record]:
    """All records of a folder by file name, oldest first. Raises UserError for a file that is no record."""
    found = {path.name: read(path) for path in sorted(folder.glob("*.json"))}
    return dict(sorted(found.items(), key=lambda pair: pair[1].date))


def hardware(gpus: int = 0) -> Hardware:
    """This machine; `gpus`: how many of its GPUs are used."""
    names, driver = [], None
    if gpus:
        import torch

        names = [torch.cuda.get_device_name(number) for number in range(gpus)]
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = _output(query, None)
        driver = driver.splitlines()[0] if driver else None
    return Hardware(cpu=_cpu(), cores=len(os.sched_getaffinity(0)), gpus=names, driver=driver)


def command_line() -> str:
    """How this process was started, in a form that works in any checkout."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    start = f"-m {spec.name}" if spec is not None else Path(sys.argv[0]).name
    processes = os.environ.get("LOCAL_WORLD_SIZE")
    launcher = f"torchrun --nproc-per-node {processes}" if processes else "python"
    return " ".join([launcher, start, *map(shlex.quote, sys.argv[1:])])


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _revision() -> tuple[str | None, bool | None]:
    """(commit, whether tracked files differ from it); unknown outside of a git checkout."""
    commit = _output(["git", "rev-parse", "--short=10", "HEAD"], ROOT)
    changes = _output(["git", "status", "--porcelain", "--untracked-files=no"], ROOT)
    return commit or None, None if changes is None else bool(changes)


def _output(command: list[str], folder: Path | None) -> str | None:
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return ran.stdout.strip()
