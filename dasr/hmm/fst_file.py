"""OpenFst's binary files, checked before C++ reads them: it believes each number in them, and a wrong one
is a dead process, or a search that never ends.

A file is a header (kind, arc type, flags, properties, start, counts), then each state: its final weight, the
number of its arcs, the arcs (input label, output label, weight, next state).
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from dasr.errors import UserError

MAGIC = 2125659606
HAS_SYMBOLS = 3  # two bits of the header's flags
ERROR = 4  # a bit of its properties
ARC = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("weight", "<f4"), ("next", "<i4")])


def check_fst(path: Path, most_ilabel: int, most_olabel: int) -> None:
    """Raise UserError unless `path` is a whole vector transducer of the tropical semiring, whose labels go up
    to those."""
    try:
        data = path.read_bytes()
        _check(data, most_ilabel, most_olabel)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (struct.error, ValueError) as error:
        why = "it is cut off" if isinstance(error, struct.error) else error
        raise UserError(f"{path} is not a transducer that can be used: {why}") from None


def _check(data: bytes, most_ilabel: int, most_olabel: int) -> None:
    """Raises struct.error at the end of the data, ValueError with what is wrong."""
    (magic,) = struct.unpack_from("<i", data)
    if magic != MAGIC:
        raise ValueError("it is no OpenFst file")
    at = 4
    for wanted in ("vector", "standard"):
        (length,) = struct.unpack_from("<i", data, at)
        found = data[at + 4 : at + 4 + max(0, length)]
        if found != wanted.encode():
            raise ValueError(
                f"its kind is {found[:20].decode('ascii', 'replace')!r}, not {wanted!r} (fstconvert)"
            )
        at += 4 + length
    _, flags, properties, start, states, _ = struct.unpack_from("<iiQqqq", data, at)
    at += struct.calcsize("<iiQqqq")
    if flags & HAS_SYMBOLS:
        raise ValueError("it holds symbol tables: remove them (fstsymbols --clear_isymbols --clear_osymbols)")
    if not 0 <= start < states or properties & ERROR:
        raise ValueError(f"its start state is {start} of {states}")
    for state in range(states):
        final, count = struct.unpack_from("<fq", data, at)
        at += 12
        if not final > -np.inf or not 0 <= count <= (len(data) - at) // ARC.itemsize:  # NaN is not above
            raise ValueError(f"state {state} has {count} arcs, or a final weight that is no number")
        arcs = np.frombuffer(data, ARC, count, at)
        at += count * ARC.itemsize
        _check_arcs(arcs, state, states, most_ilabel, most_olabel)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes follow its last state")


def _check_arcs(arcs: np.ndarray, state: int, states: int, most_ilabel: int, most_olabel: int) -> None:
    for name, most in (("ilabel", most_ilabel), ("olabel", most_olabel), ("next", states - 1)):
        if len(arcs) and not 0 <= arcs[name].min() <= arcs[name].max() <= most:
            raise ValueError(f"an arc of state {state} has a label or a next state that is not there")
    if not (arcs["weight"] > -np.inf).all():
        raise ValueError(f"an arc of state {state} has a weight that is no number")
