"""An HMM system on disk: a folder in Kaldi's formats, so that one made by Kaldi can be used in its place.

phones.txt words.txt    symbol tables
oov.txt                 the word that stands for those that are not in words.txt (absent: none does)
L.fst L_disambig.fst    lexicon transducers
topo tree final.mdl     HMMs, tying, transitions and GMM
final.alimdl            GMM for features without fMLLR, for a first pass (absent: final.mdl wants none)
final.mat               LDA+MLLT of the GMM (absent: deltas)
pdf_counts.txt          frames of each tied state in the training alignment: the state priors
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr import checksums
from dasr.corpora import tables
from dasr.errors import UserError
from dasr.files import write_text
from dasr.hmm.aligner import GmmAcousticModel
from dasr.hmm.gmm_input import GmmInput
from dasr.hmm.kaldi_io import HEADER, Reader, Writer, read_vector_text, vector_text
from dasr.hmm.lexicon_transducer import BACKOFF, BEGIN, END, EPSILON, LexiconTransducer, symbol_table_text
from dasr.hmm.model_file import ModelFile, read_model, write_model
from dasr.hmm.topology import Transitions
from dasr.hmm.tree_file import read_tree

PRIOR_FLOOR = 1e-5  # of all frames: a state that was hardly seen must not win by a tiny prior
RESERVED = {EPSILON, BACKOFF, BEGIN, END}


def read_symbols(path: Path) -> dict[str, int]:
    """A symbol table, `symbol id` a line, either at most once. Raises UserError."""
    found: dict[str, int] = {}
    for line_number, line in tables.text_lines(path):
        symbol, *rest = tables.fields(line)
        if len(rest) != 1 or not (rest[0].isascii() and rest[0].isdigit()) or len(rest[0]) > 9:
            raise UserError(f"{path}:{line_number} is not `symbol id`, a line of a symbol table")
        if found.setdefault(symbol, int(rest[0])) != int(rest[0]):
            raise UserError(f"{path}:{line_number}: '{symbol}' has two ids")
    if len(set(found.values())) != len(found):
        raise UserError(f"{path}: two symbols have one id")
    return found


@dataclass(frozen=True)
class HmmSystem:
    """An HMM system in `folder`. Everything is read when first asked for."""

    folder: Path

    @classmethod
    def load(cls, folder: Path | str) -> HmmSystem:
        """Raises UserError if `folder` is not a whole HMM system, or a file in it has changed since."""
        folder = Path(folder)
        for name in ("phones.txt", "words.txt", "tree", "final.mdl", "L.fst", "pdf_counts.txt"):
            if not (folder / name).is_file():
                raise UserError(f"{folder} is not an HMM system: it has no {name}; run `dasr hmm`")
        checksums.check_folder(folder)
        return cls(folder)

    @cached_property
    def phones(self) -> dict[str, int]:
        return read_symbols(self.folder / "phones.txt")

    @cached_property
    def words(self) -> dict[str, int]:
        """All words that have a pronunciation, and their ids."""
        symbols = read_symbols(self.folder / "words.txt")
        return {word: number for word, number in symbols.items() if word not in RESERVED}

    @property
    def unknown(self) -> int | None:
        """The id of the word that stands for those that are not in `words`."""
        path = self.folder / "oov.txt"
        return self.words[path.read_text(encoding="utf-8").strip(tables.BLANKS)] if path.is_file() else None

    @cached_property
    def _model(self) -> ModelFile:
        return read_model(self.folder / "final.mdl", read_tree(self.folder / "tree"))

    @property
    def transitions(self) -> Transitions:
        return self._model.transitions

    @property
    def tree(self) -> Any:
        """kaldi_hmm_gmm.ContextDependency."""
        return self.transitions.tree

    @property
    def num_pdfs(self) -> int:
        return self.transitions.num_pdfs

    @cached_property
    def pdf_counts(self) -> NDArray[np.float64]:
        counts = read_vector_text(self.folder / "pdf_counts.txt")
        if len(counts) != self.num_pdfs:
            raise UserError(
                f"{self.folder}/pdf_counts.txt has {len(counts)} entries for {self.num_pdfs} tied states"
            )
        return counts

    @property
    def log_priors(self) -> NDArray[np.float32]:
        """log p(state), float32 [num_pdfs], floored."""
        share = self.pdf_counts / max(self.pdf_counts.sum(), 1.0)
        floored = np.maximum(share, PRIOR_FLOOR)
        return np.asarray(np.log(floored / floored.sum()), np.float32)

    @cached_property
    def acoustics(self) -> GmmAcousticModel:
        """The GMM with its input. Raises UserError if `final.mdl` has none."""
        if self._model.gmm is None:
            raise UserError(
                f"{self.folder}/final.mdl holds no GMM: give a folder with alignments as hmm.import_from"
            )
        matrix = self.folder / "final.mat"
        gmm_input = GmmInput(Reader(matrix).matrix()) if matrix.exists() else GmmInput()
        return GmmAcousticModel(gmm_input, self._model.gmm, self.transitions)

    @cached_property
    def speaker_independent(self) -> GmmAcousticModel | None:
        """For features that are not adapted: the model of the first pass; None if the GMM wants no
        adaptation.
        """
        path = self.folder / "final.alimdl"
        if not path.exists():
            return None
        first = read_model(path, read_tree(self.folder / "tree"))
        if first.gmm is None:
            raise UserError(f"{path} holds no GMM")
        return GmmAcousticModel(self.acoustics.gmm_input, first.gmm, first.transitions)

    @property
    def lexicon_fst(self) -> Path:
        return self.folder / "L.fst"


def write_lang(folder: Path, transducer: LexiconTransducer) -> None:
    """Symbol tables, lexicon and its transducers, and the parts of Kaldi's `phones/` that its tools ask
    for.
    """
    lexicon = transducer.lexicon
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "phones.txt", symbol_table_text(transducer.phone_ids))
    write_text(folder / "words.txt", symbol_table_text(transducer.word_ids))
    write_text(folder / "lexicon.txt", lexicon.text())
    if lexicon.unknown:
        write_text(folder / "oov.txt", f"{lexicon.unknown}\n")
    transducer.fst(disambiguate=False).write(str(folder / "L.fst"))
    transducer.fst(disambiguate=True).write(str(folder / "L_disambig.fst"))
    for name, symbols in (
        ("silence", (lexicon.silence,)), ("nonsilence", transducer.phones[1:]),
        ("disambig", transducer.disambiguators),
        ("optional_silence", (lexicon.silence,)),
    ):  # fmt: skip
        ids = [str(transducer.phone_ids[symbol]) for symbol in symbols]
        write_text(folder / "phones" / f"{name}.txt", "".join(f"{symbol}\n" for symbol in symbols))
        write_text(folder / "phones" / f"{name}.int", "".join(f"{number}\n" for number in ids))
        write_text(folder / "phones" / f"{name}.csl", ":".join(ids) + "\n")


def write_system(
    folder: Path,
    transducer: LexiconTransducer,
    first: GmmAcousticModel,
    model: GmmAcousticModel,
    pdf_counts: NDArray[np.int64],
) -> None:
    """Write everything but the manifest into `folder`."""
    write_lang(folder, transducer)
    write_text(folder / "topo", model.transitions.topology_text)
    (folder / "tree").write_bytes(HEADER + model.transitions.tree_data)
    write_model(folder / "final.mdl", model.transitions, model.gmm)
    write_model(folder / "final.alimdl", first.transitions, first.gmm)
    if model.gmm_input.matrix is not None:
        writer = Writer()
        writer.matrix(model.gmm_input.matrix)
        (folder / "final.mat").write_bytes(HEADER + bytes(writer.data))
    write_text(folder / "pdf_counts.txt", vector_text(pdf_counts))
