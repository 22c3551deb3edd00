"""Descriptions of clusters: links, compute speed, slow and failing learners. Presets, or a YAML/JSON file.

name: my-cluster
learners_per_node: 4
inside: {gbit_s: 2000, latency_us: 5}       # between learners of one node
between: {gbit_s: 25, latency_us: 20}       # a node's uplink, shared by its learners
compute: {fixed_s: 0.003, per_sample_s: 0.0001, jitter: 0.02}
slow: [{rank: 3, factor: 10, from_s: 0, until_s: 60}]
pauses: [{rank: 1, at_s: 5, seconds: 2}]
deaths: [{rank: 2, at_s: 30}]
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dasr.errors import UserError, nearest
from dasr.files import write_text


@dataclass(frozen=True)
class Link:
    """A full-duplex link. Zero cost by default."""

    gbit_s: float = math.inf  # 10^9 bits a second, each direction
    latency_us: float = 0.0  # from send to arrival of an empty message
    burst_bytes: float = 0.0  # passes at memory speed after the link has been idle (token bucket)

    @property
    def bytes_s(self) -> float:
        return self.gbit_s * 1e9 / 8

    @property
    def latency_s(self) -> float:
        return self.latency_us * 1e-6

    def seconds(self, size: float) -> float:
        """Time of one message of `size` bytes on the idle link."""
        return self.latency_s + max(0.0, size - self.burst_bytes) / self.bytes_s


@dataclass(frozen=True)
class Compute:
    """Time of one gradient: fixed_s + per_sample_s x (samples of this learner's local batch)."""

    fixed_s: float = 0.0
    per_sample_s: float = 0.0
    forward_fraction: float = (
        1 / 3
    )  # of that time; the rest is backward, which makes the gradient slice by slice
    jitter: float = 0.0  # standard deviation of the logarithm of a step's time; its mean stays

    def seconds(self, samples: float) -> float:
        return self.fixed_s + self.per_sample_s * samples


@dataclass(frozen=True)
class Slow:
    """Learner `rank` computes `factor` times slower from `from_s` until `until_s`."""

    rank: int
    factor: float
    from_s: float = 0.0
    until_s: float = math.inf


@dataclass(frozen=True)
class Pause:
    """Learner `rank` stops for a while: it neither computes nor answers; what is on the wire arrives."""

    rank: int
    at_s: float
    seconds: float


@dataclass(frozen=True)
class Death:
    """Learner `rank` dies for good."""

    rank: int
    at_s: float


@dataclass(frozen=True)
class Cluster:
    """Where learners live. Ranks fill node after node."""

    name: str = "ideal"
    learners_per_node: int = 1
    own_links: bool = (
        False  # each learner has a link of its own (`inside`) for all its traffic; nodes only group
    )
    inside: Link = Link()
    between: Link = Link()
    collectives: Link | None = None  # what one hop of a collective sees, where that differs from a message
    crowding: float = 1.0  # so many times longer takes a message that shares a link with others (TCP flows)
    all_reduce: str = "best"  # ring, hierarchical (nodes first), or the better of both
    detect_s: float = 1.0  # from a learner's death until others notice
    store_us: float = 0.0  # a question to the shared store (count, roll call)
    store_busy_us: float | None = None  # the same while messages fill the asker's link (None: no difference)
    drag: float = 1.0  # so many times longer takes a gradient while bytes pass on its learner's link
    drag_jitter: float = 0.0  # standard deviation of that delay, as a multiple of its mean
    stretch: float = 1.0  # so many times longer takes a message while one of its ends computes
    compute: Compute = Compute()
    slow: tuple[Slow, ...] = ()
    pauses: tuple[Pause, ...] = ()
    deaths: tuple[Death, ...] = ()
    note: str = field(default="", compare=False)  # where the numbers come from

    def nodes(self, learners: int) -> tuple[int, ...]:
        return tuple(rank // self.learners_per_node for rank in range(learners))

    def check(self, where: str) -> Cluster:
        """Itself, or a UserError that names the first value that makes no sense."""
        wrong = [
            (self.crowding < 1, "crowding must be at least 1"),
            (min(self.drag, self.stretch) < 1, "drag and stretch must be at least 1"),
            (self.learners_per_node < 1, "learners_per_node must be at least 1"),
            (
                self.all_reduce not in ("ring", "hierarchical", "best"),
                "all_reduce must be ring, hierarchical or best",
            ),
            (min(self.inside.gbit_s, self.between.gbit_s) <= 0, "gbit_s must be positive"),
            (min(self.inside.latency_us, self.between.latency_us) < 0, "latency_us must not be negative"),
            (
                min(self.compute.fixed_s, self.compute.per_sample_s, self.compute.jitter) < 0,
                "compute: no value may be negative",
            ),
            (not 0 <= self.compute.forward_fraction <= 1, "compute.forward_fraction must be between 0 and 1"),
            (
                any(s.factor <= 0 or s.until_s < s.from_s for s in self.slow),
                "slow: factor must be positive, from_s before until_s",
            ),
            (any(p.seconds < 0 for p in self.pauses), "pauses: seconds must not be negative"),
        ]
        for is_wrong, text in wrong:
            if is_wrong:
                raise UserError(f"cluster {where}: {text}")
        return self


def load(name_or_file: str | Path) -> Cluster:
    """A preset by name, or a description in a YAML or JSON file. Raises UserError."""
    from dasr.worlds.simulated.presets import PRESETS

    if str(name_or_file) in PRESETS:
        return PRESETS[str(name_or_file)]
    path = Path(name_or_file)
    if not path.is_file():
        raise UserError(
            f"no cluster '{name_or_file}'{nearest(str(name_or_file), PRESETS)} "
            f"(presets: {', '.join(PRESETS)}; or a file)"
        )
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML or JSON: {' '.join(str(error).split())}") from None
    return from_dict(given, str(path))


def from_dict(given: Any, where: str = "description") -> Cluster:
    """A cluster from plain values; missing ones keep their defaults. Raises UserError naming unknown keys."""
    cluster = _build(Cluster, given, where)
    assert isinstance(cluster, Cluster)
    return cluster.check(where)


def save(cluster: Cluster, path: Path | str) -> None:
    """Write the description atomically, as YAML (or JSON where the name ends in .json)."""
    plain = json.loads(json.dumps(_plain(cluster)))
    as_json = str(path).endswith(".json")
    write_text(
        path, json.dumps(plain, indent=2) + "\n" if as_json else yaml.safe_dump(plain, sort_keys=False)
    )


def _plain(value: Any) -> Any:
    """Only what differs from the defaults, so that files stay short."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    given = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
    return {f.name: _plain(v) for f, v in given if v != f.default or f.name == "name"}


_PARTS = {
    "inside": Link,
    "between": Link,
    "collectives": Link,
    "compute": Compute,
    "slow": Slow,
    "pauses": Pause,
    "deaths": Death,
}


def _build(kind: Any, given: Any, where: str) -> Any:
    if not isinstance(given, dict):
        raise UserError(f"{where} must be a mapping, but is a {type(given).__name__}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in fields:
            raise UserError(f"{where}: unknown key '{key}'{nearest(str(key), fields)}")
        values[key] = _convert(key, value, str(fields[key].type), f"{where}: {key}")
    missing = [n for n, f in fields.items() if n not in values and f.default is dataclasses.MISSING]
    if missing:
        raise UserError(f"{where}: the key '{missing[0]}' is missing")
    return kind(**values)


def _convert(key: str, value: Any, annotation: str, where: str) -> Any:
    if annotation.startswith("tuple"):
        if not isinstance(value, list):
            raise UserError(f"{where} must be a list")
        return tuple(_build(_PARTS[key], item, f"{where}[{i}]") for i, item in enumerate(value))
    if key in _PARTS:
        return _build(_PARTS[key], value, where)
    if annotation == "str":
        return str(value)
    if annotation == "bool":
        if not isinstance(value, bool):
            raise UserError(f"{where} must be true or false, but is {value!r}")
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UserError(f"{where} must be a number, but is {value!r}") from None
    return int(number) if annotation == "int" else number
