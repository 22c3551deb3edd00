"""Transducers of elsewhere are read through before C++ gets them."""

from pathlib import Path

import kaldifst
import numpy as np
import pytest

from dasr.corpora.language import Lexicon
from dasr.errors import UserError
from dasr.hmm.fst_file import check_fst
from dasr.hmm.lexicon_transducer import LexiconTransducer

PRONUNCIATIONS = (("ONE", ("W", "AH", "N")), ("TWO", ("T", "UW")), ("TOO", ("T", "UW")))
LEXICON = LexiconTransducer(Lexicon(PRONUNCIATIONS))
LABELS = max(LEXICON.phone_ids.values()), max(LEXICON.word_ids.values())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "L_disambig.fst"
    LEXICON.fst(disambiguate=True).write(str(path))
    check_fst(path, *LABELS)
    return path


def test_a_changed_bit_is_refused_or_leaves_a_transducer_that_can_be_walked(file: Path) -> None:
    whole, draw, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        changed = bytearray(whole)
        changed[draw.integers(len(whole))] ^= 1 << int(draw.integers(8))
        file.write_bytes(changed)
        try:
            check_fst(file, *LABELS)
        except UserError as error:
            assert file.name in str(error)
            refused += 1
            continue
        fst = kaldifst.StdVectorFst.read(str(file))
        for state in range(fst.num_states):
            for arc in kaldifst.ArcIterator(fst, state):
                assert 0 <= arc.nextstate < fst.num_states
                assert 0 <= arc.ilabel <= LABELS[0] and 0 <= arc.olabel <= LABELS[1]
    assert refused > 100


def test_a_file_that_is_cut_off_or_goes_on_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match=file.name):
            check_fst(file, *LABELS)
    file.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match="follow its last state"):
        check_fst(file, *LABELS)


def test_labels_beyond_the_symbol_tables_and_other_kinds_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="label"):
        check_fst(file, LABELS[0] - 1, LABELS[1])
    const = tmp_path / "const.fst"
    kaldifst.StdConstFst(LEXICON.fst(disambiguate=True)).write(str(const))
    with pytest.raises(UserError, match=r"'const', not 'vector' \(fstconvert\)"):
        check_fst(const, *LABELS)
