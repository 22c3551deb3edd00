"""What users write: YAML that is read strictly, and one line for the first mistake."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from dasr import validation
from dasr.errors import UserError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["ring", "star"] = "ring"
    rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.5


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    size: Annotated[int, Field(ge=1)] = 1
    inner: Inner = Inner()
    names: Annotated[list[str], Field(min_length=1)] = ["a"]
    needed: bool


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"needed": True, "sizes": 1}, "unknown key 'sizes' at top level; did you mean 'size'?"),
        ({"sizes": 1}, "unknown key 'sizes' at top level"),  # before the missing one
        ({"needed": True, "inner": {"kin": 1}}, "unknown key 'kin' at inner; did you mean 'kind'?"),
        ({}, "top level: the key 'needed' is missing"),
        ({"needed": True, "inner": {"kind": "rign"}}, "inner.kind: 'rign' is not one of ring, star; did you"),
        ({"needed": True, "size": 0}, "size: 0 is below the minimum of 1"),
        ({"needed": True, "size": 1.5}, "size: 1.5 is not a whole number"),
        ({"needed": True, "inner": {"rate": 2}}, "inner.rate: 2 is above the maximum of 1"),
        ({"needed": True, "inner": {"rate": 0}}, "inner.rate: 0 must be above 0"),
        ({"needed": True, "inner": {"rate": math.inf}}, "inner.rate: inf is not a finite number"),
        ({"needed": True, "names": []}, "names: at least 1 entry is needed"),
        ({"needed": True, "names": [1]}, "names.0: 1 is not text"),
        ({"needed": "x" * 200}, "..."),
        ([], "[] is not a mapping"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(given: Any, says: str) -> None:
    with pytest.raises(UserError) as error:
        validation.validated(Outer, given, "file.yaml")
    assert str(error.value).startswith("file.yaml: ") and says in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_what_is_written_as_yaml_is_read_as_the_same_values() -> None:
    values = {"a": 1e-3, "b": "1e-3", "c": None, "d": [True, "true"], "e": "ä"}
    assert validation.read_text(validation.to_yaml(values), "text") == values


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: [1", r"f\.yaml is not YAML"),
        (b"a: 1\na: 2\n", r"f\.yaml: the key 'a' is given twice, in lines 1 and 2"),
        (b"a: \xe9\n", r"f\.yaml is not UTF-8"),
        (b"[" * 5000, r"f\.yaml is not YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "f.yaml").write_bytes(content)
    with pytest.raises(UserError, match=says):
        validation.read_yaml(tmp_path / "f.yaml")
