"""Kaldi's binary file format: tokens, numbers, vectors and matrices, as far as `tree` and `final.mdl` need
them.

A binary file begins with the bytes 0 and 'B'. Tokens end with a blank; a number is preceded by a byte with
its size (negative for unsigned); vectors and matrices open with the tokens FV, DV, FM or DM.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr.errors import UserError

HEADER = b"\0B"


class Writer:
    """Gathers the bytes of one Kaldi object; `data` is without the file header."""

    def __init__(self) -> None:
        self.data = bytearray()

    def token(self, *tokens: str) -> None:
        for token in tokens:
            self.data += token.encode() + b" "

    def int32(self, value: int) -> None:
        self.data += b"\x04" + struct.pack("<i", value)

    def uint32(self, value: int) -> None:
        self.data += b"\xfc" + struct.pack("<I", value)

    def float32(self, value: float) -> None:
        self.data += b"\x04" + struct.pack("<f", value)

    def integers(self, values: Any) -> None:
        """A std::vector<int32>."""
        array = np.asarray(values, "<i4")
        self.data += b"\x04" + struct.pack("<i", array.size) + array.tobytes()

    def vector(self, values: Any) -> None:
        array = np.asarray(values, "<f4")
        self.token("FV")
        self.int32(array.size)
        self.data += array.tobytes()

    def matrix(self, values: Any) -> None:
        array = np.ascontiguousarray(values, "<f4")
        self.token("FM")
        self.int32(array.shape[0])
        self.int32(array.shape[1])
        self.data += array.tobytes()


class Reader:
    """Reads what `Writer` writes, and what Kaldi does. Raises UserError naming the file when it is something
    else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None
        if self.data[:2] != HEADER:
            raise UserError(f"{path} is not a Kaldi binary file (a text one: copy it with --binary=true)")
        self.at = 2

    def broken(self, wanted: str) -> UserError:
        """The error for a file that has something else here."""
        return UserError(
            f"{self.path}: expected {wanted} at byte {self.at}; the file is truncated or of another kind"
        )

    def _take(self, count: int, wanted: str) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise self.broken(wanted)
        self.at += count
        return self.data[self.at - count : self.at]

    def peek(self) -> str:
        end = self.data.find(b" ", self.at, self.at + 64)
        return self.data[self.at : end].decode(errors="replace") if end >= 0 else ""

    def token(self, *wanted: str) -> str:
        """The next token; one of `wanted` if any are given."""
        found = self.peek()
        if not found or (wanted and found not in wanted):
            raise self.broken(" or ".join(wanted) or "a token")
        self.at += len(found) + 1
        return found

    def int32(self) -> int:
        size, value = struct.unpack("<bi", self._take(5, "an integer"))
        if abs(size) != 4:
            raise self.broken("a 32-bit integer")
        return int(value)

    def float(self) -> float:
        size = self._take(1, "a number")[0]
        if size not in (4, 8):
            raise self.broken("a floating-point number")
        return float(struct.unpack("<f" if size == 4 else "<d", self._take(size, "a number"))[0])

    def integers(self) -> NDArray[np.int32]:
        size, count = struct.unpack("<bi", self._take(5, "a list of integers"))
        if size != 4:
            raise self.broken("a list of integers")
        return np.frombuffer(self._take(4 * count, "a list of integers"), "<i4").copy()

    def vector(self) -> NDArray[np.float32]:
        kind = self.token("FV", "DV")
        return self._array(kind, self.int32())

    def matrix(self) -> NDArray[np.float32]:
        kind = self.token("FM", "DM")
        rows, columns = self.int32(), self.int32()
        if rows < 0 or columns < 0:
            raise self.broken("the size of a matrix")
        return self._array(kind, rows * columns).reshape(rows, columns)

    def _array(self, kind: str, count: int) -> NDArray[np.float32]:
        code = "<f4" if kind[0] == "F" else "<f8"
        raw = self._take(count * int(code[-1]), f"{count} numbers")
        return np.frombuffer(raw, code).astype(np.float32)


def read_vector_text(path: Path) -> NDArray[np.float64]:
    """A Kaldi vector in text form, ` [ 1 2 3 ]`. Raises UserError."""
    try:
        fields = path.read_text(encoding="utf-8").split()
        if fields[0] != "[" or fields[-1] != "]":
            raise ValueError
        values = np.array(fields[1:-1], np.float64)
        if not np.isfinite(values).all():
            raise ValueError
        return values
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, IndexError):
        raise UserError(f"{path} is not a Kaldi vector in text form ([ 1 2 ... ])") from None


def vector_text(values: Any) -> str:
    return " [ " + " ".join(f"{value:.10g}" for value in np.asarray(values)) + " ]\n"
