"""Every strategy by name. A file put into this folder is found; another one is `path/to/file.py:Class`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import math
import pkgutil
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import dasr.strategies
from dasr.errors import UserError, nearest
from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.options import AtLeast


def names() -> list[str]:
    """All strategies of this package, sorted."""
    return sorted(_known())


def find(name: str) -> type[Strategy]:
    """The strategy of that name, or the class that `path/to/file.py:Class` names. Raises UserError."""
    if ".py:" in name:
        return _from_file(name)
    if name not in _known():
        known = f"known: {', '.join(names())}; or path/to/file.py:Class"
        raise UserError(f"no strategy '{name}'{nearest(name, _known())} ({known})")
    return _known()[name]


@dataclass(frozen=True)
class Option:
    """A keyword argument of a strategy."""

    default: Any
    annotation: Any


def options(name: str) -> dict[str, Option]:
    """Options of a strategy, those of its base classes included."""
    return _options(name)[0]


def check(name: str, given: Mapping[str, Any]) -> None:
    """Raise UserError for an option that the strategy does not have, or a value that it does not take."""
    known, open_ = _options(name)
    for key, value in given.items():
        if key in known:
            if complaint := _complaint(value, known[key].annotation):
                raise UserError(f"strategy '{name}': the option '{key}' {complaint}")
        elif not open_:
            has = f"{nearest(key, known)} (known: {', '.join(known) or 'none'})"
            raise UserError(f"strategy '{name}' has no option '{key}'{has}")


def make(name: str, learner: Learner, **given: Any) -> Strategy:
    """The strategy of that name, driving `learner`. Raises UserError for an unknown name, option or value."""
    check(name, given)
    return find(name)(learner, **given)


@functools.cache
def _options(name: str) -> tuple[dict[str, Option], bool]:
    """Its options, and whether others are passed on to an inner strategy, which checks them."""
    found: dict[str, Option] = {}
    passes_on = False
    for base in inspect.getmro(find(name)):
        constructor = vars(base).get("__init__")
        if base is Strategy:
            break
        if constructor is None:
            continue
        parameters = list(inspect.signature(constructor).parameters.values())[2:]  # not self and learner
        try:
            annotations = typing.get_type_hints(constructor, include_extras=True)
        except NameError as error:
            advice = "what its constructor's annotations name must be imported, not for type checkers alone"
            raise UserError(f"strategy '{name}': {error}: {advice}") from None
        for one in parameters:
            if one.kind is not inspect.Parameter.VAR_KEYWORD and one.name not in found:
                found[one.name] = Option(one.default, annotations.get(one.name, Any))
        passes_on = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
        if not passes_on:
            break
    return found, passes_on


KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("a text", (str,)),
    type(None): ("null", (type(None),)),
}


def _complaint(value: Any, annotation: Any) -> str:
    """What is wrong with a value that has to be as annotated; empty if nothing is, or it is not known."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        least = max((one.bound for one in arguments[1:] if isinstance(one, AtLeast)), default=-math.inf)
        complaint = _complaint(value, arguments[0])
        return complaint or (f"must be at least {least}, but is {value}" if value < least else "")
    if origin is typing.Literal:
        wrong = f"cannot be '{value}'{nearest(str(value), arguments)} (known: {', '.join(arguments)})"
        return "" if value in arguments else wrong
    kinds = arguments if origin in (typing.Union, types.UnionType) else (annotation,)
    if any(kind not in KINDS for kind in kinds):
        return ""
    for kind in kinds:
        if isinstance(value, KINDS[kind][1]) and (kind is bool or not isinstance(value, bool)):
            return ""
    return f"must be {' or '.join(KINDS[kind][0] for kind in kinds)}, but is {value!r}"


@functools.cache
def _known() -> dict[str, type[Strategy]]:
    modules = pkgutil.iter_modules(dasr.strategies.__path__, "dasr.strategies.")
    found = [strategy for module in modules for strategy in _defined_in(importlib.import_module(module.name))]
    return {strategy.name: strategy for strategy in found}


def _defined_in(module: ModuleType) -> Iterator[type[Strategy]]:
    """The strategies that a module defines: not Strategy itself, and none that it only imports."""
    for value in vars(module).values():
        if not isinstance(value, type) or value.__module__ != module.__name__:
            continue
        if issubclass(value, Strategy) and value is not Strategy:
            yield value


@functools.cache
def _from_file(name: str) -> type[Strategy]:
    path, _, wanted = name.rpartition(":")
    if not Path(path).is_file():
        raise UserError(f"no strategy file {path}")
    module_name = f"dasr_strategy_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"the strategy file {path} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    classes = {strategy.__name__: strategy for strategy in _defined_in(module)}
    if wanted not in classes:
        found = f"found: {', '.join(classes) or 'none'}"
        raise UserError(f"{path} defines no strategy '{wanted}'{nearest(wanted, classes)} ({found})")
    return classes[wanted]
