"""`dasr adapt`."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from dasr import config as dasr_config
from dasr.config import SPLITS
from dasr.workers import cores

logger = logging.getLogger(__name__)


@click.command()
@click.option("--split", type=click.Choice(SPLITS), required=True)
@click.option("--shard", type=click.IntRange(0), required=True)
@click.option("--jobs", type=click.IntRange(1), default=None, help="worker processes [default: all cores]")
@click.option("--config", "config_path", default="config.yaml", show_default=True, help="configuration")
def adapt(split: str, shard: int, jobs: int | None, config_path: str) -> None:
    """Speaker-adapted (fMLLR) features of one shard, from its MFCCs and the GMM.

    Train is adapted along its transcripts, dev and test along what a first pass with the GMM recognises."""
    config = dasr_config.load(config_path)
    from dasr.adaptation import features

    manifest = features.make(Path(config.results), split, f"{shard:04d}", jobs or cores())
    logger.info(f"fmllr {split}/{shard:04d}: {manifest['num_utterances']} utterances")
