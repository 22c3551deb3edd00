"""Corpora in the layouts of others, as utterances of a Kaldi data directory.

    librispeech   speaker/chapter/*.trans.txt, audio beside
    commonvoice   a TSV file with `client_id`, `path`, `sentence`; audio in clips/ beside
    lhotse        cuts.jsonl.gz, or recordings.jsonl.gz and supervisions.jsonl.gz
    huggingface   a split of `datasets` on disk (`save_to_disk`): *.arrow

Each is one split. Neither lhotse nor datasets is needed. Transcripts stay as they are, punctuation included.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dasr.corpora import tables
from dasr.corpora.datadir import Entry, write_data_dir
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.files import atomic

TEXT = ("text", "sentence", "transcription", "transcript", "normalized_text")  # columns of Hugging Face
SPEAKER = ("speaker_id", "speaker", "client_id")
IDENTITY = ("id", "utt_id", "file", "path")


@dataclass(frozen=True)
class Target:
    """Where audio goes that is inside a data set: written into `now`, and later found in `final`."""

    now: Path
    final: Path


Reader = Callable[[Path, Target, Rejects], Iterator[Entry]]


def write(kind: str, source: Path, folder: Path) -> tuple[int, Rejects]:
    """Make the data directory `folder`; give the number of its utterances, and what was rejected.

    Raises UserError for a source that is not of that kind, or without a good utterance."""
    rejects = Rejects("import")
    found: dict[str, Entry] = {}
    with atomic(folder) as now:
        now.mkdir(parents=True)
        for entry in READERS[kind](source, Target(now, folder.resolve()), rejects):
            if not entry.words:
                rejects.add(entry.utterance, "empty transcript")
            elif found.setdefault(entry.utterance, entry) is not entry:
                raise UserError(f"{source}: two utterances have the id '{entry.utterance}'")
        if not found:
            some = next(iter(rejects.reasons.items()), None)
            raise UserError(
                f"{source} has no usable utterance in the layout of {kind}" + (f"; {some}" if some else "")
            )
        write_data_dir(now, found.values())
        rejects.write(now / "rejected.jsonl")
    return len(found), rejects


def _entry(name: str, speaker: str, text: str, audio: Path | str, **more: Any) -> Entry:
    """Without blanks in names; the speaker's name begins the utterance's, as Kaldi wants it."""
    name, speaker = "_".join(name.split()), "_".join(speaker.split()) or "_".join(name.split())
    if not name.startswith(speaker):
        name = f"{speaker}-{name}"
    more.setdefault("recording", name)
    return Entry(name, speaker, tuple(tables.fields(text)), audio=str(audio), **more)


def librispeech(source: Path, target: Target, rejects: Rejects) -> Iterator[Entry]:
    for path in sorted(source.rglob("*.trans.txt")):
        audio = {one.stem: one.resolve() for one in path.parent.iterdir() if one.suffix != ".txt"}
        for _, line in tables.text_lines(path):
            name, text = tables.key_and_rest(line)
            if name in audio:
                yield _entry(name, name.split("-")[0], text, audio[name])
            else:
                rejects.add(name, f"no audio in {path.parent}")


def commonvoice(source: Path, target: Target, rejects: Rejects) -> Iterator[Entry]:
    if not source.is_file():
        raise UserError(f"{source} is not a file: give one of Common Voice's tables, such as train.tsv")
    clips = source.resolve().parent / "clips"
    with open(source, encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = {"client_id", "path", "sentence"} - set(rows.fieldnames or ())
        if missing:
            raise UserError(f"{source} has no column '{min(missing)}': it is not a table of Common Voice")
        for row in rows:
            audio = clips / row["path"]
            if not audio.is_file():
                rejects.add(audio.stem, f"there is no {audio}")
                continue
            yield _entry(audio.stem, row["client_id"][:32], row["sentence"] or "", audio)


def lhotse(source: Path, target: Target, rejects: Rejects) -> Iterator[Entry]:
    folder = source if source.is_dir() else source.parent
    cuts = [source] if source.is_file() else sorted(folder.glob("*cuts*.jsonl*"))
    if cuts:
        for path in cuts:
            for cut in _lines(path):
                yield from _of_cut(cut, folder, rejects)
        return
    recordings = {one["id"]: one for path in folder.glob("*recordings*.jsonl*") for one in _lines(path)}
    for path in sorted(folder.glob("*supervisions*.jsonl*")):
        for one in _lines(path):
            if one["recording_id"] in recordings:
                yield from _of_supervision(one, recordings[one["recording_id"]], 0.0, folder, rejects)
            else:
                rejects.add(str(one["id"]), f"no recording {one['recording_id']}")


def _of_cut(cut: Mapping[str, Any], folder: Path, rejects: Rejects) -> Iterator[Entry]:
    if "recording" not in cut:
        rejects.add(str(cut.get("id")), f"a cut of the type {cut.get('type')}, without one recording")
        return
    for one in cut.get("supervisions", ()):
        yield from _of_supervision(one, cut["recording"], float(cut["start"]), folder, rejects)


def _of_supervision(
    one: Mapping[str, Any], recording: Mapping[str, Any], offset: float, folder: Path, rejects: Rejects
) -> Iterator[Entry]:
    """A supervision that covers its recording is all of it, another one a segment."""
    name, sources = str(one["id"]), recording["sources"]
    if len(sources) != 1 or sources[0]["type"] not in ("file", "command"):
        rejects.add(name, f"recording {recording['id']} is not one file or command")
        return
    audio = str(sources[0]["source"])
    if sources[0]["type"] == "command":
        audio += " |"
    elif not Path(audio).is_file():
        if not (folder / audio).is_file():
            rejects.add(name, f"there is no {audio}")
            return
        audio = str(folder / audio)
    if not audio.endswith("|"):
        audio = str(Path(audio).resolve())
    begin = max(0.0, offset + float(one["start"]))
    end = min(begin + float(one["duration"]), float(recording["duration"]))
    whole = begin < 0.005 and end > float(recording["duration"]) - 0.005
    part = {} if whole else {"begin": begin, "end": end, "recording": "_".join(str(recording["id"]).split())}
    speaker = str(one.get("speaker") or recording["id"])
    yield _entry(name, speaker, str(one.get("text") or ""), audio, seconds=end - begin, **part)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Raises UserError naming the line that is not JSON."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    number = 1
    try:
        with opened(path, "rt", encoding="utf-8") as stream:
            for line in stream:
                if line.strip():
                    yield json.loads(line)
                number += 1
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path}:{number}: not a line of a manifest ({error})") from None


def huggingface(source: Path, target: Target, rejects: Rejects) -> Iterator[Entry]:
    import pyarrow

    files = sorted(source.glob("*.arrow"))
    if not files and (splits := sorted(path.parent.name for path in source.glob("*/*.arrow"))):
        raise UserError(f"{source} has the splits {', '.join(dict.fromkeys(splits))}: give the folder of one")
    number = 0
    for path in files:
        with pyarrow.memory_map(str(path)) as mapped, pyarrow.ipc.open_stream(mapped) as stream:
            names = stream.schema.names
            text = next((name for name in TEXT if name in names), None)
            if text is None or "audio" not in names:
                raise UserError(
                    f"{path}: its columns ({', '.join(names)}) are no audio with {' or '.join(TEXT)}"
                )
            for batch in stream:
                for index in range(batch.num_rows):
                    row = {name: batch.column(name)[index].as_py() for name in names}
                    yield from _of_row(row, str(row[text] or ""), number, target, rejects)
                    number += 1


def _of_row(
    row: Mapping[str, Any], text: str, number: int, target: Target, rejects: Rejects
) -> Iterator[Entry]:
    audio = row["audio"] if isinstance(row["audio"], dict) else {"path": row["audio"]}
    place = Path(str(audio.get("path") or f"{number:08d}.wav"))
    own = next((str(row[name]) for name in IDENTITY if row.get(name)), place.name)
    name = Path(own).stem
    speaker = next((str(row[key]) for key in SPEAKER if row.get(key) is not None), name)
    if audio.get("bytes"):
        kept = Path("audio") / f"{number:08d}{place.suffix or '.wav'}"
        (target.now / kept).parent.mkdir(exist_ok=True)
        (target.now / kept).write_bytes(audio["bytes"])
        yield _entry(name, speaker, text, target.final / kept)
    elif place.is_file():
        yield _entry(name, speaker, text, place.resolve())
    else:
        rejects.add(name, f"there is no {place}")


READERS: dict[str, Reader] = {
    "librispeech": librispeech,
    "commonvoice": commonvoice,
    "lhotse": lhotse,
    "huggingface": huggingface,
}
