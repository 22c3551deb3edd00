"""Values that users write, checked by pydantic: YAML files read strictly, and one line for what is wrong.

    cluster = validated(Cluster, read_yaml(path), str(path))     # UserError with file and key

A misspelt key or choice is answered with the nearest right one.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from dasr.errors import UserError, nearest

T = TypeVar("T")
Place = tuple[int | str, ...]
EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
SHOWN = 80  # characters of a wrong value that a message repeats

KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
}
BOUNDS = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("is below the minimum of", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("is above the maximum of", "le"),
}


class _Loader(yaml.SafeLoader):
    """YAML in which a key counts once, and 1e-3 is a number (YAML 1.1 takes it for text)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise UserError(
                        f"the key '{key.value}' is given twice, in lines {lines[key.value]} and {line}"
                    )
                lines[key.value] = line
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """YAML that reads as the same values by both loaders: a text such as 1e-3 is quoted."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(f"^{EXPONENT.pattern}$"), list("-+.0123456789")
    )


def to_yaml(value: Any) -> str:
    """Plain values as a YAML text."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def read_yaml(path: Path | str) -> Any:
    """The content of a YAML (or JSON) file. Raises UserError, also where a key is given twice."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error.reason} at byte {error.start})") from None
    return read_text(text, str(path))


def read_text(text: str, where: str) -> Any:
    """What a YAML text says; `where` it is from. Raises UserError."""
    try:
        return parse_yaml(text)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{where} is not YAML: {' '.join(str(error).split())}") from None


def parse_yaml(text: str) -> Any:
    """What a YAML text says. Raises UserError for a key that is given twice, and yaml.YAMLError."""
    return yaml.load(text, _Loader)


def plain_value(value: Any) -> Any:
    """What a text says as YAML; any other value as it is.

    Snakemake's --config leaves numbers inside brackets as text."""
    try:
        return parse_yaml(value) if isinstance(value, str) else value
    except (yaml.YAMLError, UserError, ValueError):
        return value


def validated(kind: Callable[..., T], given: Any, where: str) -> T:
    """`given` as a `kind` (a pydantic model or dataclass). Raises UserError that says the first mistake."""
    try:
        value: T = _adapter(kind).validate_python(given)
        return value
    except ValidationError as error:
        raise UserError(f"{where}: {first_mistake(kind, error)}") from None
    except RecursionError:
        raise UserError(f"{where} is nested too deeply") from None


@functools.lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def first_mistake(kind: Any, error: ValidationError) -> str:
    """One line for the first mistake. An unknown key comes first: it explains a missing one."""
    found = error.errors(include_url=False)
    first = min(found, key=lambda one: one["type"] not in ("extra_forbidden", "unexpected_keyword_argument"))
    place, type_, context = first["loc"], first["type"], first.get("ctx", {})
    if type_ in ("extra_forbidden", "unexpected_keyword_argument"):
        known = fields(kind, place[:-1])
        return f"unknown key '{shown(place[-1], '')}' at {named(place[:-1])}{nearest(str(place[-1]), known)}"
    if type_ in ("missing", "missing_argument"):
        return f"{named(place[:-1])}: the key '{place[-1]}' is missing"
    value = first["input"]
    at = f"{named(place)}: "
    if type_ == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"{at}{shown(value)} is not one of {', '.join(choices)}{nearest(str(value), choices)}"
    if type_ in KINDS:
        return f"{at}{shown(value)} is not {KINDS[type_]}"
    if type_ in BOUNDS:
        text, bound = BOUNDS[type_]
        return f"{at}{shown(value)} {text} {context[bound]:g}"
    if type_ == "too_short":
        return f"{at}at least {context['min_length']} entry is needed"
    if type_ == "value_error":
        return f"{at if place else ''}{context['error']}"
    return f"{at}{shown(value)}: {first['msg']}"


def shown(value: Any, quote: str = "'") -> str:
    """A value as a message repeats it: on one line, not too long."""
    text = repr(value) if quote else repr(str(value))[1:-1]
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def named(place: Place) -> str:
    """A place inside a description, as `comparison.learners.0`."""
    return ".".join(str(part) for part in place) or "top level"


def fields(kind: Any, place: Place = ()) -> dict[str, Any]:
    """Keys that the mapping at `place` of a `kind` may have, and their types."""
    for part in place:
        kind = next(
            (
                inner
                for inner in _parts(fields(kind)[part] if isinstance(part, str) else kind)
                if _keys(inner)
            ),
            None,
        )
    return _keys(kind)


def _keys(kind: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if hasattr(kind, "__pydantic_fields__"):
        return {name: field.annotation for name, field in kind.__pydantic_fields__.items()}
    return {}


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in typing.get_args(annotation):
        yield from _parts(inner)


def allows_text(annotation: Any) -> bool:
    """Whether a text may be such a value as it stands."""
    return any(
        part is str or isinstance(part, str) or part is Path or part is Any for part in _parts(annotation)
    )
