"""Where learners are put, and what is asked of Slurm for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasr.errors import UserError
from dasr.launch.resources import Resources


@given(st.integers(1, 64), st.integers(1, 16))
def test_learners_are_put_equally_on_nodes_whatever_their_number(learners: int, most: int) -> None:
    layout = Resources(executor="slurm", tasks_per_node=most).layout(learners)
    assert layout.nodes * layout.tasks_per_node == learners
    assert layout.tasks_per_node <= most


def test_a_layout_that_is_impossible_says_so() -> None:
    with pytest.raises(UserError, match="6 learners cannot be put equally on 4 nodes"):
        Resources(executor="slurm", nodes=4).layout(6)
    with pytest.raises(UserError, match="one node"):
        Resources(nodes=2).layout(4)


def test_a_word_in_slurm_extra_that_is_no_option_is_refused() -> None:
    assert Resources(slurm_extra="--exclusive --reservation=x").sbatch_options() == {
        "exclusive": True,
        "reservation": "x",
    }
    with pytest.raises(UserError, match="'exclusive' is not an option"):
        Resources(slurm_extra="exclusive").sbatch_options()
