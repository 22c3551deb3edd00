"""Flip one bit of every kind of file that a stage reads, or cut it off, and see what becomes of it.

    python -m tests.support.damage [--kinds NAME...] [--flips 40] [--cuts 6] [--seed S] [--folder F]

Right is one line that names the file, with exit status 2, or the same result as without the damage (the bit
says nothing); in a file of the user's own, which has no checksum, also another result. Wrong is another
result (SILENT), a traceback, a dead process, one that hangs, an error that does not name the file, and
commands that fail without any damage (UNTRIED).
Prints a table of kinds and outcomes; exit status 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from safetensors import safe_open

from dasr.errors import nearest
from tests.support.damage import projects, stage
from tests.support.damage.kinds import KINDS, Kind

RIGHT = ("refused", "same", "other")
WRONG = ("SILENT", "TRACEBACK", "UNNAMED", "CRASH", "HANG", "UNTRIED")


class Untried(Exception):
    """A kind whose commands fail without any damage."""


def damages(whole: bytes, flips: int, cuts: int, draw: random.Random) -> Iterator[tuple[str, bytes]]:
    """What is done to a file, in words, and its bytes after that."""
    for _ in range(flips):
        place, bit = draw.randrange(len(whole)), draw.randrange(8)
        flipped = bytes([whole[place] ^ (1 << bit)])
        yield f"bit {bit} of byte {place}", whole[:place] + flipped + whole[place + 1 :]
    for number in range(cuts):
        length = draw.randrange(len(whole)) if number else 0
        yield f"cut to {length} bytes", whole[:length]


class Trials:
    """All trials of one kind, each in a copy of its project."""

    def __init__(self, kind: Kind, project: Path, work: Path) -> None:
        self.kind, self.project, self.copy = kind, project, work / "project"
        self.written = True
        found = sorted(path for path in project.glob(kind.file) if path.stat().st_size)
        if not found:
            raise Untried(f"there is no {kind.file}")
        self.file = found[-1].relative_to(project)  # of checkpoints the newest
        before = self._outcome(None)
        if before != "same":
            raise Untried(f"without any damage: {before}: {self.said.strip()[-300:]}")
        self.expected = self._sums()

    def of(self, content: bytes) -> str:
        """How the commands end when the file has that content."""
        outcome = self._outcome(content)
        if outcome != "same" or not self.kind.outputs:
            return outcome if outcome != "same" or self.kind.outputs else "other"
        return "same" if self._sums() == self.expected else "SILENT"

    def _outcome(self, content: bytes | None) -> str:
        """`same`: they all succeed."""
        if self.written:
            self._copy()
        if content is not None:
            (self.copy / self.file).write_bytes(content)
        self.said = ""
        for command in self.kind.commands:
            ended = stage.run(command.replace("FILE", str(self.file)).split(), self.copy)
            self.said = ended.said
            if ended.status != 0:
                return self._failure(ended)
            self.written = True
        return "same"

    def _copy(self) -> None:
        """A whole project again; a command that fails writes nothing, so after one it is whole still."""
        shutil.rmtree(self.copy, ignore_errors=True)
        left_out = shutil.ignore_patterns(".*", "figures", "logs", "submitit", "artifacts")
        shutil.copytree(self.project, self.copy, symlinks=True, ignore=left_out)
        if self.kind.without:
            (self.copy / self.kind.without).unlink()
        self.written = False

    def _failure(self, ended: stage.Ended) -> str:
        if ended.status is None:
            return "HANG"
        if ended.status < 0 or "process died" in ended.said:
            return "CRASH"
        if ended.error is None:
            return "TRACEBACK"
        named = self.kind.outputs == () or any(part in ended.error for part in self._names())
        return "refused" if named else "UNNAMED"

    def _names(self) -> list[str]:
        """What of the file's path an error may name: the file, or the store that it is a part of."""
        stores = [part for part in self.file.parts if part.endswith(".zarr")]
        return [self.file.name, *stores]

    def _sums(self) -> dict[str, str]:
        found = sorted({path for pattern in self.kind.outputs for path in self.copy.glob(pattern)})
        contents = ((p.relative_to(self.copy), _content(p)) for p in found if p.is_file())
        return {str(path): hashlib.sha256(data).hexdigest() for path, data in contents}


def _content(path: Path) -> bytes:
    """What a file says: of safetensors the tensors, since the order of its metadata is drawn at random."""
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with safe_open(path, "numpy") as stored:
        return b"".join(stored.get_tensor(name).tobytes() for name in sorted(stored.keys()))


def tried(kind: Kind, project: Path, work: Path, given: argparse.Namespace) -> tuple[Counter[str], list[str]]:
    """How often each outcome came, and a line for each that is wrong."""
    draw, counts, wrong = random.Random(f"{given.seed} {kind.name}"), Counter[str](), []
    try:
        trials = Trials(kind, project, work)
    except Untried as why:
        return Counter(UNTRIED=1), [f"    UNTRIED: {why}"]
    whole = (project / trials.file).read_bytes()
    for what, content in damages(whole, given.flips, given.cuts, draw):
        outcome = trials.of(content)
        counts[outcome] += 1
        if outcome in WRONG:
            last = next((line for line in reversed(trials.said.splitlines()) if line.strip()), "")
            wrong.append(f"    {outcome}: {what}: {last[:300]}")
    return counts, wrong


def chosen(names: list[str] | None) -> list[Kind]:
    for name in names or ():
        if not any(name in known for known in KINDS):
            sys.exit(f"no kind '{name}'{nearest(name, KINDS)} (known: {', '.join(KINDS)})")
    return [kind for name, kind in KINDS.items() if not names or any(part in name for part in names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kinds", nargs="*", help="only those with this in their name")
    parser.add_argument("--flips", type=int, default=40, help="bits, one at a time, for each kind")
    parser.add_argument("--cuts", type=int, default=6, help="of each kind, the first to no bytes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep the projects there, and use them again")
    given = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", MLFLOW_DISABLE_TELEMETRY="true")
    kinds = chosen(given.kinds)
    with tempfile.TemporaryDirectory(prefix="damage-") as temporary:
        kept = given.folder.resolve() if given.folder else Path(temporary)
        an4 = projects.an4(kept / "an4")
        project = {"an4": an4, "kaldi": projects.kaldi(kept / "kaldi", an4)}
        stage.import_everything()
        print(
            f"seed {given.seed}\n{'':36s} {' '.join(f'{name:>9s}' for name in (*RIGHT, *WRONG))}", flush=True
        )
        total: Counter[str] = Counter()
        for kind in kinds:
            counts, wrong = tried(kind, project[kind.project], Path(temporary), given)
            print(f"{kind.name:36s} {' '.join(f'{counts[name]:9d}' for name in (*RIGHT, *WRONG))}")
            print("\n".join(wrong), end="\n" if wrong else "", flush=True)
            total += counts
    print(f"{'all':36s} {' '.join(f'{total[name]:9d}' for name in (*RIGHT, *WRONG))}")
    sys.exit(any(total[name] for name in WRONG))


if __name__ == "__main__":
    main()
