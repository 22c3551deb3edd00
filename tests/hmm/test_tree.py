"""The decision tree: gains against a plain recursion, and Kaldi's own reader of the serialised tree."""

import numpy as np
import pytest

from dasr.errors import UserError
from dasr.hmm.topology import make_tree
from dasr.hmm.tree import MIN_FRAMES, TreeBuilder, cluster_phones, gather, log_likelihood

PHONES = [1, 2, 3, 4, 5]
SILENCE = frozenset([1])


@pytest.fixture(scope="module")
def speech() -> tuple[np.ndarray, np.ndarray]:
    """Frames whose mean depends on the state and, for phone 3, on whether its left phone is 4 or 5."""
    rng = np.random.default_rng(0)
    left, centre, right = (rng.integers(1, 6, 6000) for _ in range(3))
    state = rng.integers(0, 3, 6000)
    left[rng.random(6000) < 0.05] = 0
    events = np.stack([left, centre, right, state], axis=1)
    means = np.stack([2.0 * centre, 1.0 * state, 4.0 * ((centre == 3) & (left >= 4))], axis=1)
    return (means + rng.normal(size=(6000, 3))).astype(np.float32), events


def plain_log_likelihood(x: np.ndarray) -> float:
    variances = np.maximum(x.var(0), 0.01)
    return float(
        -0.5 * (np.log(2 * np.pi * variances) + (x - x.mean(0)) ** 2 / variances).sum() if len(x) else 0
    )


def test_sums_of_an_event_and_their_likelihood_equal_those_of_its_frames(
    speech: tuple[np.ndarray, np.ndarray],
) -> None:
    frames, events = speech
    statistics = gather(frames, events)
    assert statistics.sums[:, -1].sum() == len(frames)
    for n in (0, 7, len(statistics.events) - 1):
        mine = frames[(events == statistics.events[n]).all(1)].astype(float)
        np.testing.assert_allclose(
            statistics.sums[n], [*mine.sum(0), *(mine**2).sum(0), len(mine)], atol=1e-6
        )
        assert log_likelihood(statistics.sums[n]) == pytest.approx(plain_log_likelihood(mine), abs=1e-3)


def test_the_best_question_is_the_one_that_a_plain_search_over_all_frames_finds(
    speech: tuple[np.ndarray, np.ndarray],
) -> None:
    frames, events = speech
    statistics = gather(frames, events)
    questions = cluster_phones(statistics)
    builder = TreeBuilder(statistics, questions, SILENCE)
    tree = builder.build(PHONES, len(PHONES) + 1)
    gains = {}
    for phone in PHONES:
        mine = events[:, 1] == phone
        candidates = [(-1, {0}), (-1, {0, 1})]
        if phone not in SILENCE:
            candidates += [(key, set(q)) for key in (0, 2) for q in questions]
        for key, values in candidates:
            yes = mine & np.isin(events[:, key], list(values))
            no = mine & ~yes
            if min(yes.sum(), no.sum()) >= MIN_FRAMES:
                parts = plain_log_likelihood(frames[yes]) + plain_log_likelihood(frames[no])
                gains[phone, key, frozenset(values)] = parts - plain_log_likelihood(frames[mine])
    best = max(gains, key=gains.__getitem__)
    assert best == (3, 0, frozenset({4, 5}))  # what the data were made with
    split = tree.roots[3]
    assert (split.root, split.key, split.values) == best


def test_kaldis_own_reader_answers_what_the_tree_says(speech: tuple[np.ndarray, np.ndarray]) -> None:
    frames, events = speech
    statistics = gather(frames, events)
    tree = TreeBuilder(statistics, cluster_phones(statistics), SILENCE).build(PHONES, 24)
    assert len(tree.leaves) == 24
    kaldi = make_tree(tree.kaldi())
    assert (kaldi.context_width, kaldi.central_position, kaldi.num_pdfs) == (3, 1, 24)
    for leaf in tree.leaves:
        for member in leaf.members:
            *context, state = statistics.events[member].tolist()
            assert kaldi.compute(context, state) == (True, leaf.pdf)
    assert all(statistics.sums[leaf.members, -1].sum() >= MIN_FRAMES for leaf in tree.leaves)


def test_silence_is_not_split_by_context_and_unseen_contexts_have_a_state(
    speech: tuple[np.ndarray, np.ndarray],
) -> None:
    frames, events = speech
    statistics = gather(frames, events)
    tree = TreeBuilder(statistics, cluster_phones(statistics), SILENCE).build([*PHONES, 6], 60)
    kaldi = make_tree(tree.kaldi())
    silences = {kaldi.compute([a, 1, b], 1)[1] for a in range(7) for b in range(7)}
    assert len(silences) == 1
    assert kaldi.compute([2, 6, 3], 0)[0]  # phone 6 was never seen


def test_fewer_leaves_than_phones_is_an_error(speech: tuple[np.ndarray, np.ndarray]) -> None:
    statistics = gather(*speech)
    with pytest.raises(UserError, match="5 phones"):
        TreeBuilder(statistics, [], SILENCE).build(PHONES, 4)
