"""Byte-pair encoding of words (Sennrich et al. 2016, arXiv 1508.07909), by sentencepiece.

R/units/bpe.model         sentencepiece's model, learned from the transcripts of train
R/units/spellings.txt     `word piece...` of every word of the lexicon; a word's first piece begins with a bar

A word is spelled alike wherever it stands, so the spellings are a lexicon, and only `dasr units` needs
sentencepiece.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from dasr import checksums
from dasr.corpora import tables
from dasr.errors import UserError

MODEL, SPELLINGS = "bpe.model", "spellings.txt"
TOO_MANY = re.compile(r"less than or equal to (\d+)|value <= (\d+)")


def learn(transcripts: Iterable[str], words: Iterable[str], count: int) -> bytes:
    """A model of `count` pieces, every character of `words` among them: the same for the same input. Raises
    UserError."""
    import sentencepiece

    characters = "".join(sorted({character for word in words for character in word}))
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(transcripts),
            model_writer=model,
            model_type="bpe",
            vocab_size=count,
            character_coverage=1.0,
            required_chars=characters,
            normalization_rule_name="identity",
            shuffle_input_sentence=False,
            num_threads=1,
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(f"training.pieces: {_told(str(error), count, len(characters))}") from None
    return model.getvalue()


def _told(error: str, count: int, characters: int) -> str:
    if found := TOO_MANY.search(error):
        return f"the transcripts of train give no {count} pieces: at most {found[1] or found[2]}"
    return f"{count} pieces are too few for {characters} characters (or the transcripts are empty)"


def spell(model: bytes, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The pieces of each word."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return {word: tuple(processor.encode(word, out_type=str)) for word in words}


def text(spellings: Mapping[str, tuple[str, ...]]) -> str:
    """spellings.txt."""
    return "".join(f"{word} {' '.join(said)}\n" for word, said in spellings.items())


def read(folder: Path) -> dict[str, tuple[str, ...]]:
    """The pieces of each word, as `dasr units` wrote them. Raises UserError."""
    path = folder / SPELLINGS
    if not path.is_file():
        raise UserError(f"no pieces of words at {path}: run `dasr units` first")
    checksums.check_folder(folder)
    rows = (tables.fields(line) for _, line in tables.text_lines(path))
    return {word: tuple(said) for word, *said in rows}
