"""`dasr features`: one shard of a data directory to one feature shard, by one process."""

from __future__ import annotations

import logging
from typing import cast

import click

from dasr.config import SPLITS, load
from dasr.errors import UserError

logger = logging.getLogger(__name__)

KINDS = ("fbank", "mfcc")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--split", required=True, type=click.Choice(SPLITS))
@click.option("--shard", required=True, help="Its number, as in RESULTS/corpus/SPLIT/shards/ (0000).")
@click.option(
    "--config", "config_path", default="config.yaml", show_default=True, help="The configuration file."
)
def features(kind: str, split: str, shard: str, config_path: str) -> None:
    """Extract KIND (fbank or mfcc) features of one shard into RESULTS/features/KIND/SPLIT/SHARD."""
    config = load(config_path)
    if not shard.isdigit():
        raise UserError(f"--shard {shard} is not a number")
    import torch

    from dasr.features.extraction import make
    from dasr.features.mel import Kind

    torch.set_num_threads(1)  # one shard is one process on one core; jobs are what runs in parallel
    manifest = make(config, cast(Kind, kind), split, f"{int(shard):04d}")
    hours = manifest["seconds"] / 3600
    logger.info(
        f"{kind} {split}/{shard}: {manifest['num_utterances']} utterances, {manifest['num_frames']} frames "
        f"({hours:.3f} h), {len(manifest['rejected'])} rejected"
    )
