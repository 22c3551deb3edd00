"""When each word was said, for the ctm file.

Where a word's *label* lies on the best path says little about time: determinisation moves labels. The tied
states are reliable: each belongs to a phone and one of its HMM states, so the path's states are cut
into phones, which are matched with the words' pronunciations, with optional silence between words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dasr.corpora import tables

if TYPE_CHECKING:
    from dasr.hmm.system import HmmSystem

POSITION = re.compile(r"_[BIES]$")  # Kaldi's word-position marks on phones
Span = tuple[int, int]  # first frame, frame after the last
State = tuple[str, int]  # phone, state within it


@dataclass(frozen=True)
class WordTimes:
    """Cuts paths into words. Without `states` words begin at their labels, which is rough."""

    lexicon: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    states: Sequence[frozenset[State]] = ()  # of each tied state: the phones and states that share it
    silence: frozenset[str] = frozenset({"SIL"})

    def spans(self, words: Sequence[str], emitted: Sequence[int], pdfs: Sequence[int]) -> list[Span]:
        """Frames of each word; `emitted`: the frame of each word's label, the fallback where phones do not
        match."""
        if not words:
            return []
        if self.states and all(word in self.lexicon for word in words):
            phones = self._phones(pdfs)
            matched = self._match(words, phones)
            if matched is not None:
                return matched
        return list(zip(emitted, [*emitted[1:], len(pdfs)], strict=True))

    def _phones(self, pdfs: Sequence[int]) -> list[tuple[frozenset[str], Span]]:
        """The path as phones (the set that it may be, where states are shared) with their frames."""
        phones: list[tuple[frozenset[str], Span]] = []
        begin, here = 0, frozenset[State]()
        for frame, pdf in enumerate(pdfs):
            if frame and pdf == pdfs[frame - 1]:
                continue
            onward = frozenset((p, s) for p, s in self.states[pdf] if any(p == q and s > r for q, r in here))
            if not onward:  # no phone that we may be in goes on with this state: a new phone begins
                if frame:
                    phones.append((frozenset(p for p, _ in here), (begin, frame)))
                begin = frame
                onward = frozenset((p, s) for p, s in self.states[pdf] if s == 0) or self.states[pdf]
            here = onward
        phones.append((frozenset(p for p, _ in here), (begin, len(pdfs))))
        return phones

    def _match(
        self, words: Sequence[str], phones: Sequence[tuple[frozenset[str], Span]]
    ) -> list[Span] | None:
        """Words' frames by a left-to-right match of their pronunciations, or None."""
        # reached[i]: spans of the words so far, when phones[:i] are used up
        reached: dict[int, list[Span]] = {0: []}
        for word in words:
            after: dict[int, list[Span]] = {}
            for used, spans in self._over_silence(reached, phones).items():
                for pronunciation in self.lexicon[word]:
                    end = used + len(pronunciation)
                    if end <= len(phones) and all(
                        phone in phones[used + k][0] for k, phone in enumerate(pronunciation)
                    ):
                        after.setdefault(end, [*spans, (phones[used][1][0], phones[end - 1][1][1])])
            reached = after
        return self._over_silence(reached, phones).get(len(phones))

    def _over_silence(
        self, reached: Mapping[int, list[Span]], phones: Sequence[tuple[frozenset[str], Span]]
    ) -> dict[int, list[Span]]:
        """`reached`, and what is reached from there by skipping silence."""
        wider = dict(reached)
        for index in range(len(phones)):
            if index in wider and phones[index][0] & self.silence:
                wider.setdefault(index + 1, wider[index])
        return wider


def word_times(system: HmmSystem) -> WordTimes:
    """From an HMM system. One that came without a lexicon.txt gives rough times."""
    names = {number: POSITION.sub("", name) for name, number in system.phones.items()}
    transitions = system.transitions
    states: list[set[State]] = [set() for _ in range(transitions.num_pdfs)]
    triples = zip(transitions.pdf_of[1:], transitions.phone_of[1:], transitions.class_of[1:], strict=True)
    for pdf, phone, state in triples:
        states[pdf].add((names[int(phone)], int(state)))
    lexicon: dict[str, list[tuple[str, ...]]] = {}
    for word, *phones in _fields(system.folder / "lexicon.txt"):
        lexicon.setdefault(word, []).append(tuple(POSITION.sub("", phone) for phone in phones))
    silence = frozenset(
        POSITION.sub("", phone) for phone, *_ in _fields(system.folder / "phones" / "silence.txt")
    )
    return WordTimes(lexicon, [frozenset(one) for one in states], silence or frozenset({"SIL"}))


def _fields(path: Path) -> list[list[str]]:
    return [tables.fields(line) for _, line in tables.text_lines(path)] if path.is_file() else []
