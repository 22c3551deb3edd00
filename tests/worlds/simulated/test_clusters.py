"""Descriptions of clusters: what is written is read again, and a mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.worlds.simulated import presets


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("inside: {gbits: 3}", r"unknown key 'gbits' at inside; did you mean 'gbit_s'"),
        ("learner_per_node: 3", r"did you mean 'learners_per_node'"),
        ("slow: [{rank: 1}]", r"slow.0: the key 'factor' is missing"),
        ("between: {gbit_s: fast}", r"between.gbit_s: 'fast' is not a number"),
        ("between: {gbit_s: 0}", r"between.gbit_s: 0 must be above 0"),
        ("all_reduce: rin", r"all_reduce: 'rin' is not one of ring, hierarchical, best; did you mean 'ring'"),
        ("compute: {fixed_s: .nan}", r"compute.fixed_s: nan is"),
        ("compute: {fixed_s: .inf}", r"compute.fixed_s: inf is"),
        ("compute_slowdown: 0.5", r"compute_slowdown: 0.5 is below the minimum of 1"),
        ("message_slowdwn: 2", r"did you mean 'message_slowdown'"),
        ("slow: [{rank: 1, factor: 2, from_s: 3, until_s: 1}]", r"slow.0: until_s must not be before from_s"),
        (
            "levels: [{name: rack, nodes: 4, link: {}}, {name: site, nodes: 6, link: {}}]",
            "site of 6 nodes is not",
        ),
        ("levels: [{name: rack, nodes: 4, link: {}}]\nown_links: true", "levels do not go with own_links"),
        ("learners_per_node: 2\nname: x\nlearners_per_node: 3", r"given twice, in lines 1 and 3"),
        ("[1, 2", r"not YAML"),
    ],
)
def test_a_mistake_in_a_description_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        presets.load(tmp_path / "c.yaml")
