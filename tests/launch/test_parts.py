"""Where learners are put, who is blamed for a hang, who holds the lock, what Slurm said."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasr.errors import UserError
from dasr.launch import slurm
from dasr.launch.active_clock import ActiveClock
from dasr.launch.child import describe_exit
from dasr.launch.dispatcher import Follower
from dasr.launch.environment import learner_environment
from dasr.launch.heartbeats import HeartbeatMonitor
from dasr.launch.job_record import JobRecord
from dasr.launch.membership import Membership
from dasr.launch.resources import Resources


@given(st.integers(1, 64), st.integers(1, 16))
def test_learners_are_put_equally_on_nodes_whatever_their_number(learners, most):
    layout = Resources(executor="slurm", tasks_per_node=most).layout(learners)
    assert layout.nodes * layout.tasks_per_node == learners
    assert layout.tasks_per_node <= most


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_a_clock_that_stands_still_while_its_process_does(pauses):
    now = [5.0]
    awake = ActiveClock(often_s=2.0, now=lambda: now[0])
    for pause in pauses:
        now[0] += pause
        awake()
    assert awake() == pytest.approx(sum(min(pause, 2.0) for pause in pauses), abs=1e-6)


def test_a_layout_that_is_impossible_says_so():
    with pytest.raises(UserError, match="6 learners cannot be put equally on 4 nodes"):
        Resources(executor="slurm", nodes=4).layout(6)
    with pytest.raises(UserError, match="one node"):
        Resources(nodes=2).layout(4)


def test_a_word_in_slurm_extra_that_is_no_option_is_refused():
    assert Resources(slurm_extra="--exclusive --reservation=x").sbatch_options() == {
        "exclusive": True,
        "reservation": "x",
    }
    with pytest.raises(UserError, match="'exclusive' is not an option"):
        Resources(slurm_extra="exclusive").sbatch_options()


class Keys(dict):
    """A store with the three calls that HeartbeatMonitor makes."""

    def check(self, keys):
        return all(key in self for key in keys)

    def delete_key(self, key):
        del self[key]

    def get(self, key):
        return self[key]

    def says(self, rank, step, doing, beat):
        self[f"heartbeat/{rank}"] = json.dumps({"step": step, "doing": doing, "beat": beat})


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_learner_that_computes_is_blamed_not_those_that_wait_for_it(asynchronous):
    store, clock = Keys(), [0.0]
    heartbeats = HeartbeatMonitor(store, 20.0, asynchronous, now=lambda: clock[0])
    for rank in range(3):
        heartbeats.expect(rank)
    for second in range(40):
        clock[0] = float(second)
        for rank in range(3):
            store.says(rank, 7, "compute" if rank == 1 else "wait", beat=second)
        hung = heartbeats.hung(range(3))
        if hung:
            break
    assert hung.rank == 1 and "'compute' at step 7" in hung.reason
    assert 20 < second < 25


def test_a_frozen_process_is_blamed_even_if_it_waited():
    store, clock = Keys(), [0.0]
    heartbeats = HeartbeatMonitor(store, 20.0, False, now=lambda: clock[0])
    for rank in range(2):
        heartbeats.expect(rank)
    for second in range(40):
        clock[0] = float(second)
        store.says(0, 7, "compute", beat=second)
        store.says(1, 7, "wait", beat=min(second, 3))
        hung = heartbeats.hung(range(2))
        if hung:
            break
    assert hung.rank == 1 and "no sign of life" in hung.reason


def test_asynchronous_learners_may_wait_as_long_as_another_one_moves():
    store, clock = Keys(), [0.0]
    heartbeats = HeartbeatMonitor(store, 20.0, True, now=lambda: clock[0])
    for rank in range(2):
        heartbeats.expect(rank)
    for second in range(200):
        clock[0] = float(second)
        store.says(0, 7, "wait", beat=second)
        store.says(1, second // 10, "compute", beat=second)
        assert heartbeats.hung(range(2)) is None


def test_a_damaged_job_record_says_what_to_do(tmp_path):
    (tmp_path / "job.json").write_text('{"executor": "slurm"')
    with pytest.raises(UserError, match="damaged"):
        JobRecord.read(tmp_path)


def test_a_learner_gets_who_it_is_and_its_share_of_the_node():
    membership = Membership(5, 8, 1, (0, 0, 0, 0, 1, 1, 1, 1), ("n1", 4000), generation=2, replacement=True)
    base = {"PATH": "/bin", "OMP_NUM_THREADS": "64", "CUDA_VISIBLE_DEVICES": ""}
    local = {"restore_devices": True, "base": base}
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


def test_threads_do_not_spin_long_on_cores_that_others_use_too():
    membership = Membership(0, 1, 0, ("n1",), ("n1", 4000), 1)

    def spins(base):
        return learner_environment(membership, "127.0.0.1", 2, 0, base=base).get("GOMP_SPINCOUNT")

    assert spins({}) == "1000"
    assert spins({"SLURM_JOB_ID": "7"}) is None, "a job's cores are its own"
    assert spins({"OMP_WAIT_POLICY": "active"}) is None, "the user's choice stays"
    assert spins({"GOMP_SPINCOUNT": "5"}) == "5"


def test_a_learner_that_nobody_launched_says_how_to_start_one():
    with pytest.raises(UserError, match="lacks RANK: learners are started by `dasr train RUN`"):
        Membership.from_environment({})


def test_slurms_answers_are_read(monkeypatch):
    answers = {
        "scontrol": (0, "JobId=7 JobState=PENDING Reason=Resources NodeList=(null) ExitCode=0:0", ""),
        "sacct": (0, "", ""),
    }

    def ask(*command):
        return subprocess.CompletedProcess(command, *answers[command[0]])

    monkeypatch.setattr(slurm, "_ask", ask)
    pending = slurm.job_state("7")
    assert (pending.state, pending.detail, pending.ended) == ("PENDING", "reason Resources", False)
    answers["scontrol"] = (1, "", "Unable to contact slurm controller (connect failure)")
    silent = slurm.job_state("7")
    assert not silent.ended, "a silent controller proves nothing"
    answers["scontrol"] = (1, "", "slurm_load_jobs error: Invalid job id specified")
    answers["sacct"] = (0, "CANCELLED by 0|0:15|n[1-4]\n", "")
    assert slurm.job_state("7") == slurm.JobState("CANCELLED", "exit code 0:15, nodes n[1-4]")
    answers["sacct"] = (0, "", "")
    assert slurm.job_state("7").ended, "no such job"


def test_a_follower_shows_whole_lines_once_and_only_new_ones(tmp_path):
    path = tmp_path / "0.log"
    path.write_text("old\n")
    log = Follower(path)
    with open(path, "a") as stream:
        stream.write("new\nhalf")
        stream.flush()
        assert log.lines() == ["new"]
        stream.write(" a line\n")
    assert log.lines() == ["half a line"]


def test_exits_are_told_in_words():
    assert describe_exit(-9) == "was killed by SIGKILL"
