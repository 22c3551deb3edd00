"""config.yaml: read, checked against the schema, defaults filled in; and the list of runs it asks for."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dasr.errors import UserError, nearest

SCHEMA = Path(__file__).resolve().parent.parent / "workflow" / "schemas" / "config.schema.yaml"
Config = dict[str, Any]


def load(path: Path | str) -> Config:
    """The configuration in the YAML file at `path`, validated, defaults filled in. Raises UserError."""
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UserError(f"cannot read the config {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    return complete(given, str(path))


def complete(given: Any, where: str = "config") -> Config:
    """Check `given` against the schema, fill in defaults. Raises UserError with the nearest key."""
    import jsonschema

    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    if not isinstance(given, dict):
        raise UserError(f"{where} must be a mapping of sections, but is a {type(given).__name__}")
    filled: Config = _fill(given, schema)
    for error in sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(filled), key=lambda e: list(e.path)
    ):
        place = ".".join(str(part) for part in error.path) or "top level"
        if error.validator == "additionalProperties":
            known = error.schema["properties"]
            unknown = sorted(set(error.instance) - set(known))[0]
            raise UserError(f"{where}: unknown key '{unknown}' at {place}{nearest(unknown, known)}")
        raise UserError(f"{where}: {place}: {error.message}")
    return filled


def _fill(given: Any, schema: dict[str, Any]) -> Any:
    if isinstance(given, list) and "items" in schema:
        return [_fill(item, schema["items"]) for item in given]
    if isinstance(given, str) and "string" not in schema.get("type", "string"):
        return _number(given)
    if not isinstance(given, dict) or "properties" not in schema:
        return given
    filled = dict(given)
    for key, sub in schema["properties"].items():
        if key not in filled and "default" in sub:
            filled[key] = json.loads(json.dumps(sub["default"]))
        if key in filled:
            filled[key] = _fill(filled[key], sub)
    return filled


def _number(text: str) -> Any:
    """What the text says as YAML: Snakemake's --config leaves numbers inside brackets as text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


@dataclass(frozen=True)
class Run:
    """One training run of a comparison: what differs between runs, and its name (a folder's, a job's)."""

    strategy: str
    options: tuple[tuple[str, Any], ...]
    learners: int
    batch: int  # chunks a step of all learners together
    seed: int

    @property
    def label(self) -> str:
        """The strategy with the options that were given, as tables and figures show it."""
        return self.strategy + "".join(f"-{key}={value}" for key, value in self.options)

    @property
    def name(self) -> str:
        return re.sub(r"[^\w.=-]", "_", f"{self.label}-L{self.learners}-B{self.batch}-S{self.seed}")


def runs(config: Config) -> list[Run]:
    """Every run of the comparison; `single` has one learner whatever the list says."""
    return list(dict.fromkeys(_runs(config["comparison"])))


def _runs(comparison: Config) -> Iterator[Run]:
    for entry in comparison["strategies"]:
        options = dict(entry) if isinstance(entry, dict) else {"strategy": entry}
        if "strategy" not in options:
            raise UserError(f"comparison.strategies: the entry {entry} lacks the key 'strategy'")
        strategy = str(options.pop("strategy"))
        settings = itertools.product(comparison["learners"], comparison["batch"], comparison["seeds"])
        for learners, batch, seed in settings:
            learners = 1 if strategy == "single" else learners
            yield Run(strategy, tuple(sorted(options.items())), learners, batch, seed)


def find_run(config: Config, name: str) -> Run:
    """The run of that name. Raises UserError naming the nearest."""
    known = {run.name: run for run in runs(config)}
    if name not in known:
        some = ", ".join([*known][:8]) + (", ..." if len(known) > 8 else "")
        raise UserError(f"no run '{name}' in this comparison{nearest(name, known)} (known: {some})")
    return known[name]
