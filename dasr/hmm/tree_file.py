"""Kaldi's `tree`, read through before C++ reads it: ContextDependency, a tree of questions to tied states.

ContextDependency N P ToPdf NODE EndContextDependency      N phones of context, of which P is the middle
NODE: CE pdf | TE key size ( NODE... ) | SE key values { NODE NODE } | NULL
"""

from __future__ import annotations

from pathlib import Path

from dasr.hmm.kaldi_io import Reader

PDF_CLASS = -1  # the key that asks for the HMM state's class; others are places in the context
MOST_PDFS = 10_000_000
NODE = ""


def read_tree(path: Path) -> bytes:
    """Kaldi's `tree`, without its file header. Raises UserError."""
    reader = Reader(path)
    begin = reader.at
    reader.token("ContextDependency")
    width, middle = reader.int32(), reader.int32()
    if not 0 <= middle < width <= 7:
        raise reader.broken("a context of a few phones")
    reader.token("ToPdf")
    waiting = ["EndContextDependency", NODE]
    while waiting:
        wanted = waiting.pop()
        if wanted:
            reader.token(wanted)
        else:
            waiting += reversed(_node(reader, width))
    return reader.data[begin:]


def _node(reader: Reader, width: int) -> list[str]:
    """Read a node's beginning; what has to follow: tokens and nodes."""
    kind = reader.token("CE", "TE", "SE", "NULL")
    if kind == "NULL":
        return []
    number = reader.int32()
    if not (0 <= number < MOST_PDFS if kind == "CE" else PDF_CLASS <= number < width):
        raise reader.broken("a tied state or a place in the context")
    if kind == "CE":
        return []
    if kind == "SE":
        values = reader.integers()
        if (values[1:] <= values[:-1]).any():
            raise reader.broken("ascending phones")
        return ["{", NODE, NODE, "}"]
    size = reader.int32()
    if not 0 <= size <= len(reader.data):
        raise reader.broken("as many branches as there are phones")
    return ["(", *[NODE] * size, ")"]
