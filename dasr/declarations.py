"""Options of strategies and models as their source declares them: nothing is imported.

So a misspelt option, or a value that it does not take, is refused while the workflow is parsed,
without torch.
An annotation is understood if it is made of Python's own types, `Literal`, `Annotated`, the names of
`vocabulary` and those that its module gives to such types. Any other takes every value here, and is checked
with the class, by `dasr.plugins`, in the workflow's first job.
"""

from __future__ import annotations

import ast
import functools
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dasr.errors import UserError, nearest
from dasr.plugins import FILE, AtLeast, AtMost, Positive, Readable, check_name, class_names, names_in

BUILT_IN: dict[str, Any] = {
    **{kind.__name__: kind for kind in (int, float, str, bool, AtLeast, AtMost, Readable)},
    **{name: getattr(typing, name) for name in ("Annotated", "Literal", "Optional", "Union")},
    "Positive": Positive,
}


@dataclass(frozen=True)
class Declared:
    """What a constructor takes besides what it is always given."""

    annotations: Mapping[str, Any]
    defaults: Mapping[str, Any]  # those that are written as constants
    others: bool  # it passes on what it does not name, to what cannot be found by reading


@dataclass(frozen=True)
class _Class:
    node: ast.ClassDef
    aliases: Mapping[str, ast.expr]  # what its module calls by another name

    @property
    def constructor(self) -> ast.FunctionDef | None:
        found = (one for one in self.node.body if isinstance(one, ast.FunctionDef))
        return next((one for one in found if one.name == "__init__"), None)


@dataclass(frozen=True)
class Declarations:
    """The classes of a folder's modules, which derive from the one called `base`."""

    what: str  # as errors call one: "strategy"
    folder: Path
    base: str
    given: int  # arguments that a constructor takes before its options, without self
    vocabulary: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def of(self, name: str) -> Declared:
        """The options of the class of that name, or of `path/to/file.py:Class`. Raises UserError."""
        check_name(self.what, name, names_in(self.folder))
        known = _classes_in(self.folder)
        if FILE not in name:
            return self._of(next(one for one in known.values() if name in class_names(one.node)), known)
        path, _, wanted = name.rpartition(":")
        own = self._own(Path(path))
        if wanted not in own:
            found = f"found: {', '.join(own) or 'none'}"
            raise UserError(f"{path} defines no {self.what} '{wanted}'{nearest(wanted, own)} ({found})")
        return self._of(own[wanted], {**known, **own})

    def _own(self, path: Path) -> dict[str, _Class]:
        try:
            return dict(_classes(path))
        except SyntaxError as error:
            raise UserError(f"the {self.what} file {path}, line {error.lineno}: {error.msg}") from None
        except (OSError, ValueError) as error:
            raise UserError(f"the {self.what} file {path} cannot be read: {error}") from None

    def _of(self, one: _Class, known: Mapping[str, _Class]) -> Declared:
        annotations: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        passes_on = False
        while True:
            constructor = one.constructor
            if constructor is not None:
                for argument, default in _arguments(constructor, 1 + self.given):
                    if argument.arg not in annotations:
                        annotations[argument.arg] = self._annotation(argument, one.aliases)
                        if isinstance(default, ast.Constant):
                            defaults[argument.arg] = default.value
                passes_on = constructor.args.kwarg is not None
                if not passes_on:
                    break
            bases = [_last_name(base) for base in one.node.bases]
            if bases == [self.base]:
                break
            if len(bases) != 1 or bases[0] not in known:
                passes_on = True
                break
            one = known[bases[0]]
        return Declared(annotations, defaults, passes_on)

    def _annotation(self, argument: ast.arg, aliases: Mapping[str, ast.expr]) -> Any:
        if argument.annotation is None or isinstance(argument.annotation, ast.Constant):
            return Any
        try:
            return _evaluated(argument.annotation, {**BUILT_IN, **self.vocabulary, **aliases})
        except (LookupError, TypeError, ValueError, RecursionError):
            return Any


@functools.cache
def _classes_in(folder: Path) -> dict[str, _Class]:
    return {name: one for path in sorted(folder.glob("*.py")) for name, one in _classes(path)}


def _classes(path: Path) -> Iterator[tuple[str, _Class]]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    aliases = {
        one.targets[0].id: one.value
        for one in body
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
    }
    for one in body:
        if isinstance(one, ast.ClassDef):
            yield one.name, _Class(one, aliases)


def _arguments(constructor: ast.FunctionDef, before: int) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """The arguments that are options, each with its default."""
    takes = constructor.args
    plain = [*takes.posonlyargs, *takes.args]
    defaults = [*[None] * (len(plain) - len(takes.defaults)), *takes.defaults]
    yield from list(zip(plain, defaults, strict=True))[before:]
    yield from zip(takes.kwonlyargs, takes.kw_defaults, strict=True)


def _last_name(node: ast.expr) -> str:
    """`Strategy` of `Strategy` and of `base.Strategy`; of other expressions nothing."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _evaluated(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The type that an expression stands for. Raises LookupError for one that is not understood."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) | ast.Attribute(attr=name):
            found = names[name]
            return _evaluated(found, names) if isinstance(found, ast.expr) else found
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluated(operand, names)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _evaluated(left, names) | _evaluated(right, names)
        case ast.Tuple(elts=parts):
            return tuple(_evaluated(part, names) for part in parts)
        case ast.Subscript(value=whole, slice=inside):
            return _evaluated(whole, names)[_evaluated(inside, names)]
        case ast.Call(func=function, args=arguments, keywords=[]):
            return _evaluated(function, names)(*(_evaluated(one, names) for one in arguments))
    raise LookupError(ast.dump(node))
