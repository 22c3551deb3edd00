"""What is odd about a corpus, found before any hour of work: words, audio, lengths, speakers.

As Kaldi's validate_data_dir, but of the words and the audio too. An oddity does not stop the work (faults
that reject utterances are `datadir`'s); `dasr corpus --strict` stops at one.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dasr.corpora.datadir import Entry
from dasr.corpora.language import Lexicon

HEADERS = 500  # files of a split whose headers are read, evenly over it
COMMONEST = 5  # words that a line names
MANY = 0.01  # of all words: fewer unknown ones are usual
SHORTEST_S, LONGEST_S = 0.1, 60.0  # of usual utterances

Corpus = Mapping[str, Sequence[Entry]]


@dataclass(frozen=True)
class Expected:
    """What the configuration says of the audio."""

    sample_rate: int
    resample: bool


def summary(corpus: Corpus, lexicon: Lexicon) -> Iterator[str]:
    """A line on the utterances of each split, one on the words of all."""
    for split, entries in corpus.items():
        speakers = len({entry.speaker for entry in entries})
        seconds = [entry.seconds for entry in entries if entry.seconds is not None]
        lengths = (
            f", {min(seconds):.1f} to {max(seconds):.1f} s, median {statistics.median(seconds):.1f} s"
            if seconds
            else ""
        )
        hours = sum(seconds) / 3600
        yield f"{split}: {len(entries)} utterances, {speakers} speakers, {hours:.3f} h{lengths}"
    words = Counter(word for entries in corpus.values() for entry in entries for word in entry.words)
    unknown = sum(count for word, count in words.items() if word not in lexicon.words)
    yield (
        f"words: {words.total():,} spoken, {len(words):,} different, {len(lexicon.words):,} in the lexicon; "
        f"{share(unknown, words.total())} spoken are not in it"
    )


def oddities(corpus: Corpus, lexicon: Lexicon, expected: Expected) -> Iterator[str]:
    """One line for each thing that is odd, with what to do."""
    for split, entries in corpus.items():
        yield from _words(split, entries, lexicon)
        yield from _audio(split, entries, expected)
        yield from _lengths(split, entries)
    yield from _speakers(corpus)


def share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.2g} %"


def _words(split: str, entries: Sequence[Entry], lexicon: Lexicon) -> Iterator[str]:
    known = lexicon.words
    spoken = Counter(word for entry in entries for word in entry.words)
    unknown = Counter({word: count for word, count in spoken.items() if word not in known})
    if not unknown or (unknown.total() <= MANY * spoken.total() and split != "train" and lexicon.unknown):
        return
    folded = {word.casefold(): word for word in known}
    other_case = next((w for w, _ in unknown.most_common() if w.casefold() in folded), None)
    commonest = ", ".join(f"{word} ({count})" for word, count in unknown.most_common(COMMONEST))
    fate = f"are aligned as {lexicon.unknown}" if lexicon.unknown else "reject their utterances"
    advice = "add them to the lexicon, or name a word for them in lang/oov.txt"
    if other_case is not None:
        listed = folded[other_case.casefold()]
        advice = f"'{listed}' is in the lexicon, '{other_case}' is not: write both in one case"
    yield (
        f"{split}: {share(unknown.total(), spoken.total())} of the words are not in the lexicon and {fate}: "
        f"{commonest}{', ...' if len(unknown) > COMMONEST else ''}; {advice}"
    )


def _audio(split: str, entries: Sequence[Entry], expected: Expected) -> Iterator[str]:
    files = sorted({entry.audio for entry in entries if not entry.feats and Path(entry.audio).is_file()})
    files = [name for name in files if not name.endswith(".raw")]
    some = files[:: -(-len(files) // HEADERS)] if files else []
    with ThreadPoolExecutor(8) as pool:
        headers = [(name, found) for name, found in zip(some, pool.map(_header, some), strict=True) if found]
    rates = Counter(rate for _, (rate, _) in headers)
    other = {rate: count for rate, count in rates.items() if rate != expected.sample_rate}
    if other and not expected.resample:
        found = ", ".join(
            f"{rate} Hz ({count} of {len(headers)} files)" for rate, count in sorted(other.items())
        )
        yield (
            f"{split}: audio of {found}, but corpus.sample_rate is {expected.sample_rate}: "
            "set corpus.resample: true, or corpus.sample_rate"
        )
    several = [(name, channels) for name, (_, channels) in headers if channels > 1]
    if several:
        name, channels = several[0]
        yield (
            f"{split}: {len(several)} of {len(headers)} files have several channels ({name}: {channels}): "
            "write one channel to each file"
        )


def _header(name: str) -> tuple[int, int] | None:
    """(sample rate, channels) of a file; None for one that has no readable header."""
    import soundfile

    try:
        found = soundfile.info(name)
    except (soundfile.LibsndfileError, OSError):
        return None
    return int(found.samplerate), int(found.channels)


def _lengths(split: str, entries: Sequence[Entry]) -> Iterator[str]:
    timed = [(entry.seconds, entry.utterance) for entry in entries if entry.seconds is not None]
    short = sorted(pair for pair in timed if pair[0] < SHORTEST_S)
    long = sorted((pair for pair in timed if pair[0] > LONGEST_S), reverse=True)
    if short:
        seconds, name = short[0]
        yield f"{split}: {len(short)} utterances are shorter than {SHORTEST_S} s ({name}: {seconds:.3f} s)"
    if long:
        seconds, name = long[0]
        yield (
            f"{split}: {len(long)} utterances are longer than {LONGEST_S:g} s ({name}: {seconds:.0f} s): "
            "cut them with a segments file, if alignment rejects them"
        )


def _speakers(corpus: Corpus) -> Iterator[str]:
    train = {entry.speaker for entry in corpus.get("train", ())}
    for split in ("dev", "test"):
        both = train & {entry.speaker for entry in corpus.get(split, ())}
        if both:
            some = ", ".join(sorted(both)[:COMMONEST])
            yield f"{split}: {len(both)} speakers are in train too ({some}): its error rates are too good"
