"""Acoustic models in Kaldi's format."""

from pathlib import Path

import numpy as np

from dasr.hmm.system import HmmSystem


def test_models_read_back_from_kaldis_format_score_as_before(small: Path, tmp_path: Path) -> None:
    from dasr.hmm.model_file import read_model, write_model
    from dasr.hmm.tree_file import read_tree

    system = HmmSystem.load(small / "hmm")
    model = system.acoustics
    write_model(tmp_path / "final.mdl", model.transitions, model.gmm)
    again = read_model(tmp_path / "final.mdl", read_tree(small / "hmm" / "tree"))
    assert again.gmm is not None
    np.testing.assert_allclose(again.gmm.means, model.gmm.means, atol=1e-4)
    np.testing.assert_allclose(again.gmm.coefficients, model.gmm.coefficients, rtol=1e-3, atol=1e-4)
    ours, theirs = again.transitions.model, model.transitions.model
    np.testing.assert_allclose(ours.log_probs, theirs.log_probs)
    np.testing.assert_allclose(ours.non_self_loop_log_probs, theirs.non_self_loop_log_probs, atol=1e-4)
