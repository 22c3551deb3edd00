"""The small corpus with its HMM system, as tests of dasr/hmm have it."""

from tests.hmm import conftest

small = conftest.small
