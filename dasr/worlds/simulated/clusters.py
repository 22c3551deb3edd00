"""Descriptions of clusters: links, compute speed, slow and failing learners. Presets, or a YAML/JSON file.

name: my-cluster
learners_per_node: 4
inside: {gbit_s: 2000, latency_us: 5}       # between learners of one node
between: {gbit_s: 25, latency_us: 20}       # a node's uplink, shared by its learners
levels:                                     # above the nodes, if any
- {name: rack, nodes: 16, link: {gbit_s: 100, latency_us: 25}}     # a rack's uplink, shared by its nodes
- {name: site, nodes: 128, link: {gbit_s: 10, latency_us: 5000}}
compute: {fixed_s: 0.003, per_sample_s: 0.0001, jitter: 0.02}
slow: [{rank: 3, factor: 10, from_s: 0, until_s: 60}]
pauses: [{rank: 1, at_s: 5, seconds: 2}]
deaths: [{rank: 2, at_s: 30}]
failures: {learner_hours: 500, restart_s: 60}                       # for `dasr plan`
"""

from __future__ import annotations

import json
import math
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, Strict, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from dasr.files import write_text
from dasr.validation import validated

CHECKED = ConfigDict(extra="forbid", allow_inf_nan=False)
Real = Annotated[float, Strict()]
Whole = Annotated[int, Strict()]
Rank = Annotated[int, Strict(), Field(ge=0, description="of the learner")]
Seconds = Annotated[float, Strict(), Field(ge=0)]
Slowdown = Annotated[float, Strict(), Field(ge=1)]


@dataclass(frozen=True, config=CHECKED)
class Link:
    """A full-duplex link. Zero cost by default."""

    gbit_s: Real = Field(
        default=math.inf, gt=0, allow_inf_nan=True, description="10^9 bits a second, each direction"
    )
    latency_us: Real = Field(
        default=0.0, ge=0, description="microseconds from send to arrival of an empty message"
    )
    burst_bytes: Real = Field(
        default=0.0, ge=0, description="pass at memory speed after the link has been idle (token bucket)"
    )

    @property
    def bytes_s(self) -> float:
        return self.gbit_s * 1e9 / 8

    @property
    def latency_s(self) -> float:
        return self.latency_us * 1e-6

    def seconds(self, size: float) -> float:
        """Time of one message of `size` bytes on the idle link."""
        return self.latency_s + max(0.0, size - self.burst_bytes) / self.bytes_s


@dataclass(frozen=True, config=CHECKED)
class Level:
    """Groups of nodes: racks, sites."""

    name: str = Field(description="of such a group: rack, site")
    nodes: Whole = Field(ge=2, description="in a group; they fill group after group")
    link: Link = Field(
        description="a group's uplink, shared by its nodes; its latency is that from a node of one group to "
        "a node of another"
    )


@dataclass(frozen=True, config=CHECKED)
class Compute:
    """Time of one gradient: fixed_s + per_sample_s x (samples of this learner's local batch)."""

    fixed_s: Seconds = Field(default=0.0, description="seconds a gradient takes, however few the samples")
    per_sample_s: Seconds = Field(default=0.0, description="seconds more for each sample of the local batch")
    forward_fraction: Real = Field(
        default=1 / 3,
        ge=0,
        le=1,
        description="of that time; the rest is backward, which makes the gradient slice by slice",
    )
    jitter: Real = Field(
        default=0.0, ge=0, description="standard deviation of the logarithm of a step's time; its mean stays"
    )

    def seconds(self, samples: float) -> float:
        return self.fixed_s + self.per_sample_s * samples


@dataclass(frozen=True, config=CHECKED)
class Slow:
    """Learner `rank` computes `factor` times slower from `from_s` until `until_s`."""

    rank: Rank
    factor: Real = Field(gt=0, description="so many times longer takes a gradient")
    from_s: Seconds = Field(default=0.0, description="virtual seconds after the start")
    until_s: Real = Field(
        default=math.inf, ge=0, allow_inf_nan=True, description="virtual seconds after the start"
    )

    @model_validator(mode="after")
    def _ends_after_its_begin(self) -> Slow:
        if self.until_s < self.from_s:
            raise ValueError("until_s must not be before from_s")
        return self


@dataclass(frozen=True, config=CHECKED)
class Pause:
    """Learner `rank` stops for a while: it neither computes nor answers; what is on the wire arrives."""

    rank: Rank
    at_s: Seconds = Field(description="virtual seconds after the start")
    seconds: Seconds = Field(description="how long")


@dataclass(frozen=True, config=CHECKED)
class Death:
    """Learner `rank` dies for good."""

    rank: Rank
    at_s: Seconds = Field(description="virtual seconds after the start")


@dataclass(frozen=True, config=CHECKED)
class Failures:
    """How often learners fail, for `dasr plan`; in a simulation only those of `deaths` do."""

    learner_hours: Real = Field(gt=0, description="mean time between failures of one learner, in hours")
    restart_s: Seconds = Field(
        default=60.0, description="seconds until a run, or the learner that is replaced, computes again"
    )


@dataclass(frozen=True, config=CHECKED)
class Measured:
    """What a calibrated description was measured with: the time of a gradient holds for that."""

    model: str = Field(description="whose gradient was timed")
    local_batch: Whole = Field(ge=1, description="samples of that gradient")
    learners: Whole = Field(ge=2, description="that measured at once, on one host")
    max_mb: Real = Field(gt=0, description="largest message that was timed")
    repeats: Whole = Field(ge=1, description="of each measurement")
    parameters: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None, description="of that model; without a value the time of a gradient was given"
    )
    device: str = Field(default="cpu", description="cpu or cuda")
    host: str = Field(default="", description="where")
    date: str = Field(default="", description="when")

    def __str__(self) -> str:
        """In words: what the time of a gradient is that of."""
        size = f" ({self.parameters:,} parameters)" if self.parameters else ""
        return f"{self.model}{size}, {self.local_batch} samples a gradient"


@dataclass(frozen=True, config=CHECKED)
class Cluster:
    """Where learners live. Ranks fill node after node."""

    name: str = Field(default="ideal", description="as tables and figures show it")
    learners_per_node: Whole = Field(default=1, ge=1, description="ranks fill node after node")
    own_links: Annotated[bool, Strict()] = Field(
        default=False,
        description="each learner has a link of its own (`inside`) for all its traffic; nodes only group",
    )
    inside: Link = Field(default=Link(), description="between learners of one node")
    between: Link = Field(default=Link(), description="a node's uplink, shared by its learners")
    levels: tuple[Level, ...] = Field(
        default=(), description="groups of nodes with uplinks of their own, small ones first: racks, sites"
    )
    collectives: Link | None = Field(
        default=None, description="what one hop of a collective sees, where that differs from a message"
    )
    flow_contention: Slowdown = Field(
        default=1.0,
        description="so many times longer takes a message that shares a link with others (TCP flows)",
    )
    all_reduce: Literal["ring", "hierarchical", "best"] = Field(
        default="best", description="ring, hierarchical (nodes first), or the better of both"
    )
    detect_s: Seconds = Field(default=1.0, description="seconds from a learner's death until others notice")
    store_us: Real = Field(
        default=0.0, ge=0, description="microseconds of a question to the shared store (count, roll call)"
    )
    store_busy_us: Annotated[Real, Field(ge=0)] | None = Field(
        default=None,
        description="the same while messages fill the asker's link; without a value there is no difference",
    )
    compute_slowdown: Slowdown = Field(
        default=1.0,
        description="so many times longer takes a gradient while bytes pass on its learner's link, "
        "where both share a processor",
    )
    compute_slowdown_jitter: Real = Field(
        default=0.0, ge=0, description="standard deviation of that delay, as a multiple of its mean"
    )
    message_slowdown: Slowdown = Field(
        default=1.0, description="so many times longer takes a message while one of its ends computes"
    )
    compute: Compute = Field(default=Compute(), description="the time of a gradient")
    slow: tuple[Slow, ...] = Field(default=(), description="learners that are slow for a while")
    pauses: tuple[Pause, ...] = Field(default=(), description="learners that stop for a while")
    deaths: tuple[Death, ...] = Field(default=(), description="learners that die")
    failures: Failures | None = Field(default=None, description="how often learners fail, for `dasr plan`")
    measured: Annotated[
        Measured | None,
        Field(description="what `dasr calibrate` measured it with: the defaults of a simulation"),
    ] = field(default=None, compare=False)
    note: Annotated[str, Field(description="where the numbers come from")] = field(default="", compare=False)

    @model_validator(mode="after")
    def _levels_are_of_whole_groups(self) -> Cluster:
        below = 1
        for level in self.levels:
            if level.nodes % below or level.nodes == below:
                raise ValueError(f"a {level.name} of {level.nodes} nodes is not several times {below}")
            below = level.nodes
        if self.levels and (self.own_links or self.collectives or self.flow_contention > 1):
            raise ValueError("levels do not go with own_links, collectives or flow_contention")
        return self

    def nodes(self, learners: int) -> tuple[int, ...]:
        """The node of each of so many learners."""
        return tuple(rank // self.learners_per_node for rank in range(learners))


def from_dict(given: Any, where: str = "description") -> Cluster:
    """A cluster from plain values; missing ones keep their defaults. Raises UserError."""
    return validated(Cluster, given, where)


def save(cluster: Cluster, path: Path | str) -> None:
    """Write what differs from the defaults, as YAML (or JSON where the name ends in .json), atomically."""
    differs = TypeAdapter(Cluster).dump_python(cluster, mode="json", exclude_defaults=True)
    plain = {"name": cluster.name, **differs}
    as_json = str(path).endswith(".json")
    write_text(
        path, json.dumps(plain, indent=2) + "\n" if as_json else yaml.safe_dump(plain, sort_keys=False)
    )
