"""The environment variables of a learner."""

from typing import Any

import pytest

from dasr.errors import UserError
from dasr.launch.environment import check_interface, learner_environment
from dasr.launch.membership import Membership


def test_a_learner_gets_who_it_is_and_its_share_of_the_node() -> None:
    membership = Membership(5, 8, 1, (0, 0, 0, 0, 1, 1, 1, 1), ("n1", 4000), generation=2, replacement=True)
    base = {"PATH": "/bin", "OMP_NUM_THREADS": "64", "CUDA_VISIBLE_DEVICES": ""}
    local: dict[str, Any] = {"restore_devices": True, "base": base}
    given = learner_environment(membership, "127.0.0.1", 4, 1, visible_devices="2,3", **local)
    assert Membership.from_environment(given) == Membership(
        5, 8, 1, membership.nodes, ("n1", 4000), 2, True, "cuda:1"
    )
    assert (given["OMP_NUM_THREADS"], given["LOCAL_WORLD_SIZE"]) == ("4", "4")
    assert given["CUDA_VISIBLE_DEVICES"] == "2,3", "submitit's choice is undone"
    assert "CUDA_VISIBLE_DEVICES" not in learner_environment(membership, "127.0.0.1", 4, 1, **local)
    assert given["GLOO_SOCKET_IFNAME"] == "lo"
    assert (
        learner_environment(membership, "127.0.0.1", 1, 0, base={"GLOO_SOCKET_IFNAME": "ib0"})[
            "GLOO_SOCKET_IFNAME"
        ]
        == "ib0"
    ), "the user's choice stays"


def test_threads_do_not_spin_long_on_cores_that_others_use_too() -> None:
    membership = Membership(0, 1, 0, (0,), ("n1", 4000), 1)

    def spins(base: dict[str, str]) -> str | None:
        return learner_environment(membership, "127.0.0.1", 2, 0, base=base).get("GOMP_SPINCOUNT")

    assert spins({}) == "1000"
    assert spins({"SLURM_JOB_ID": "7"}) is None, "a job's cores are its own"
    assert spins({"OMP_WAIT_POLICY": "active"}) is None, "the user's choice stays"
    assert spins({"GOMP_SPINCOUNT": "5"}) == "5"


@pytest.mark.parametrize("named", ["^lo,docker", "eth7", "lo,eth7"])
def test_an_interface_that_is_not_there_is_one_line_with_those_that_are(named: str) -> None:
    with pytest.raises(UserError) as caught:
        check_interface({"GLOO_SOCKET_IFNAME": named})
    text = str(caught.value)
    assert text.startswith(f"GLOO_SOCKET_IFNAME={named}: ") and "only" in text and "lo" in text
    check_interface({})
    check_interface({"GLOO_SOCKET_IFNAME": "lo"})
