"""Confidence intervals and p-values of word error rates."""

import random

import pytest

from dasr.decoding import scoring
from dasr.results import significance

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero"]


def corrupted(references: dict[str, list[str]], rate: float, seed: int) -> dict[str, list[str]]:
    draw = random.Random(seed)
    said = {}
    for utterance, words in references.items():
        out: list[str] = []
        for word in words:
            kind = draw.random() / rate
            if kind < 0.4:
                out.append(draw.choice(WORDS))
            elif 0.4 <= kind < 0.7:
                out += [word, draw.choice(WORDS)]
            elif not 0.7 <= kind < 1.0:
                out.append(word)
        said[utterance] = out
    return said


def speech(seed: int, count: int = 60) -> dict[str, list[str]]:
    draw = random.Random(seed)
    return {f"spk{i % 5}-u{i:03d}": draw.choices(WORDS, k=draw.randint(1, 9)) for i in range(count)}


def test_the_interval_holds_the_wer_and_narrows_with_more_speech() -> None:
    few, many = speech(3, 30), speech(3, 1000)
    widths = []
    for references in (few, many):
        said = corrupted(references, 0.2, 5)
        low, high = significance.interval(references, said)
        assert low < scoring.count_errors(references, said).wer < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3


def test_p_values_are_1_for_equal_systems_small_for_unlike_ones_and_symmetric() -> None:
    references = speech(7, 200)
    good, bad = corrupted(references, 0.05, 1), corrupted(references, 0.25, 2)
    assert significance.paired_p_value(references, good, good) == 1.0
    assert significance.paired_p_value(references, good, bad) < 0.01
    near = corrupted(references, 0.05, 3)
    assert (
        significance.paired_p_value(references, good, near)
        == significance.paired_p_value(references, near, good)
        > 0.05
    )


def test_holm_gives_the_adjusted_values_of_r() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02; step-down keeps the order
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.5, 0.9]) == [1.0, 1.0] and significance.holm([]) == []


@pytest.mark.parametrize(
    ("t", "degrees", "p"),
    [(12.706, 1, 0.05), (4.303, 2, 0.05), (3.182, 3, 0.05), (5.841, 3, 0.01), (2.776, 4, 0.05),
     (2.571, 5, 0.05), (3.169, 10, 0.01), (-2.131, 15, 0.05), (1.325, 20, 0.20), (2.042, 30, 0.05)],
)  # fmt: skip
def test_students_p_is_that_of_the_table(t: float, degrees: int, p: float) -> None:
    assert significance.student(t, degrees) == pytest.approx(p, rel=2e-3)
