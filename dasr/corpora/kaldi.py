"""An existing Kaldi corpus as it stands: folders train, test and perhaps dev below one path, a lexicon,
perhaps a model.
"""

from __future__ import annotations

import logging
from pathlib import Path

from dasr.config import SPLITS
from dasr.corpora import arpa
from dasr.corpora.language import LanguageModel, Lexicon
from dasr.errors import UserError

logger = logging.getLogger(__name__)

FOLDERS = ("lang", "dict", "lang/dict", "local/dict", ".")
LANGUAGE = ("lexicon.txt", "lexiconp.txt", "oov.txt", "optional_silence.txt", "silence_phones.txt")
TABLES = ("wav.scp", "text", "utt2spk", "utt2dur", "segments", "feats.scp")
USUAL = ("unigram.arpa", "lm.arpa")  # of language models: taken where there are several


def files_read(path: Path) -> list[Path]:
    """All files below `path` that `dasr corpus` reads, and that exist; audio is not among them."""
    tables = [path / split / name for split in SPLITS for name in TABLES]
    language = [path / folder / name for folder in FOLDERS for name in LANGUAGE]
    models = [file for folder in (path / "lang", path) for file in _models_in(folder)]
    return sorted({file for file in (*tables, *language, *models) if file.is_file()})


def lexicon(path: Path) -> Lexicon:
    """The lexicon below `path`: the first folder that has one; lexiconp.txt, if it is there, says what
    lexicon.txt says and probabilities too. Raises UserError."""
    for folder in (path / name for name in FOLDERS):
        plain, weighted = folder / "lexicon.txt", folder / "lexiconp.txt"
        given = [file for file in (weighted, plain) if file.is_file()]
        if given:
            found = Lexicon.read(given[0])
            if len(given) == 2 and set(found.pronunciations) != set(Lexicon.read(plain).pronunciations):
                raise UserError(
                    f"{plain} and {weighted} differ in words or phones: remove the one that is old"
                )
            oov = path / "lang" / "oov.txt"
            return found.with_unknown(oov) if oov.is_file() else found
    names = ", ".join(f"{folder}/lexicon.txt" for folder in FOLDERS)
    raise UserError(f"no lexicon below {path}: none of {names} (or lexiconp.txt)")


def write_language_model(given: Path | None, words: set[str], target: Path) -> None:
    """The corpus' ARPA model `given`, or a uniform unigram over the lexicon's `words`. Raises UserError."""
    if given is None:
        target.write_text(LanguageModel.uniform(words).arpa(), encoding="utf-8")
    else:
        arpa.copy_arpa(given, target)


def language_model(path: Path) -> Path | None:
    """The ARPA file in lang/ or the corpus' folder, whatever it is called; it was read to its end. Raises
    UserError where several could be meant, or it is none."""
    found = [file for folder in (path / "lang", path) for file in _models_in(folder)]
    usual = [file for name in USUAL for file in found if _plain_name(file) == name]
    if len(found) > 1 and not usual:
        names = ", ".join(str(file.relative_to(path)) for file in found)
        raise UserError(f"{path} has several language models ({names}): call the one to use lang/lm.arpa")
    chosen = next(iter(usual or found), None)
    if chosen is not None and (len(found) > 1 or not usual):
        others = [str(file.relative_to(path)) for file in found if file != chosen]
        ignored = f"; not read: {', '.join(others)}" if others else ""
        logger.info("language model: %s%s", chosen.relative_to(path), ignored)
    if chosen is not None:
        for _ in arpa.grams(chosen):
            pass
    return chosen


def _models_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if _plain_name(file).endswith(".arpa") and file.is_file())


def _plain_name(file: Path) -> str:
    """In lower case, without the ending of its compression."""
    name = file.name.lower()
    return next((name.removesuffix(packed) for packed in arpa.PACKED if name.endswith(packed)), name)
