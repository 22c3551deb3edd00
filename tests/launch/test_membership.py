"""A learner's rank, peers and rendezvous, from its environment."""

import pytest

from dasr.errors import UserError
from dasr.launch.membership import Membership


def test_a_learner_that_nobody_launched_says_how_to_start_one() -> None:
    with pytest.raises(UserError, match="lacks RANK: learners are started by `dasr train RUN`"):
        Membership.from_environment({})
