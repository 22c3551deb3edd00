"""The Kaldi data directory: read with every check that a user's data needs, and written.

Files: `wav.scp` (recording, audio), `segments` (utterance, recording, begin, end; optional), `text`,
`utt2spk`, `utt2dur` (optional), `feats.scp` (optional). A fault of one utterance rejects that
utterance only.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dasr import checksums
from dasr.corpora import rxfilename
from dasr.corpora.language import RESERVED
from dasr.corpora.rejects import Rejects
from dasr.corpora.tables import fields, read_table
from dasr.errors import UserError


@dataclass(frozen=True, slots=True)
class Entry:
    """One utterance. audio: a file, `archive:offset` or `command |`; begin, end: seconds in it, or None for
    all of it.
    """

    utterance: str
    speaker: str
    words: tuple[str, ...]
    recording: str = ""
    audio: str = ""
    begin: float | None = None
    end: float | None = None
    seconds: float | None = None
    feats: str | None = None


def _optional(path: Path, rejects: Rejects) -> dict[str, str]:
    return read_table(path, rejects) if path.is_file() else {}


def resolve_audio(place: str, folder: Path, allow_pipes: bool) -> tuple[str, str | None]:
    """(absolute form of a wav.scp or feats.scp value, what is wrong with it). Raises UserError for a
    forbidden pipe.

    A relative path is looked for from the working folder, as Kaldi does, then from the data directory.
    """
    found = _parsed(place, folder)
    if isinstance(found, str):
        return place, found
    if found.command is not None:
        if not allow_pipes:
            raise UserError(
                f"{folder}: '{place}' runs a command; set corpus.allow_pipes: true if you trust this corpus"
            )
        return place, None
    assert found.file is not None
    for candidate in (found.file, folder / found.file):
        if candidate.is_file():
            size = candidate.stat().st_size
            absolute = replace(found, file=candidate.resolve())
            return str(absolute), None if size else f"audio file {candidate} is empty"
    if found.file.is_absolute():
        return place, f"audio file {found.file} is missing"
    return place, f"audio file {found.file} is missing (looked for in {Path.cwd()} and in {folder})"


def _parsed(place: str, folder: Path) -> rxfilename.Place | str:
    """What a value of a table names, or why it names nothing."""
    if not place.endswith("|") and (folder / place).is_file():
        return rxfilename.Place(file=Path(place))
    try:
        return rxfilename.parse(place)
    except UserError as error:
        return str(error)


def _segment(value: str) -> tuple[str, float, float | None] | None:
    """(recording, begin, end in seconds); an end of -1 is the recording's end, None."""
    try:
        recording, *times = fields(value)
        begin, end = map(float, times)
    except ValueError:
        return None
    if end == -1 and begin >= 0:
        return sys.intern(recording), begin, None
    return (sys.intern(recording), begin, end) if 0 <= begin < end else None


def read_data_dir(folder: Path, rejects: Rejects, allow_pipes: bool = False) -> list[Entry]:
    """All good utterances of a data directory, sorted by id; the others go to `rejects`. Raises UserError."""
    if not folder.is_dir():
        raise UserError(f"there is no data directory {folder}")
    tables = _Tables(folder, rejects, allow_pipes)
    entries = []
    for name in tables.names():
        found = tables.entry(name)
        if isinstance(found, str):
            rejects.add(name, found)
        elif name not in rejects.reasons:
            entries.append(found)
    return entries


def read_untranscribed(
    folder: Path, rejects: Rejects, allow_pipes: bool = False, scp: str = "wav.scp"
) -> list[Entry]:
    """Utterances of a data directory that needs no `text` and, where each has a speaker of its own, no
    `utt2spk`. Those that cannot be used go to `rejects`. Raises UserError."""
    audio = read_table(folder / scp, rejects)
    segments = _optional(folder / "segments", rejects)
    speakers = _optional(folder / "utt2spk", rejects)
    entries = []
    for name in segments or audio:
        segment = _segment(segments[name]) if segments else (name, None, None)
        if segment is None or segment[0] not in audio:
            why = f"is not 'recording begin end' of a recording in {scp}"
            rejects.add(name, f"{folder / 'segments'}: '{segments[name]}' {why}")
            continue
        place, wrong = resolve_audio(audio[segment[0]], folder, allow_pipes)
        if wrong:
            rejects.add(name, wrong)
        else:
            speaker = speakers.get(name, name)
            entries.append(Entry(name, speaker, (), segment[0], place, segment[1], segment[2]))
    return entries


class _Tables:
    """The files of one data directory, and the joining of their lines.

    Millions of utterances fit into memory: lines are forgotten as they are joined, and words and names that
    come again are one object."""

    def __init__(self, folder: Path, rejects: Rejects, allow_pipes: bool) -> None:
        self.folder, self.allow_pipes = folder, allow_pipes
        self.recordings = Rejects(rejects.stage)  # what is wrong with lines of wav.scp
        self.feats = _optional(folder / "feats.scp", rejects)
        if self.feats:  # then audio is not needed
            self.audio = _optional(folder / "wav.scp", self.recordings)
        else:
            self.audio = read_table(folder / "wav.scp", self.recordings)
        self.text = read_table(folder / "text", rejects)
        self.speakers = read_table(folder / "utt2spk", rejects)
        self.segments = _optional(folder / "segments", rejects)
        self.seconds = _optional(folder / "utt2dur", rejects)
        self._resolved: dict[str, tuple[str, str | None]] = {}

    def names(self) -> list[str]:
        others = self.segments or self.feats or self.audio
        return sorted(self.text if self.text.keys() == others.keys() else {*self.text, *others})

    def entry(self, name: str) -> Entry | str:
        """The utterance, or why it must be rejected; once for each name. Raises UserError for a forbidden
        pipe."""
        line = self.segments.pop(name, None)
        segment = (name, None, None) if line is None else _segment(line)
        text = self.text.pop(name, None)
        if segment is None:
            return f"{self.folder / 'segments'}: '{line}' is not 'recording begin end'"
        recording, begin, end = segment
        if not text:
            return "audio without a transcript" if text is None else "empty transcript"
        audio, wrong = self._audio(recording)
        feats = None
        if name in self.feats:
            feats, wrong = resolve_audio(self.feats[name], self.folder, self.allow_pipes)
        if wrong:
            return wrong
        speaker = fields(self.speakers.get(name, ""))
        if len(speaker) != 1:
            given = f"'{self.speakers.get(name)}' is not one speaker" if speaker else "no speaker"
            return f"{given} in {self.folder / 'utt2spk'}"
        seconds = _number(self.seconds.get(name))
        if seconds is None and begin is not None and end is not None:
            seconds = end - begin
        return Entry(name, speaker[0], self._words(name, text), recording, audio, begin, end, seconds, feats)

    def _words(self, name: str, text: str) -> tuple[str, ...]:
        """Raises UserError for a symbol that no word may be: it is usually in every line."""
        words = tuple(map(sys.intern, fields(text)))
        if odd := next((word for word in words if word in RESERVED), None):
            raise UserError(f"{self.folder / 'text'}: {name}: '{odd}' is a reserved symbol, not a word")
        return words

    def _audio(self, recording: str) -> tuple[str, str | None]:
        """(audio of a recording, empty if it cannot be used, and why)."""
        if recording in self.recordings.reasons:
            return "", self.recordings.reasons[recording]
        if recording not in self.audio:
            return "", f"transcript without audio ({recording} is not in wav.scp)"
        if recording not in self._resolved:
            self._resolved[recording] = resolve_audio(self.audio[recording], self.folder, self.allow_pipes)
        place, wrong = self._resolved[recording]
        return "" if wrong else place, wrong


def _number(text: str | None) -> float | None:
    """Seconds; None for what is no length."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def write_data_dir(folder: Path, entries: Iterable[Entry]) -> None:
    """Write a data directory, sorted as Kaldi wants it, into `folder` (made if need be)."""
    entries = sorted(entries, key=lambda entry: entry.utterance)
    folder.mkdir(parents=True, exist_ok=True)
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        by_speaker[entry.speaker].append(entry.utterance)
    files: dict[str, Iterator[str]] = {
        "wav.scp": (
            f"{r} {a}" for r, a in sorted({e.recording: e.audio for e in entries if e.audio}.items())
        ),
        "text": (f"{e.utterance} {' '.join(e.words)}" for e in entries),
        "utt2spk": (f"{e.utterance} {e.speaker}" for e in entries),
        "spk2utt": (f"{speaker} {' '.join(names)}" for speaker, names in sorted(by_speaker.items())),
    }
    if any(e.begin is not None for e in entries):
        ends = {e.utterance: -1.0 if e.end is None else e.end for e in entries}
        files["segments"] = (
            f"{e.utterance} {e.recording} {e.begin or 0:.10g} {ends[e.utterance]:.10g}" for e in entries
        )
    if any(e.seconds is not None for e in entries):
        files["utt2dur"] = (f"{e.utterance} {e.seconds:.4f}" for e in entries if e.seconds is not None)
    if any(e.feats for e in entries):
        files["feats.scp"] = (f"{e.utterance} {e.feats}" for e in entries if e.feats)
    for name, lines in files.items():
        with open(folder / name, "w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)
    sums = {name: checksums.of_file(folder / name) for name in files}
    checksums.write_manifest(folder, {"num_utterances": len(entries), checksums.FILES: sums})
