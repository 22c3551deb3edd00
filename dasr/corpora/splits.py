"""Choices over whole speakers, all deterministic: the held-out dev set, a limited trial, balanced shards."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence

from dasr.corpora.datadir import Entry
from dasr.errors import UserError


def by_speaker(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Speakers in order of their ids, each with its utterances in order."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.utterance):
        found[entry.speaker].append(entry)
    return dict(sorted(found.items()))


def hold_out(entries: Sequence[Entry], num_speakers: int) -> tuple[list[Entry], list[Entry]]:
    """(train, dev): `num_speakers` spread evenly over the sorted speakers are dev. Raises UserError if too
    few remain.

    Ids often begin with the sex or the collection site, so evenly spread is also balanced.
    """
    speakers = list(by_speaker(entries))
    if len(speakers) <= num_speakers:
        raise UserError(
            f"corpus.dev_speakers is {num_speakers}, but train has only {len(speakers)} speakers; lower it"
        )
    chosen = {
        speakers[(2 * index + 1) * len(speakers) // (2 * num_speakers)] for index in range(num_speakers)
    }
    return [e for e in entries if e.speaker not in chosen], [e for e in entries if e.speaker in chosen]


def limit(entries: Sequence[Entry], most: int | None) -> list[Entry]:
    """At most that many utterances, taken in turn from each speaker (its first, then its second...)."""
    if most is None or len(entries) <= most:
        return list(entries)
    ranked = [(turn, e) for mine in by_speaker(entries).values() for turn, e in enumerate(mine)]
    ranked.sort(key=lambda pair: (pair[0], pair[1].speaker))
    return sorted((entry for _, entry in ranked[:most]), key=lambda entry: entry.utterance)


def shards(entries: Sequence[Entry], count: int, split: str) -> list[list[Entry]]:
    """`count` lists of whole speakers of nearly equal length in seconds. Raises UserError if speakers are
    fewer.

    The longest speaker goes first, each to the shard that is shortest so far. Where an utterance's length is
    unknown its words stand for seconds.
    """
    groups = by_speaker(entries)
    if len(groups) < count:
        raise UserError(
            f"features.shards.{split} is {count}, but {split} has only {len(groups)} speakers; lower it"
        )
    timed = all(entry.seconds is not None for entry in entries)
    weights = {
        s: sum((e.seconds or 0) if timed else 1 + len(e.words) for e in mine) for s, mine in groups.items()
    }
    heap = [(0.0, index) for index in range(count)]
    parts: list[list[Entry]] = [[] for _ in range(count)]
    for speaker in sorted(groups, key=lambda s: (-weights[s], s)):
        weight, index = heapq.heappop(heap)
        parts[index] += groups[speaker]
        # An empty shard is never left behind a speaker without length.
        heapq.heappush(heap, (weight + max(weights[speaker], 1e-6), index))
    return parts
