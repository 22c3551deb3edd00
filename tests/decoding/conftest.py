"""The graph of two words."""

from __future__ import annotations

from pathlib import Path

import kaldifst
import pytest

from tests.support.two_words import ARCS, FINAL


@pytest.fixture(scope="module")
def graph_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = "".join(f"{a} {b} {pdf + 1} {word} {cost}\n" for a, b, pdf, word, cost in ARCS)
    fst = kaldifst.compile(text + "".join(f"{s} {c}\n" for s, c in FINAL.items()), acceptor=False)
    path = tmp_path_factory.mktemp("graph") / "HCLG.fst"
    fst.write(str(path))
    return path
