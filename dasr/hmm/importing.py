"""An HMM system made by Kaldi, taken as it stands: `tree`, `final.mdl`, alignments, and the lang folder they
used.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from dasr.errors import UserError
from dasr.files import write_text
from dasr.hmm.alignment import checked_ids, pdf_counts, read_kaldi
from dasr.hmm.fst_file import check_fst
from dasr.hmm.kaldi_io import Reader, vector_text
from dasr.hmm.lexicon_transducer import BACKOFF, EPSILON
from dasr.hmm.model_file import read_model
from dasr.hmm.system import read_symbols
from dasr.hmm.topology import Transitions
from dasr.hmm.tree_file import read_tree

LANG_FILES = ("phones.txt", "words.txt", "L.fst", "L_disambig.fst")


def import_system(source: Path, target: Path) -> int:
    """Copy a Kaldi system from `source` into `target`, count its alignment's states; returns their number.

    `source`: tree, final.mdl, ali.*.gz (an alignment folder such as exp/tri4_ali) and `lang/`. Raises
    UserError.
    """
    if not source.is_dir():
        raise UserError(f"hmm.import_from: there is no folder {source}")
    lang = source / "lang"
    for name in LANG_FILES:
        if not (lang / name).is_file():
            raise UserError(f"{lang} has no {name}: copy or link Kaldi's lang folder (data/lang) there")
    transitions = read_model(source / "final.mdl", read_tree(source / "tree")).transitions
    _check_others(source, transitions)
    counts = pdf_counts((checked_ids(source, *one, transitions) for one in read_kaldi(source)), transitions)
    target.mkdir(parents=True, exist_ok=True)
    for name in (*LANG_FILES, "phones"):
        if (lang / name).is_dir():
            shutil.copytree(lang / name, target / name)
        elif (lang / name).exists():
            shutil.copy(lang / name, target / name)
    for name in ("tree", "final.mdl", "final.alimdl", "final.mat"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    write_text(target / "topo", transitions.topology_text)
    write_text(target / "pdf_counts.txt", vector_text(counts))
    return transitions.num_pdfs


def _check_others(source: Path, transitions: Transitions) -> None:
    """Raise UserError for a file that a later stage would stumble over: it was written elsewhere, so that no
    checksum says whether it is whole."""
    lang = source / "lang"
    phones, words = read_symbols(lang / "phones.txt"), read_symbols(lang / "words.txt")
    known = set(phones.values())
    if missing := sorted({int(phone) for phone in transitions.phone_of[1:]} - known):
        raise UserError(
            f"{lang / 'phones.txt'} has no phone {missing[0]}, which final.mdl has: not one system?"
        )
    for file, symbol in (("phones.txt", BACKOFF), ("words.txt", BACKOFF), ("words.txt", EPSILON)):
        if symbol not in (phones if file == "phones.txt" else words):
            raise UserError(f"{lang / file} has no {symbol}: it is cut off, or no lang folder's")
    for name in ("L.fst", "L_disambig.fst"):
        check_fst(lang / name, max(known), max(words.values()))
    if (source / "final.mat").exists():
        matrix = Reader(source / "final.mat").matrix()
        if not (matrix.size and np.isfinite(matrix).all()):
            raise UserError(f"{source / 'final.mat'} holds numbers that no transform has")
    if (source / "final.alimdl").exists():
        read_model(source / "final.alimdl", read_tree(source / "tree"))
