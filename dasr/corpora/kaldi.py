"""An existing Kaldi corpus as it stands: folders train, test and perhaps dev below one path, a lexicon,
perhaps a model.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from dasr.corpora.language import LanguageModel, Lexicon
from dasr.errors import UserError

LEXICONS = tuple(
    f"{folder}/{name}"
    for folder in ("lang", "dict", "lang/dict", "local/dict", ".")
    for name in ("lexicon.txt", "lexiconp.txt")
)
MODELS = tuple(
    f"{folder}/{name}{packed}"
    for folder in ("lang", ".")
    for name in ("unigram.arpa", "lm.arpa")
    for packed in ("", ".gz")
)


def lexicon(path: Path) -> Lexicon:
    """The lexicon below `path`. Raises UserError that lists where it was looked for."""
    for name in LEXICONS:
        if (path / name).is_file():
            found, oov = Lexicon.read(path / name), path / "lang" / "oov.txt"
            return found.with_unknown(oov) if oov.is_file() else found
    raise UserError(f"no lexicon below {path}: none of {', '.join(LEXICONS)}")


def language_model(path: Path, words: set[str]) -> str:
    """The corpus' ARPA model; a uniform unigram over the lexicon where it has none. Raises UserError."""
    given = next((path / name for name in MODELS if (path / name).is_file()), None)
    if given is None:
        return LanguageModel.uniform(words).arpa()
    try:
        with (gzip.open if given.suffix == ".gz" else open)(given, "rt", encoding="utf-8") as file:
            return str(file.read())
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"the language model {given} cannot be read as UTF-8 text: {error}") from None
