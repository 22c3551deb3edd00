"""`dasr hmm`, `dasr align`, `dasr lm`, `dasr graph`. Heavy imports happen inside, when a command runs."""

from __future__ import annotations

from pathlib import Path

import click

from dasr import checksums
from dasr import config as configuration
from dasr.config import SPLITS, Config
from dasr.errors import UserError
from dasr.files import atomic, write_text
from dasr.results.layout import LMS, Layout

CONFIG = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), default="config.yaml", show_default=True,
    help="The configuration.",
)  # fmt: skip
JOBS = click.option(
    "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Alignment processes."
)


def _shards(config: Config, split: str) -> list[Path]:
    layout = Layout.of(config)
    return [layout.feature_shard("mfcc", split, n) for n in range(config.features.shards.of(split))]


def _import_from(config: Config) -> Path | None:
    given = config.hmm.import_from
    return Path(given) if given else None


@click.command()
@CONFIG
@JOBS
def hmm(config_file: Path, jobs: int) -> None:
    """Train the GMM-HMM bootstrap: topology, tree, transition model, GMM.

    Reads the MFCC shards of train; writes an HMM system in Kaldi's formats. With hmm.import_from, takes
    Kaldi's instead.
    """
    from dasr.corpora.language import Lexicon
    from dasr.corpora.rejects import Rejects
    from dasr.hmm import importing, material, system
    from dasr.hmm.aligner import aligner
    from dasr.hmm.alignment import pdf_counts
    from dasr.hmm.bootstrap import Bootstrap
    from dasr.hmm.lexicon_transducer import LexiconTransducer

    config = configuration.load(config_file)
    layout = Layout.of(config)
    rejects = Rejects("hmm")
    with atomic(layout.hmm) as folder:
        if source := _import_from(config):
            num_pdfs = importing.import_system(source, folder)
        else:
            settings = config.hmm
            lexicon = Lexicon.of_lang(layout.lang)
            transducer = LexiconTransducer(lexicon)
            system.write_lang(folder, transducer)
            words = {word: transducer.word_ids[word] for word in transducer.words}
            text = layout.text("train")
            unknown = words.get(lexicon.unknown or "")
            everything = material.listing(_shards(config, "train"), text, words, rejects, unknown)
            what, total = "the training transcripts", len(everything.utterances)
            fraction = config.corpus.max_bad_fraction
            rejects.check(what, total, fraction, material.advice(rejects))
            if unknown:
                number = sum(said.count(unknown) for said in everything.transcripts)
                click.echo(f"{what}: {number} words are aligned as {lexicon.unknown}", err=True)
            usable = everything.usable().limit_duration(3600 * settings.hours).read()
            with aligner(usable, folder / "L.fst", jobs) as pool:
                bootstrap = Bootstrap(usable, transducer, pool, settings)
                first, model = bootstrap.train()
            counts = pdf_counts(bootstrap.ids, model.transitions)
            system.write_system(folder, transducer, first, model, counts)
            num_pdfs = model.gmm.num_pdfs
        about = {"num_pdfs": num_pdfs, "hmm": config.hmm.model_dump(), "rejected": list(rejects.rows())}
        checksums.write_manifest(folder, {**about, checksums.FILES: checksums.of_folder(folder)})
    click.echo(f"{layout.hmm}: {num_pdfs} tied states", err=True)


@click.command()
@click.option("--split", type=click.Choice(SPLITS), required=True, help="Which data set.")
@click.option("--shard", type=click.IntRange(0), required=True, help="Number of the shard, from 0.")
@CONFIG
@JOBS
def align(split: str, shard: int, config_file: Path, jobs: int) -> None:
    """Align one shard: a tied-state label for every frame, -1 in rejected utterances."""
    from dasr.corpora.rejects import Rejects
    from dasr.features.labels import write_labels
    from dasr.features.store import Shard
    from dasr.hmm import alignment, material
    from dasr.hmm.system import HmmSystem

    config = configuration.load(config_file)
    layout = Layout.of(config)
    shards = _shards(config, split)
    if not 0 <= shard < len(shards):
        raise UserError(f"{split} has {len(shards)} shards, numbered from 0; there is no shard {shard}")
    system = HmmSystem.load(layout.hmm)
    rejects = Rejects("align")
    if source := _import_from(config):
        features = Shard.open(shards[shard])
        utterances, offsets = features.utterances, features.offsets
        aligned = alignment.imported(
            utterances, offsets[1:] - offsets[:-1], source, system.transitions, rejects
        )
    else:
        text = layout.text(split)
        given = material.listing([shards[shard]], text, system.words, rejects, system.unknown).read()
        rejects = Rejects(
            "align", {name: why for name, why in rejects.reasons.items() if name in set(given.utterances)}
        )
        utterances, offsets = list(given.utterances), given.offsets
        aligned = alignment.align(given, system, jobs, rejects)
    for row in rejects.rows():
        click.echo(f"rejected {row['utterance']}: {row['reason']}", err=True)
    fraction = config.corpus.max_bad_fraction
    rejects.check(f"{split} shard {shard:04d}", len(utterances), fraction, material.advice(rejects))
    target = layout.alignment(split, shard)
    about = {"kind": "labels", "split": split, "shard": shard, "rejected": list(rejects.rows())}
    labels = alignment.labels_of(aligned, offsets, system.transitions)
    write_labels(target, labels, offsets, utterances, system.num_pdfs, about)
    click.echo(
        f"{target}: {len(utterances) - len(rejects)} of {len(utterances)} utterances aligned", err=True
    )


@click.command()
@CONFIG
def lm(config_file: Path) -> None:
    """Estimate an n-gram language model (ARPA) from the training transcripts."""
    from dasr.corpora import tables
    from dasr.corpora.language import Lexicon
    from dasr.corpora.rejects import Rejects
    from dasr.hmm import ngram

    config = configuration.load(config_file)
    layout = Layout.of(config)
    vocabulary = Lexicon.of_lang(layout.lang).spoken
    text = layout.text("train")
    sentences = [tables.fields(line) for line in tables.read_table(text, Rejects("lm")).values()]
    model = ngram.estimate(sentences, vocabulary, config.decoding.ngram_order)
    with atomic(layout.lm) as folder:
        write_text(folder / "ngram.arpa", model.arpa())
        checksums.write_manifest(folder, {checksums.FILES: checksums.of_folder(folder)})
    click.echo(f"{layout.arpa('ngram')}: {model.summary()}", err=True)


@click.command()
@click.argument("language_model", metavar="LM", type=click.Choice(LMS))
@CONFIG
def graph(language_model: str, config_file: Path) -> None:
    """Compile a decoding graph (tied state + 1 in, words out) from the HMM system and LM: unigram or ngram.

    With training.criterion ctc: from the lexicon's units and LM (unit + 1 in)."""
    from dasr.criteria.units import Units
    from dasr.hmm import graph as compiler
    from dasr.hmm import token_graph
    from dasr.hmm.system import HmmSystem

    config = configuration.load(config_file)
    layout = Layout.of(config)
    arpa = layout.arpa(language_model)
    with atomic(layout.graph(language_model)) as folder:
        if config.training.criterion == "ctc":
            summary = token_graph.write_graph(folder, Units.read(config.training.units, layout), arpa)
        else:
            summary = compiler.write_graph(folder, HmmSystem.load(layout.hmm), arpa)
        sums = checksums.of_folder(folder)
        checksums.write_manifest(folder, {"lm": language_model, **summary, checksums.FILES: sums})
    click.echo(
        f"{layout.graph(language_model)}: {summary['states']} states, {summary['arcs']} arcs", err=True
    )
