"""Every strategy by name. A file put into this folder is found; another one is `path/to/file.py:Class`."""

from __future__ import annotations

import inspect
from typing import Any

import dasr.strategies
from dasr.plugins import Option, Plugins
from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner

__all__ = ["Option", "check", "find", "make", "names", "options", "sources"]

_PLUGINS: Plugins[Strategy] = Plugins("strategy", dasr.strategies, Strategy, given=1)  # the learner

names, find, options, check = _PLUGINS.names, _PLUGINS.find, _PLUGINS.options, _PLUGINS.check


def sources(name: str) -> dict[str, str]:
    """Where the defaults of its options are from."""
    found: dict[str, str] = {}
    for base in reversed(inspect.getmro(find(name))):
        found |= vars(base).get("sources", {})
    return found


def make(name: str, learner: Learner, **given: Any) -> Strategy:
    """The strategy of that name, driving `learner`. Raises UserError for an unknown name, option or value."""
    check(name, given)
    return find(name)(learner, **given)
