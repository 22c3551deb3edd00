"""An HMM system made by Kaldi, taken as it stands: `tree`, `final.mdl`, alignments, and the lang folder they
used.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from dasr.errors import UserError
from dasr.files import write_text
from dasr.hmm.alignment import checked_ids, pdf_counts, read_kaldi
from dasr.hmm.kaldi_io import vector_text
from dasr.hmm.model_file import read_model, read_tree

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
