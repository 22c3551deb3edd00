"""Colours and line styles of the figures."""

from pathlib import Path

from dasr import config as dasr_config
from dasr.results import palette, records


def test_a_strategy_has_one_colour_and_its_variants_differ_in_style() -> None:
    config = dasr_config.complete(
        {"comparison": {"strategies": ["ad", {"strategy": "ad", "mixing": "uniform"}, "mine", "bmuf"]}}
    )
    runs = [records.RunRecord(run, Path(), {}, [], [], [], {}) for run in dasr_config.runs(config)]
    look = palette.plot_styles(palette.groups(runs))
    assert (
        look["ad"].colour == look["ad-mixing=uniform"].colour
        and look["ad"].style != look["ad-mixing=uniform"].style
    )
    assert len({one.colour for one in look.values()}) == 3


def test_labels_are_distinguishable_without_colour() -> None:
    strategies = [f"mine{n}" for n in range(30)]
    config = dasr_config.complete({"comparison": {"strategies": strategies}})
    runs = [records.RunRecord(run, Path(), {}, [], [], [], {}) for run in dasr_config.runs(config)]
    look = palette.plot_styles(palette.groups(runs))
    assert len({(one.style, one.marker) for one in look.values()}) == 30
