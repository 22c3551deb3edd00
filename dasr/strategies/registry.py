"""Every strategy by name. A file put into this folder is found; another one is `path/to/file.py:Class`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import dasr.strategies
from dasr.errors import UserError, nearest
from dasr.strategies.base import Learner, Strategy

NOT_STRATEGIES = {"registry", "base"}


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


def options(name: str) -> dict[str, Any]:
    """Options of a strategy with their defaults."""
    parameters = list(inspect.signature(find(name).__init__).parameters.values())[2:]
    return {p.name: p.default for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}


def check(name: str, given: Mapping[str, Any]) -> None:
    """Raises UserError for an option that the strategy does not have, or a value unlike its default."""
    known = options(name)
    kinds = {p.kind for p in inspect.signature(find(name).__init__).parameters.values()}
    for key, value in given.items():
        if key not in known:
            if (
                inspect.Parameter.VAR_KEYWORD in kinds
            ):  # meant for an inner strategy, which is checked in its turn
                continue
            place = f"strategy '{name}'"
            raise UserError(
                f"{place} has no option '{key}'{nearest(key, known)} (known: {', '.join(known) or 'none'})"
            )
        default = known[key]
        wanted = float if default is None else type(default)
        if isinstance(value, bool) != (wanted is bool) or not isinstance(
            value, (wanted, int) if wanted is float else wanted
        ):
            raise UserError(
                f"strategy '{name}': the option '{key}' must be like {default!r}, but is {value!r}"
            )
        if key in ("tau", "period", "roll_call_every") and value < 1:
            raise UserError(f"strategy '{name}': the option '{key}' must be at least 1, but is {value}")


def make(name: str, learner: Learner, **given: Any) -> Strategy:
    """The strategy of that name, driving `learner`. Raises UserError for an unknown name, option or value."""
    check(name, given)
    return find(name)(learner, **given)


@functools.cache
def _known() -> dict[str, type[Strategy]]:
    found: dict[str, type[Strategy]] = {}
    for module in pkgutil.iter_modules(dasr.strategies.__path__):
        if module.name not in NOT_STRATEGIES:
            for strategy in _defined_in(importlib.import_module(f"dasr.strategies.{module.name}")):
                found[strategy.name] = strategy
    return found


def _defined_in(module: ModuleType) -> Iterator[type[Strategy]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__:
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
