"""Clusters known by name; `load` also reads a file that describes one.

Compute times are those of the paper's 43M-parameter BLSTM (preset `swb2000`). H100/H200: fitted to two
measured points of the captured step, 256 chunks in 7.0 ms, 2,560 in 46 ms. V100: the authors' 192 hours for
16 epochs of 33.9 M chunks on one GPU, hence 1.27 ms a chunk, all of it a sample's. Link rates are the nominal
ones of each technology, less 8 % for headers; latencies are typical, not measured.
"""

from __future__ import annotations

from pathlib import Path

from dasr.errors import UserError, nearest
from dasr.validation import read_yaml
from dasr.worlds.simulated.clusters import Cluster, Compute, Level, Link, from_dict

_H100 = Compute(fixed_s=0.0027, per_sample_s=1.69e-5, jitter=0.02)
_V100 = Compute(per_sample_s=1.274e-3, jitter=0.02)
_NVLINK = Link(gbit_s=2400, latency_us=6)
_LOOPBACK = Link(gbit_s=16, latency_us=60)


def _ethernet(gbit_s: float, latency_us: float, name: str) -> Cluster:
    return Cluster(
        name=name,
        inside=Link(gbit_s=200, latency_us=6),
        between=Link(gbit_s=0.92 * gbit_s, latency_us=latency_us),
        store_us=2 * latency_us,
        compute=_H100,
        note="one learner a node; set learners_per_node in a file for more",
    )


PRESETS: dict[str, Cluster] = {
    cluster.name: cluster
    for cluster in (
        Cluster(
            name="ideal",
            note="equal learners, a network that costs nothing; compute takes one second",
            compute=Compute(fixed_s=1.0),
        ),
        Cluster(
            name="nvlink-host",
            learners_per_node=8,
            inside=_NVLINK,
            between=Link(gbit_s=368, latency_us=10),
            store_us=50,
            compute=_H100,
            note="8 GPUs a host on NVLink, hosts on 400 Gbit/s",
        ),
        _ethernet(100, 15, "ethernet-100g"),
        _ethernet(25, 20, "ethernet-25g"),
        _ethernet(10, 30, "ethernet-10g"),
        _ethernet(1, 60, "ethernet-1g"),
        Cluster(
            name="paper",
            learners_per_node=8,
            inside=Link(gbit_s=400, latency_us=8),
            between=Link(gbit_s=92, latency_us=15),
            store_us=50,
            compute=_V100,
            note="8 V100 a node, nodes on 100 Gbit/s Ethernet (arXiv 1907.05701)",
        ),
        Cluster(
            name="three-sites",
            learners_per_node=8,
            inside=_NVLINK,
            between=Link(gbit_s=368, latency_us=10),
            levels=(
                Level("rack", 8, Link(gbit_s=736, latency_us=20)),
                Level("site", 176, Link(gbit_s=92, latency_us=10_000)),
            ),
            store_us=50,
            compute=_H100,
            note="as nvlink-host; racks of 8 nodes on 800 Gbit/s, sites of 176 on 100, 10 ms apart",
        ),
        Cluster(
            name="loopback",
            learners_per_node=1_000_000,
            inside=_LOOPBACK,
            between=_LOOPBACK,
            all_reduce="ring",
            store_us=100,
            compute=Compute(fixed_s=0.05),
            compute_slowdown=1.5,
            note="processes on one host, gloo over loopback; typical values, `dasr calibrate` measures yours",
        ),
    )
}


def load(name_or_file: str | Path) -> Cluster:
    """A preset by name, or a description in a YAML or JSON file. Raises UserError."""
    if str(name_or_file) in PRESETS:
        return PRESETS[str(name_or_file)]
    path = Path(name_or_file)
    if not path.is_file():
        raise UserError(
            f"no cluster '{name_or_file}'{nearest(str(name_or_file), PRESETS)} "
            f"(presets: {', '.join(PRESETS)}; or a file)"
        )
    return from_dict(read_yaml(path), str(path))  # JSON is YAML
