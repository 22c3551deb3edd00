"""The small corpus, aligned; transitions of a system of two phones."""

from __future__ import annotations

from pathlib import Path

import kaldi_hmm_gmm
import numpy as np
import pytest

from dasr.hmm.command import align
from dasr.hmm.topology import Transitions, bakis, parse_topology
from tests.support.small_corpus import call


@pytest.fixture(scope="module")
def aligned(small: Path) -> Path:
    call(align, small, "--split", "train", "--shard", "0", "--jobs", "1")
    return small


@pytest.fixture(scope="module")
def transitions() -> Transitions:
    """Two phones of three states; transition ids in the order of states, the loop of each first."""
    text = bakis([1, 2])
    sizes = parse_topology(text).get_phone_to_num_pdf_classes()
    tree = kaldi_hmm_gmm.monophone_context_dependency([1, 2], sizes)
    return Transitions(np.array(tree.__getstate__()[0], np.int8).tobytes(), text)
