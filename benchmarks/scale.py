"""What the workflow costs for a corpus of millions of utterances: tables without speech, nothing is trained.

    python -m benchmarks.scale corpus       # `dasr corpus`, 2.4 million utterances in 24,000 recordings
    python -m benchmarks.scale dry-run      # `snakemake --dry-run`, 1 million audio files, nothing to do

Both write below a temporary folder (`--folder`), the second a million files of one byte.
Bars: 3 min and 1.5 GB on two cores; 20 s and 400 MB.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks import commandline, records
from dasr.project import SNAKEFILE

WORDS = [f"word{number}" for number in range(1000)]
A_SPEAKER = 100  # utterances
A_FOLDER = 10_000  # audio files
TESTED = 1000  # utterances of dev, and of test
# Stands in for `dasr`: makes the outputs of a stage as empty files.
STAGES = r"""
dasr() {
    local stage=$1 split= shard= all=("$@")
    for ((i = 0; i < $#; i++)); do
        case ${all[i]} in --split) split=${all[i+1]} ;; --shard) shard=${all[i+1]} ;; esac
    done
    local one=$split/$shard/manifest.json
    case $stage in
        check | corpus) python -m dasr "$@"; return ;;
        features) set -- "results/features/$2/$one" ;;
        adapt) set -- "results/features/fmllr/$one" ;;
        align) set -- "results/alignments/$one" ;;
        hmm) set -- results/hmm/manifest.json ;;
        lm) set -- results/lm/ngram.arpa ;;
        graph) set -- "results/graphs/$2/manifest.json" ;;
        train) set -- "results/runs/$2/model.safetensors" ;;
        evaluate) set -- "results/runs/$2/heldout.jsonl" ;;
        decode) set -- "results/decode/$2/"{unigram,ngram}/{dev,test}.jsonl ;;
        score) set -- "results/decode/$2/"{unigram,ngram}/score.json ;;
        compare) set -- results/comparison.tsv ;;
        predict) set -- results/simulation/speedup.jsonl ;;
        report) set -- results/report.html results/figures/wer.svg ;;
        track) set -- results/mlflow/tracked.json ;;
    esac
    for one; do mkdir -p "${one%/*}"; : >"$one"; done
}
"""


@dataclass(frozen=True)
class Cost:
    """Of one command and its children."""

    wall_s: float
    cpu_s: float
    peak_mb: float  # of the largest process
    output: str


def measured(command: list[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    """Raises SystemExit where the command fails."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{text[-3000:]}")
    wall = time.perf_counter() - begin
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text)


def write_split(folder: Path, split: str, utterances: int, per_recording: int) -> None:
    """A data directory with audio of one byte a file; lengths are in utt2dur, so no audio is opened."""
    random.seed(split)
    place = folder / split
    place.mkdir(parents=True)
    with ExitStack() as stack:
        names = ["wav.scp", "text", "utt2spk", "utt2dur", *(["segments"] if per_recording > 1 else [])]
        tables = {name: stack.enter_context(open(place / name, "w", encoding="utf-8")) for name in names}
        for number in range(utterances):
            speaker = f"{split}{number // A_SPEAKER:06d}"
            name = f"{speaker}-{number:08d}"
            audio, within = divmod(number, per_recording)
            recording = f"rec{audio:08d}" if per_recording > 1 else name
            if within == 0:
                file = folder / "audio" / split / f"{audio // A_FOLDER:04d}" / f"{audio:08d}.flac"
                if audio % A_FOLDER == 0:
                    file.parent.mkdir(parents=True)
                file.write_bytes(b"0")
                tables["wav.scp"].write(f"{recording} {file}\n")
            tables["text"].write(f"{name} {' '.join(random.choices(WORDS, k=10))}\n")
            tables["utt2spk"].write(f"{name} {speaker}\n")
            tables["utt2dur"].write(f"{name} 3.00\n")
            if per_recording > 1:
                tables["segments"].write(f"{name} {recording} {3 * within}.00 {3 * within + 3}.00\n")


def write_project(folder: Path, utterances: int, per_recording: int, shards: int) -> None:
    """A corpus and a configuration of default training in `folder`."""
    corpus = folder / "corpus"
    for split, count in {"train": utterances, "dev": TESTED, "test": TESTED}.items():
        write_split(corpus, split, count, per_recording)
    (corpus / "lang").mkdir()
    lexicon = [("<SIL>", "SIL"), *((word, "A B C") for word in WORDS)]
    (corpus / "lang" / "lexicon.txt").write_text("".join(f"{word} {phones}\n" for word, phones in lexicon))
    config = {
        "corpus": {"kind": "kaldi", "path": str(corpus)},
        "features": {"shards": {"train": shards, "dev": 1, "test": 1}},
        "comparison": {"name": "scale", "strategies": ["single", "sc-allreduce"], "learners": [4]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def corpus(folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[str, Cost]]:
    write_project(folder, arguments.utterances or 2_400_000, 100, arguments.shards)
    yield "dasr corpus", measured([sys.executable, "-m", "dasr", "corpus"], folder, {})


def dry_run(folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[str, Cost]]:
    write_project(folder, arguments.utterances or 1_000_000, 1, arguments.shards)
    (folder / "stages").write_text(STAGES)
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE, "--cores", "2"]
    environment = {"XDG_CACHE_HOME": str(folder / ".cache"), "BASH_ENV": str(folder / "stages")}
    options = ["--set-threads", "train=1"]
    measured([*snakemake, *options], folder, environment)
    nothing = measured([*snakemake, *options, "--dry-run"], folder, environment)
    if "Nothing to be done" not in nothing.output:
        raise SystemExit(f"there was something to do:\n{nothing.output[-3000:]}")
    yield "snakemake --dry-run, nothing to do", nothing
    audio = next((folder / "corpus" / "audio" / "train" / "0000").iterdir())
    os.utime(audio)
    touched = measured([*snakemake, *options, "--dry-run"], folder, environment)
    planned = [line.split() for line in touched.output.splitlines()]
    if ["features", "1"] not in planned:
        raise SystemExit(f"not one shard would be made again:\n{touched.output[-3000:]}")
    yield "snakemake --dry-run, one recording touched", touched


Case = Callable[[Path, argparse.Namespace], Iterator[tuple[str, Cost]]]
CASES: dict[str, tuple[records.What, Case]] = {
    "corpus": ("scale-corpus", corpus),
    "dry-run": ("scale-dry-run", dry_run),
}


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--utterances", type=int, help="of train [default: those of the bar]")
    parser.add_argument("--shards", type=int, default=100, help="of train")
    parser.add_argument("--folder", type=Path, help="in which to write [default: the system's temporary one]")
    arguments = parser.parse_args()
    lines = []
    name, case = CASES[arguments.case]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for what, cost in case(Path(folder), arguments):
            print(
                f"{what}: {cost.wall_s:.0f} s, {cost.cpu_s:.0f} s of CPU, {cost.peak_mb:.0f} MB", flush=True
            )
            figures = {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb}
            lines.append({"what": what} | {key: round(value, 1) for key, value in figures.items()})
    commandline.keep(records.make(name, lines), arguments.record)


if __name__ == "__main__":
    commandline.run(main)
