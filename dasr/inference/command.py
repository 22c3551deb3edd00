"""`dasr transcribe` and `dasr export`: a trained run's model in use."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from dasr import completion
from dasr import config as dasr_config
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.progress import progress
from dasr.results.layout import LMS
from dasr.workers import cores

logger = logging.getLogger(__name__)

config_option = click.option(
    "--config", "config_path", default="config.yaml", show_default=True, help="configuration"
)


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--lm", type=click.Choice(LMS), default="ngram", show_default=True, help="language model")
@click.option(
    "--out", type=click.Path(path_type=Path), help="write text, hyp.trn and hyp.ctm into this folder"
)
@click.option(
    "--speaker-a-folder", is_flag=True, help="files of one folder are of one speaker, not of one each"
)
@click.option("--jobs", type=click.IntRange(1), default=None, help="worker processes [default: all cores]")
@click.option(
    "--device", default=None, help="of the network: cpu or cuda [default: a GPU where there is one]"
)
@config_option
def transcribe(
    run: str,
    audio: tuple[Path, ...],
    lm: str,
    out: Path | None,
    speaker_a_folder: bool,
    jobs: int | None,
    device: str | None,
    config_path: str,
) -> None:
    """Transcribe AUDIO with RUN's model: audio files, folders of them, a wav.scp, or Kaldi data directories.

    Prints `id words...`. The acoustic scale is the one that `dasr score` found on dev. Recordings over 30 s
    are cut where they are quiet; other sample rates are converted. Speakers, for normalisation and
    adaptation, are those of an utt2spk beside a wav.scp."""
    import torch

    from dasr.inference import sources
    from dasr.inference import transcribe as transcribing

    config = dasr_config.load(config_path)
    dasr_config.find_run(config, run)
    rejects = Rejects("transcribe")
    entries = sources.entries(audio, rejects, config.corpus.allow_pipes, speaker_a_folder)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    task = transcribing.Task(config, run, lm, jobs or cores(), device)
    done = []
    for one in progress(transcribing.transcribe(task, entries, rejects), "transcribe", len(entries)):
        print(" ".join([one.utterance, *one.words]), flush=True)
        done.append(one)
    for row in rejects.rows():
        logger.warning(f"rejected: {row['utterance']}: {row['reason']}")
    if out is not None:
        transcribing.write(done, out)
    if not done:
        raise UserError("nothing could be transcribed: see the warnings above")


SUFFIX = {"onnx": ".onnx", "torchscript": ".pt"}


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--to", type=click.Choice(list(SUFFIX)), required=True, help="format")
@click.option("--out", type=click.Path(path_type=Path), help="file [default: RUN.onnx or RUN.pt]")
@config_option
def export(run: str, to: str, out: Path | None, config_path: str) -> None:
    """Write RUN's model as a file that needs no dasr, and FILE.json: margin, subsampling, log-priors, ...

    The file is run on utterances of dev and compared with the original: beyond a difference of 1e-4 nothing
    is written."""
    config = dasr_config.load(config_path)
    dasr_config.find_run(config, run)
    from dasr.inference import export as exporting
    from dasr.models import acoustic
    from dasr.results.layout import Layout

    model = acoustic.load(Layout.of(config).run(run), "cpu", config.model.kind)
    path = out or Path(run + SUFFIX[to])
    difference = exporting.export(config, model, to, path)
    print(f"{path}: largest difference of a log-posterior from the original {difference:.1e}")
