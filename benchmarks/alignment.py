"""Time the HMM stage and the context-dependent alignment of all of AN4's training utterances (train and dev).

    python benchmarks/alignment.py [--config config.yaml] [--threads 2] [--json FILE]

Corpus and MFCCs are made in a temporary folder and not counted; the rest is `dasr hmm`, then `dasr align` for
every shard, one after another, each as its own process, as the pipeline runs them. The word error rate of the
GMM itself on test is measured too: one pass without fMLLR, and one with fMLLR found along the first's words.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import kaldialign
import numpy as np

from dasr import config as configuration
from dasr.config import Config
from dasr.corpora.rejects import Rejects
from dasr.decoding.search import SearchConfig, best_path, read_graph, read_words
from dasr.hmm import material
from dasr.hmm.aligner import GmmAcousticModel, adapt_and_align, aligner
from dasr.hmm.gmm import extended
from dasr.hmm.system import HmmSystem

SCALES = (1 / 12, 1 / 16, 1 / 20, 1 / 25, 1 / 32, 1 / 40)


def run(*arguments: str, config: Path) -> tuple[float, float]:
    """Seconds that `dasr ...` took: wall clock, and of CPU (which a busy machine does not change)."""
    begin, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", "from dasr.cli import main; main()", *arguments, "--config", str(config)]
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
    return time.perf_counter() - begin, cpu


def align_everything(config: Config, path: Path, threads: int) -> dict[str, Any]:
    """Run the stages; their seconds and the number of utterances set aside."""
    shards = config.features.shards
    run("corpus", config=path)
    for split in ("train", "dev", "test"):
        for shard in range(shards.of(split)):
            run("features", "mfcc", "--split", split, "--shard", str(shard), config=path)
    bootstrap = run("hmm", "--threads", str(threads), config=path)
    seconds, cpu, utterances, rejected = 0.0, 0.0, 0, 0
    for split in ("train", "dev"):
        for shard in range(shards.of(split)):
            arguments = ("align", "--split", split, "--shard", str(shard), "--threads", str(threads))
            wall, spent = run(*arguments, config=path)
            seconds, cpu = seconds + wall, cpu + spent
            manifest = Path(config.results) / "alignments" / split / f"{shard:04d}" / "manifest.json"
            found = json.loads(manifest.read_text())
            utterances, rejected = utterances + found["num_utterances"], rejected + len(found["rejected"])
    return {
        "hmm_s": round(bootstrap[0], 1),
        "hmm_cpu_s": round(bootstrap[1], 1),
        "align_s": round(seconds, 1),
        "align_cpu_s": round(cpu, 1),
        "utterances": utterances,
        "set_aside": rejected,
    }


class GmmDecoder:
    """Decodes a split with the GMM, in two passes: unadapted, then with fMLLR along the first pass' words."""

    def __init__(self, results: Path, system: HmmSystem, shards: dict[str, int], lm: str) -> None:
        self.results, self.system, self.shards = results, system, shards
        folder = results / "graphs" / lm
        self.graph, self.words = read_graph(folder / "HCLG.fst"), read_words(folder / "words.txt")
        first = system.speaker_independent
        assert first is not None
        self.first = first

    def load(self, split: str) -> tuple[material.AlignmentData, list[list[str]]]:
        folders = [self.results / "features" / "mfcc" / split / f"{n:04d}" for n in range(self.shards[split])]
        text = self.results / "corpus" / split / "text"
        said = dict(line.split(maxsplit=1) for line in text.read_text().splitlines())
        given = material.listing(folders, text, self.system.words, Rejects("benchmark")).read()
        return given, [said[name].split() for name in given.utterances]

    def search(self, model: GmmAcousticModel, given: material.AlignmentData, scale: float) -> list[list[int]]:
        pdfs, config = np.arange(self.system.num_pdfs), SearchConfig(beam=15.0)
        scores = (
            model.gmm.log_likelihoods(extended(model.features(given, n)), pdfs)
            for n in range(len(given.utterances))
        )
        return [best_path(self.graph, x, scale, config).words for x in scores]

    def adapted(self, given: material.AlignmentData, words: list[list[int]]) -> GmmAcousticModel:
        """The adapted model with fMLLR maps found along `words`."""
        heard = replace(given, transcripts=words)
        with aligner(heard, self.system.lexicon_fst, 1) as pool:
            return adapt_and_align(pool, heard, self.first, self.system.acoustics)[0]

    def rate(self, found: list[list[int]], said: list[list[str]]) -> float:
        """Word error rate, per cent."""
        errors = sum(
            kaldialign.edit_distance(reference, [self.words[w] for w in words])["total"]
            for reference, words in zip(said, found, strict=True)
        )
        return float(100 * errors / sum(map(len, said)))

    def report(self) -> dict[str, float]:
        dev, dev_said = self.load("dev")
        test, test_said = self.load("test")
        first = {scale: self.search(self.first, dev, scale) for scale in SCALES}
        scale = min(SCALES, key=lambda one: self.rate(first[one], dev_said))
        heard = self.search(self.first, test, scale)
        adapted = self.adapted(dev, first[scale])
        second = min(SCALES, key=lambda one: self.rate(self.search(adapted, dev, one), dev_said))
        rescored = self.search(self.adapted(test, heard), test, second)
        return {
            "wer_first_pass": round(self.rate(heard, test_said), 2),
            "wer_fmllr": round(self.rate(rescored, test_said), 2),
            "scale_first_pass": round(scale, 4),
            "scale_fmllr": round(second, 4),
        }


def decode(config: Config, path: Path) -> dict[str, Any]:
    """Word error rates of the GMM on test, acoustic scales chosen on dev."""
    results = Path(config.results)
    system = HmmSystem.load(results / "hmm")
    run("lm", config=path)
    report: dict[str, Any] = {}
    for lm in ("unigram", "ngram"):
        run("graph", lm, config=path)
        report[lm] = GmmDecoder(results, system, config.features.shards, lm).report()
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("config.yaml"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = configuration.load(options.config)
        config = configuration.complete({**config.plain(), "results": folder})
        path = Path(folder) / "config.yaml"
        path.write_text(config.text())
        report = {
            "date": datetime.date.today().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
            "load_before": round(os.getloadavg()[0], 1),
            "threads": options.threads,
            **align_everything(config, path, options.threads),
            **decode(config, path),
        }
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
