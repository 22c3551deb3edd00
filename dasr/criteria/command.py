"""`dasr units`."""

from __future__ import annotations

from pathlib import Path

import click

from dasr import config as configuration
from dasr.results.layout import Layout


@click.command()
@click.option("--config", "config_path", default="config.yaml", show_default=True, type=Path)
def units(config_path: Path) -> None:
    """Learn the pieces of words (training.units: bpe) from the training transcripts, training.pieces of them,
    and spell the lexicon's words with them."""
    from dasr import checksums
    from dasr.corpora import tables
    from dasr.corpora.language import Lexicon
    from dasr.corpora.rejects import Rejects
    from dasr.criteria import pieces
    from dasr.files import atomic, write_text

    config = configuration.load(config_path)
    layout = Layout.of(config)
    words = sorted(Lexicon.of_lang(layout.lang).spoken)
    sentences = tables.read_table(layout.text("train"), Rejects("units")).values()
    model = pieces.learn(sentences, words, config.training.pieces)
    spellings = pieces.spell(model, words)
    with atomic(layout.units) as folder:
        folder.mkdir()
        (folder / pieces.MODEL).write_bytes(model)
        write_text(folder / pieces.SPELLINGS, pieces.text(spellings))
        checksums.write_manifest(folder, {checksums.FILES: checksums.of_folder(folder)})
    used = len({piece for said in spellings.values() for piece in said})
    click.echo(f"{layout.units}: {len(words)} words spelled with {used} pieces", err=True)
