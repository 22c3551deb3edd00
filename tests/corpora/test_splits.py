"""Speakers dealt to splits and shards."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_test
from hypothesis import strategies as st

from dasr.corpora import splits
from dasr.corpora.command import make
from dasr.corpora.datadir import Entry
from dasr.errors import UserError
from tests.corpora.test_an4 import AN4
from tests.support.corpora import config, table


def test_the_limit_takes_utterances_from_as_many_speakers_as_it_can(tmp_path: Path) -> None:
    make(config(tmp_path, path=str(AN4), limit=70))
    utt2spk = table(tmp_path / "corpus" / "train" / "utt2spk")
    assert len(utt2spk) == 70 and len(set(utt2spk.values())) == 66
    assert len(table(tmp_path / "corpus" / "test" / "text")) == 70


@given(
    lengths=st.lists(st.lists(st.floats(0.1, 20), min_size=1, max_size=6), min_size=1, max_size=20),
    count=st.integers(1, 8),
)
@settings_of_test(max_examples=40, deadline=None)
def test_shards_partition_speakers_and_none_is_empty(lengths: list[list[float]], count: int) -> None:
    entries = [
        Entry(f"s{s}-{u}", f"s{s}", ("A",), seconds=x)
        for s, mine in enumerate(lengths)
        for u, x in enumerate(mine)
    ]
    if len(lengths) < count:
        with pytest.raises(UserError):
            splits.shards(entries, count, "train")
        return
    parts = splits.shards(entries, count, "train")
    assert all(parts) and sorted(e.utterance for p in parts for e in p) == sorted(
        e.utterance for e in entries
    )
    assert sum(len({e.speaker for e in part}) for part in parts) == len(lengths)
    # Longest-first greedy: no shard exceeds the lightest by more than one speaker.
    totals = [sum(e.seconds or 0 for e in part) for part in parts]
    assert max(totals) - min(totals) <= max(sum(mine) for mine in lengths) + 1e-6
