"""Classes that users choose by name, with options: those of a package's folder, or `path/to/file.py:Class`.

Strategies and models are found, checked and loaded by this. Names can be listed without importing the modules
(the workflow is parsed without torch). Options are keyword arguments of the constructor, checked against its
annotations: a type, `Literal[...]`, or `Annotated[int, AtLeast(1)]`. `dasr.declarations` checks the same from
the source.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Generic, TypeVar

from dasr.errors import UserError, nearest
from dasr.validation import shown

FILE = ".py:"  # in path/to/file.py:Class
T = TypeVar("T")


@dataclass(frozen=True)
class AtLeast:
    """A bound, to be put beside the type of a number: `Annotated[float, AtLeast(0)]`."""

    bound: float

    def complaint(self, value: Any) -> str:
        return f"must be at least {self.bound}, but is {shown(value)}" if not value >= self.bound else ""


@dataclass(frozen=True)
class AtMost:
    """A bound, to be put beside the type of a number."""

    bound: float

    def complaint(self, value: Any) -> str:
        return f"must be at most {self.bound}, but is {shown(value)}" if not value <= self.bound else ""


@dataclass(frozen=True)
class Readable:
    """Put beside the type of a text that `read` can read, or it raises UserError."""

    read: Callable[[str], object]

    def complaint(self, value: Any) -> str:
        try:
            self.read(value)
        except UserError as error:
            return f"cannot be {shown(value)}: {error}"
        return ""


Positive = Annotated[int, AtLeast(1)]
"""1, 2, 3, ..."""


@dataclass(frozen=True)
class Option:
    """A keyword argument of a constructor."""

    default: Any
    annotation: Any


@functools.cache
def names_in(folder: Path) -> frozenset[str]:
    """What classes of the folder's modules have as `name`, read from their source: nothing is imported."""
    return frozenset(
        name for path in folder.glob("*.py") for _, name in _named_classes(path.read_text(encoding="utf-8"))
    )


def check_name(what: str, name: str, known: frozenset[str]) -> None:
    """Raise UserError, with the nearest of the `known`, where there is no such name and no such file."""
    if FILE in name:
        path = name.rpartition(":")[0]
        if not Path(path).is_file():
            raise UserError(f"no {what} file {path}")
    elif name not in known:
        listed = f"known: {', '.join(sorted(known))}; or path/to/file.py:Class"
        raise UserError(f"no {what} '{name}'{nearest(name, known)} ({listed})")


def title(identity: str) -> str:
    """What tables and runs call it: for `path/to/file.py:Class` the `name` of the class, where it has one."""
    path, _, name = identity.rpartition(":")
    return _title(str(Path(path).resolve()), name) or identity if FILE in identity else identity


@functools.cache
def _title(path: str, of_class: str) -> str:
    try:
        return dict(_named_classes(Path(path).read_text(encoding="utf-8"))).get(of_class, "")
    except (OSError, SyntaxError, ValueError):  # whoever loads it says what is wrong
        return ""


def _named_classes(source: str) -> Iterator[tuple[str, str]]:
    """(class, what it has as `name`)"""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ClassDef):
            for name in class_names(statement):
                yield statement.name, name


def class_names(node: ast.ClassDef) -> Iterator[str]:
    """What stands as `name = ...` in the source of a class."""
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="name")], value=ast.Constant(value=str(name))):
                yield name
            case ast.AnnAssign(target=ast.Name(id="name"), value=ast.Constant(value=str(name))):
                yield name


@dataclass(frozen=True)
class Plugins(Generic[T]):
    """The subclasses of `base` in `package`, each by its class attribute `name`."""

    what: str  # as errors call one: "strategy"
    package: ModuleType
    base: type[T]
    given: int  # arguments that a constructor takes before its options, without self

    def names(self) -> list[str]:
        """All of the package, sorted. Imports its modules."""
        return sorted(self._known())

    def find(self, name: str) -> type[T]:
        """The class of that name, or the one that `path/to/file.py:Class` names. Raises UserError."""
        if FILE in name:
            path, _, wanted = name.rpartition(":")
            return self._from_file(path, wanted, Path(path).resolve())
        known = self._known()
        check_name(self.what, name, frozenset(known))
        return known[name]

    def options(self, name: str) -> dict[str, Option]:
        """Options of that class, those of its base classes included."""
        return self._options(name)[0]

    def check(self, name: str, given: Mapping[str, Any]) -> None:
        """Raise UserError for an option that the class does not have, or a value that it does not take."""
        known, open_ = self._options(name)
        annotations = {key: option.annotation for key, option in known.items()}
        check_options(f"{self.what} '{name}'", given, annotations, open_)

    @functools.cache  # noqa: B019 (there are two objects of this class, for ever)
    def _options(self, name: str) -> tuple[dict[str, Option], bool]:
        """Its options, and whether others are passed on to what is inside it, which checks them."""
        found: dict[str, Option] = {}
        passes_on = False
        for base in inspect.getmro(self.find(name)):
            constructor = vars(base).get("__init__")
            if base is self.base:
                break
            if constructor is None:
                continue
            parameters = list(inspect.signature(constructor).parameters.values())[1 + self.given :]
            try:
                annotations = typing.get_type_hints(constructor, include_extras=True)
            except NameError as error:
                advice = (
                    "what its constructor's annotations name must be imported, not for type checkers alone"
                )
                raise UserError(f"{self.what} '{name}': {error}: {advice}") from None
            for one in parameters:
                if one.kind is not inspect.Parameter.VAR_KEYWORD and one.name not in found:
                    found[one.name] = Option(one.default, annotations.get(one.name, Any))
            passes_on = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
            if not passes_on:
                break
        return found, passes_on

    @functools.cache  # noqa: B019
    def _known(self) -> dict[str, type[T]]:
        path, prefix = self.package.__path__, f"{self.package.__name__}."
        modules = (importlib.import_module(module.name) for module in pkgutil.iter_modules(path, prefix))
        classes = [one for module in modules for one in self._defined_in(module) if hasattr(one, "name")]
        return {one.name: one for one in classes}

    def _defined_in(self, module: ModuleType) -> Iterator[Any]:
        """The subclasses that a module defines: not the base itself, and none that it only imports."""
        for value in vars(module).values():
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            if issubclass(value, self.base) and value is not self.base:
                yield value

    @functools.cache  # noqa: B019
    def _from_file(self, path: str, wanted: str, place: Path) -> type[T]:
        """`place`: the same path, absolute, so that one file is loaded once wherever a process stands."""
        if not Path(path).is_file():
            raise UserError(f"no {self.what} file {path}")
        module_name = f"dasr_{self.what}_{Path(path).stem}"
        spec = importlib.util.spec_from_file_location(module_name, place)
        assert spec is not None and spec.loader is not None
        module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise UserError(
                f"the {self.what} file {path} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        classes: dict[str, type[T]] = {one.__name__: one for one in self._defined_in(module)}
        if wanted not in classes:
            found = f"found: {', '.join(classes) or 'none'}"
            raise UserError(f"{path} defines no {self.what} '{wanted}'{nearest(wanted, classes)} ({found})")
        return classes[wanted]


KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("a text", (str,)),
    type(None): ("null", (type(None),)),
}


def check_options(
    whose: str, given: Mapping[str, Any], annotations: Mapping[str, Any], others: bool = False
) -> None:
    """Raise UserError for an option without an annotation, unless `others` may be given, or a wrong value."""
    for key, value in given.items():
        if key in annotations:
            if complaint := _complaint(value, annotations[key]):
                raise UserError(f"{whose}: the option '{key}' {complaint}")
        elif not others:
            has = f"{nearest(key, annotations)} (known: {', '.join(annotations) or 'none'})"
            raise UserError(f"{whose} has no option '{key}'{has}")


def _complaint(value: Any, annotation: Any) -> str:
    """What is wrong with a value that has to be as annotated; empty if nothing is, or it is not known."""
    if typing.get_origin(annotation) is typing.Literal:
        known = typing.get_args(annotation)
        listed = f"{nearest(str(value), known)} (known: {', '.join(known)})"
        return "" if value in known else f"cannot be {shown(value)}{listed}"
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    alternatives = typing.get_args(annotation) if is_union else (annotation,)
    kinds = [_kind(one) for one in alternatives]
    if any(kind not in KINDS for kind in kinds):
        return ""
    for kind, alternative in zip(kinds, alternatives, strict=True):
        if isinstance(value, KINDS[kind][1]) and (kind is bool or not isinstance(value, bool)):
            marks = typing.get_args(alternative)[1:]  # of Annotated
            return next(filter(None, (mark.complaint(value) for mark in marks)), "")
    return f"must be {' or '.join(KINDS[kind][0] for kind in kinds)}, but is {shown(value)}"


def _kind(annotation: Any) -> Any:
    """The type without what Annotated puts beside it."""
    is_marked = typing.get_origin(annotation) is typing.Annotated
    return typing.get_args(annotation)[0] if is_marked else annotation
