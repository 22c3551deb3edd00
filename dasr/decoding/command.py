"""`dasr decode` and `dasr score`."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from dasr import completion
from dasr import config as dasr_config
from dasr.errors import UserError, nearest
from dasr.progress import progress
from dasr.results.layout import LMS, Layout, model_shards
from dasr.results.records import run_diverged
from dasr.workers import cores

logger = logging.getLogger(__name__)

DECODED = ("dev", "test")


def _several(known: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """`all`, one, or several separated by commas."""

    def parse(_context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
        if value == "all":
            return list(known)
        names = value.split(",")
        for name in names:
            if name not in known:
                raise UserError(
                    f"no {parameter.name} '{name}'{nearest(name, known)} (known: {', '.join(known)}, all)"
                )
        return names

    return parse


config_option = click.option(
    "--config", "config_path", default="config.yaml", show_default=True, help="configuration"
)


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.argument("lm", callback=_several(LMS))
@click.argument("split", callback=_several(DECODED))
@click.option(
    "--jobs", type=click.IntRange(1), default=None, help="worker processes of the search [default: all cores]"
)
@click.option(
    "--device", default=None, help="where the network runs: cpu or cuda [default: a GPU where there is one]"
)
@config_option
def decode(
    run: str, lm: list[str], split: list[str], jobs: int | None, device: str | None, config_path: str
) -> None:
    """Decode with RUN's consensus model: language model LM (unigram, ngram), SPLIT (dev, test).

    LM and SPLIT may be several, separated by commas, or `all`: posteriors are then computed once for all
    language models. Dev is decoded at every acoustic scale (with CTC also at every blank penalty), test at
    the setting that is best on dev where dev has been decoded before. A run that has diverged is not
    decoded, unless decoding.diverged says so.
    """
    config = dasr_config.load(config_path)
    dasr_config.find_run(config, run)
    from dasr.decoding import hypotheses

    results, section = Path(config.results), config.decoding
    layout = Layout(results)
    if not section.diverged and run_diverged(layout.run(run)):
        logger.info(f"{run} has diverged and is not decoded (decoding.diverged: true decodes it)")
        for name, one_split in itertools.product(lm, split):
            hypotheses.write(layout.hypotheses(run, name, one_split), [])
        return
    import torch

    from dasr.decoding import outputs, posteriors, scoring, search
    from dasr.decoding.decoder import Decoder
    from dasr.models import acoustic

    graphs = [layout.hclg(one) for one in lm]
    words = [search.read_words(graph.with_name("words.txt")) for graph in graphs]
    settings = search.SearchConfig(section.beam, section.max_active)
    jobs = jobs or cores()
    torch.set_num_threads(max(1, jobs // 2))  # the search runs beside it, and idle threads of torch's spin
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = acoustic.load(layout.run(run), device, config.model.kind)
    of_model = outputs.of(config, model)
    for one_split in sorted(split):  # dev before test
        tried = [scoring.to_try(results, run, name, one_split, of_model.settings) for name in lm]
        decoder = Decoder(graphs, words, of_model.times, tried, of_model.shift_s, settings, jobs)
        total = posteriors.count(config, one_split)
        found = decoder.decode(of_model.scores(model_shards(config, one_split)))
        by_lm = list(zip(*progress(found, f"decode {run} {one_split}", total), strict=True))
        for name, utterances in zip(lm, by_lm, strict=True):
            lost = sum(one.cost is None for found in utterances for one in found)
            if lost:
                logger.info(f"decode: {lost} searches ended with no path: widen decoding.beam")
            lines = (one for found in utterances for one in found)
            hypotheses.write(layout.hypotheses(run, name, one_split), lines)


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.argument("lm", callback=_several(LMS))
@config_option
def score(run: str, lm: list[str], config_path: str) -> None:
    """Word error rate of RUN with LM (unigram, ngram, or all) on test, at the acoustic scale that is best
    on dev.

    Writes score.json, and trn, ctm and stm files for sclite."""
    config = dasr_config.load(config_path)
    dasr_config.find_run(config, run)
    from dasr.decoding import scoring

    for name in lm:
        found: dict[str, Any] = scoring.score(Path(config.results), run, name)
        if "diverged" in found:
            print(f"{run} {name}: diverged, not decoded")
            continue
        wer = f"WER {found['wer']:.2f} % [{found['wer_low']:.2f}, {found['wer_high']:.2f}]"
        counts = f"{found['subs']} sub, {found['dels']} del, {found['ins']} ins of {found['words']} words"
        penalty = f", blank penalty {found['blank_penalty']:g}" if found["blank_penalty"] else ""
        setting = f"acoustic scale {found['scale']}{penalty} (dev {found['dev_wer']:.2f} %)"
        print(f"{run} {name}: {wer} ({counts}), {setting}")
        if found["scale_at_edge"]:
            logger.info(
                f"{run} {name}: that scale is at the edge of decoding.acoustic_scales: add some beyond"
            )
