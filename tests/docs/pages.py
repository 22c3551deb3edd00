"""README and the pages of docs/, cut into prose and fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import PAGES

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
GENERATED = {DOCS / name for name in PAGES}  # from records: tests/benchmarks/test_records.py
_NOTEBOOK = DOCS / "notebook"  # of attempts, kept as they were written
_MARKER = re.compile(r"<!-- (not run|ends with an error): (.+?) -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block. `why_not`, `error`: of its marker `<!-- not run: ... -->` or `<!-- ends with an error:
    ... -->`, or ""."""

    page: Path
    line: int
    language: str
    text: str
    why_not: str
    error: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def written() -> list[Path]:
    """README and every page that a person wrote to be read."""
    own = [page for page in sorted(DOCS.rglob("*.md")) if page.parent != _NOTEBOOK]
    return [REPOSITORY / "README.md", *(page for page in own if page not in GENERATED)]


def every() -> list[Path]:
    """All of them, records and generated pages included."""
    return [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page. A marker stands after its block, with nothing but blank lines between."""
    lines = page.read_text(encoding="utf-8").splitlines()
    fences = [number for number, line in enumerate(lines) if line.lstrip().startswith("```")]
    assert len(fences) % 2 == 0, f"{page} has a fence that does not end"
    found = []
    for begin, end in zip(fences[::2], fences[1::2], strict=True):
        marker = _MARKER.match("\n".join(lines[end + 1 :]).lstrip())
        said = {marker[1]: " ".join(marker[2].split())} if marker else {}
        language, text = lines[begin].strip().removeprefix("```"), "\n".join(lines[begin + 1 : end])
        why_not, error = said.get("not run", ""), said.get("ends with an error", "")
        found.append(Block(page, begin + 1, language, text, why_not, error))
    return found


def prose(page: Path) -> str:
    """A page without fenced blocks and comments."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
