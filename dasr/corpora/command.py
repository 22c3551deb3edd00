"""`dasr corpus`: a corpus as Kaldi data directories, cut into shards of whole speakers."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from dasr import checksums
from dasr.config import SPLITS, Config, CorpusConfig, load
from dasr.corpora import an4, importing, kaldi, splits, survey
from dasr.corpora.datadir import Entry, read_data_dir, write_data_dir
from dasr.corpora.language import Lexicon
from dasr.corpora.rejects import SHOWN, Rejects
from dasr.errors import UserError
from dasr.files import atomic, check_place
from dasr.progress import progress

logger = logging.getLogger(__name__)

IMPORT_EXAMPLES = """\b
Examples:
  dasr corpus import --from librispeech LibriSpeech/dev-clean data/dev
  dasr corpus import --from commonvoice cv-corpus/de/train.tsv data/train
"""


@click.group(invoke_without_command=True)
@click.option(
    "--config", "config_path", default="config.yaml", show_default=True, help="The configuration file."
)
@click.option("--strict", is_flag=True, help="Stop, and write nothing, where something is odd.")
@click.pass_context
def corpus(context: click.Context, config_path: str, strict: bool) -> None:
    """Make Kaldi data directories (train, dev, test) with shards, and lang/, from the corpus that the config
    names. Says what is in it, and what is odd: unknown words, sample rates, channels, lengths, speakers.
    """
    if context.invoked_subcommand is None:
        make(load(config_path), strict)


@corpus.command("import", epilog=IMPORT_EXAMPLES)
@click.option("--from", "kind", type=click.Choice(list(importing.READERS)), required=True, help="layout")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def import_(kind: str, source: Path, folder: Path) -> None:
    """Make the Kaldi data directory FOLDER of SOURCE, one split of a corpus in another layout.

    SOURCE: a folder of LibriSpeech (dev-clean), a TSV of Common Voice, a folder (or cuts.jsonl.gz) of lhotse,
    a folder that datasets' save_to_disk wrote. Audio stays where it is, unless it is inside a data set."""
    count, rejects = importing.write(kind, source, folder)
    for name, reason in list(rejects.reasons.items())[:SHOWN]:
        logger.warning(f"rejected: {name}: {reason}")
    print(f"{folder}: {count} utterances, {len(rejects)} rejected (rejected.jsonl)")


def make(config: Config, strict: bool = False) -> None:
    """Write RESULTS/corpus. Raises UserError for bad input; what it replaces stays until all is well."""
    settings = config.corpus
    target = Path(config.results) / "corpus"
    entries, rejects = read(settings)
    lang = language(settings)
    parts = {}
    for split in SPLITS:
        entries[split] = timed(splits.limit(entries[split], settings.limit), split, settings.sample_rate)
        parts[split] = splits.shards(entries[split], config.features.shards.of(split), split)
    look_at(entries, rejects, lang, settings, strict)
    for split in SPLITS:
        with atomic(target / split) as folder:
            write_data_dir(folder, [entry for part in parts[split] for entry in part])
            rejects[split].write(folder / "rejected.jsonl")
            for number, part in enumerate(parts[split]):
                write_data_dir(folder / "shards" / f"{number:04d}", part)
        forget_shards(Path(config.results), split, len(parts[split]))
    with atomic(target / "lang") as folder:
        folder.mkdir()
        for name, text in lang.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        if "unigram.arpa" not in lang.files:
            kaldi.write_language_model(lang.model, lang.lexicon.spoken, folder / "unigram.arpa")
        checksums.write_manifest(folder, {checksums.FILES: checksums.of_folder(folder)})


def forget_shards(results: Path, split: str, count: int) -> None:
    """Remove features and alignments of shards that the corpus no longer has: nobody shall train on them."""
    for folder in (*results.glob(f"features/*/{split}/[0-9]*"), *results.glob(f"alignments/{split}/[0-9]*")):
        if int(folder.name) >= count:
            check_place(folder / "file")
            shutil.rmtree(folder)


def read(settings: CorpusConfig) -> tuple[dict[str, list[Entry]], dict[str, Rejects]]:
    """Entries and rejects of each split; dev is held out of train where the corpus has none."""
    path = Path(settings.path)
    if not path.is_dir():
        raise UserError(f"corpus.path: there is no folder {path}")
    given = [s for s in SPLITS if s != "dev" or (settings.kind == "kaldi" and (path / "dev").is_dir())]
    rejects = {split: Rejects("corpus") for split in SPLITS}
    if settings.kind == "an4":
        entries = {split: an4.read(path, split, rejects[split]) for split in given}
    else:
        pipes = settings.allow_pipes
        entries = {split: read_data_dir(path / split, rejects[split], pipes) for split in given}
    for split in given:
        bad = rejects[split]
        bad.check(f"corpus {split}", len(entries[split]) + len(bad), settings.max_bad_fraction)
        if not entries[split]:
            raise UserError(f"{path}: {split} has no utterance")
    if "dev" not in entries:
        entries["train"], entries["dev"] = splits.hold_out(entries["train"], settings.dev_speakers)
    return entries, rejects


def timed(entries: list[Entry], split: str, sample_rate: int) -> list[Entry]:
    """Entries with their length in seconds, from the audio files' headers, wherever it is cheap to know."""
    unknown = [index for index, entry in enumerate(entries) if _is_timed_by_header(entry)]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda index: _with_length(entries[index], sample_rate), unknown)
        timed = dict(zip(unknown, progress(found, f"audio of {split}", len(unknown)), strict=True))
    return [timed.get(index, entry) for index, entry in enumerate(entries)]


def _is_timed_by_header(entry: Entry) -> bool:
    return entry.seconds is None and not entry.feats and entry.begin is None


def _with_length(entry: Entry, sample_rate: int) -> Entry:
    import soundfile

    if not Path(entry.audio).is_file():
        return entry
    if entry.audio.endswith(".raw"):
        return dataclasses.replace(entry, seconds=Path(entry.audio).stat().st_size / 2 / sample_rate)
    try:
        return dataclasses.replace(entry, seconds=soundfile.info(entry.audio).duration)
    except (soundfile.LibsndfileError, OSError):
        return entry  # corrupt: for the features stage to find out


def look_at(
    entries: dict[str, list[Entry]],
    rejects: dict[str, Rejects],
    lang: Language,
    settings: CorpusConfig,
    strict: bool,
) -> None:
    """Say what the corpus is and what is odd about it. Raises UserError for that if `strict`."""
    corpus = {split: entries[split] for split in SPLITS}
    for line in survey.summary(corpus, lang.lexicon):
        logger.info("%s", line)
    odd = list(
        survey.oddities(corpus, lang.lexicon, survey.Expected(settings.sample_rate, settings.resample))
    )
    for split in SPLITS:
        if bad := rejects[split]:
            name, reason = next(iter(bad.reasons.items()))
            odd.append(f"{split}: {len(bad)} utterances are rejected; {name}: {reason}")
    for line in odd:
        logger.warning("%s", line)
    if strict and odd:
        raise UserError(f"{settings.path}: {len(odd)} oddities (listed above), and --strict allows none")


@dataclasses.dataclass(frozen=True)
class Language:
    """What will be in lang/: files by name, and the unigram: an ARPA file, or else uniform over its words."""

    files: dict[str, str]
    lexicon: Lexicon
    model: Path | None = None


def language(settings: CorpusConfig) -> Language:
    """Raises UserError for a lexicon or a language model that cannot be read."""
    path = Path(settings.path)
    if settings.kind == "kaldi":
        lexicon = kaldi.lexicon(path)
        return Language(lexicon.files(), lexicon, kaldi.language_model(path))
    lexicon = an4.lexicon(path)
    model = an4.unigram(path, lexicon.words).arpa()
    return Language({**lexicon.files(), "unigram.arpa": model}, lexicon)
