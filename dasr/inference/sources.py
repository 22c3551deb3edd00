"""What a user gives to be transcribed: audio files, folders of them, a wav.scp, or a Kaldi data directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dasr.corpora.datadir import Entry, read_untranscribed
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".sph")


def entries(
    sources: Sequence[Path], rejects: Rejects, allow_pipes: bool = False, speaker_a_folder: bool = False
) -> list[Entry]:
    """Every utterance, sorted by speaker and id. Raises UserError where there is none, or two have one id.

    A file's id is its name without suffix, with its folders below the folder that was given. Without utt2spk
    each file is a speaker, or each folder with `speaker_a_folder`."""
    found: list[Entry] = []
    for source in sources:
        if source.is_file() and source.suffix == ".scp":
            found += read_untranscribed(source.parent, rejects, allow_pipes, source.name)
        elif (source / "wav.scp").is_file():
            found += read_untranscribed(source, rejects, allow_pipes)
        elif source.is_dir():
            files = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
            found += (_of_file(path, source, speaker_a_folder) for path in files)
        elif source.is_file():
            found.append(_of_file(source, source.parent, speaker_a_folder))
        else:
            raise UserError(f"there is no file or folder {source}")
    if not found and not rejects:
        raise UserError(f"no audio in {', '.join(map(str, sources))} (known: {' '.join(SUFFIXES)})")
    _check_ids(found)
    return sorted(found, key=lambda entry: (entry.speaker, entry.utterance))


def _of_file(path: Path, root: Path, speaker_a_folder: bool) -> Entry:
    name = "_".join(str(path.relative_to(root).with_suffix("")).split())
    speaker = "_".join(str(path.parent).split()) if speaker_a_folder else name
    return Entry(name, speaker, (), name, str(path.resolve()))


def _check_ids(entries: Iterable[Entry]) -> None:
    seen: dict[str, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.utterance, entry)
        if other is not entry:
            raise UserError(f"{other.audio} and {entry.audio} have one id, '{entry.utterance}': rename one")
