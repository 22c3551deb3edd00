"""CMU AN4: the embedded corpus, or the original distribution (`wav/` with wav, sph, raw; `etc/`), as entries.

Utterance `an251-fash-b` of speaker `fash` becomes `fash-an251-b`, since Kaldi wants ids that begin with the
speaker.
"""

from __future__ import annotations

import re
from pathlib import Path

from dasr.corpora import tables
from dasr.corpora.datadir import Entry
from dasr.corpora.language import LanguageModel, Lexicon
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError

SUFFIXES = (".ogg", ".flac", ".wav", ".sph", ".raw")
TRANSCRIPT = re.compile(r"^(?P<words>.*)\((?P<id>[^()\s]+)\)\s*$")
SENTENCE_MARKS = {"<s>", "</s>", "<sil>"}


def _lines(path: Path) -> list[bytes]:
    try:
        return [line for line in tables.lines_of(path.read_bytes()) if line.strip()]
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); corpus.path must hold AN4's etc/ and wav/"
        ) from None


def _transcripts(path: Path, rejects: Rejects) -> dict[str, tuple[str, ...]]:
    """Words by utterance, from lines `<s> WORD... </s> (an251-fash-b)`."""
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(_lines(path), 1):
        match = TRANSCRIPT.match(line.decode("utf-8", "replace"))
        name = match["id"] if match else f"{path.name}:{number}"
        if match is None:
            rejects.add(name, f"{path}:{number} is not 'WORD... (utterance)'")
        elif b"\xef\xbf\xbd" in match.group().encode() and not _is_utf8(line):
            rejects.add(name, f"{path}:{number} is not UTF-8")
        elif name in found:
            rejects.add(name, f"{path}:{number}: duplicate utterance id")
        else:
            found[name] = tuple(word for word in tables.fields(match["words"]) if word not in SENTENCE_MARKS)
    return found


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _name(utterance: str, speaker: str) -> str:
    rest = utterance.replace(f"-{speaker}", "", 1) if f"-{speaker}" in utterance else utterance
    return f"{speaker}-{rest}"


def read(path: Path, split: str, rejects: Rejects) -> list[Entry]:
    """Utterances of `train` or `test`, sorted; bad ones go to `rejects`. Raises UserError if etc/ is not
    AN4's.
    """
    transcripts = _transcripts(path / "etc" / f"an4_{split}.transcription", rejects)
    seen: set[str] = set()
    entries = []
    for line in _lines(path / "etc" / f"an4_{split}.fileids"):
        place = line.decode("utf-8", "replace").strip(tables.BLANKS)
        utterance, speaker = Path(place).name, Path(place).parent.name
        audio = next((f for s in SUFFIXES if (f := path / "wav" / f"{place}{s}").is_file()), None)
        words = transcripts.get(utterance)
        if utterance in seen:
            rejects.add(utterance, f"an4_{split}.fileids: duplicate utterance id")
        elif audio is None:
            rejects.add(
                utterance, f"audio file {path / 'wav' / place} is missing (any of {', '.join(SUFFIXES)})"
            )
        elif audio.stat().st_size == 0:
            rejects.add(utterance, f"audio file {audio} is empty")
        elif not words:
            rejects.add(utterance, "audio without a transcript" if words is None else "empty transcript")
        elif utterance not in rejects.reasons:
            name = _name(utterance, speaker)
            entries.append(Entry(name, speaker, words, name, str(audio.resolve())))
        seen.add(utterance)
    for utterance in transcripts.keys() - seen:
        rejects.add(utterance, "transcript without audio (not in fileids)")
    return sorted(entries, key=lambda entry: entry.utterance)


def lexicon(path: Path) -> Lexicon:
    return Lexicon.read(path / "etc" / "an4.dic")


def unigram(path: Path, words: set[str]) -> LanguageModel:
    """AN4's own uniform unigram, restricted to `words`; not renormalised, so every word costs what it did.

    The file's head speaks of a 2-gram over 13 words, which it is not: it has 104 words, `</s>` and `<UNK>`,
    each 10^-2.0253, and a dummy bigram (<s> </s>) that would make the empty sentence certain. `<UNK>`, HALL,
    LANE, MEMORY, TWELVTH and WEAN have no pronunciation and are left out, as Kaldi's arpa2fst does. NOVEMBER
    and THIRTEEN (2 words of the test set) are not in it.
    """
    file = path / "etc" / "an4.lm"
    section, probabilities = "", {}
    for line in _lines(file):
        fields = tables.fields(line.decode("utf-8", "replace"))
        if fields[0].startswith("\\"):
            section = fields[0]
        elif section == "\\1-grams:" and len(fields) >= 2:
            try:
                probabilities[fields[1]] = float(fields[0])
            except ValueError:
                continue  # the description at the head of the file has a section of that name too
    if "</s>" not in probabilities:
        raise UserError(f"{file} is not AN4's language model: no unigram for </s>")
    return LanguageModel({w: p for w, p in probabilities.items() if w in words or w == "</s>"})
