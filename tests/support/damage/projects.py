"""Two finished working folders whose files are damaged: a comparison on a small part of AN4, and a corpus and
an HMM system in Kaldi's form."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dasr.corpora.datadir import Entry, read_data_dir
from dasr.corpora.rejects import Rejects
from dasr.features.labels import read_labels
from dasr.features.store import Shard
from dasr.hmm.system import HmmSystem
from dasr.worlds.simulated import clusters, presets

ROOT = Path(__file__).resolve().parents[3]
RUN = "single-L1-B32-S0"
AN4 = """\
corpus: {{path: {corpora}/an4, limit: 80, dev_speakers: 2, max_bad_fraction: 0.3}}
features: {{shards: {{train: 2}}}}
hmm: {{leaves: 60, gaussians: 200, monophone_iterations: 5, triphone_iterations: 3}}
model: {{preset: demo, layers: 1, cells: 32}}
training: {{epochs: 1, snapshots: 2, checkpoint_seconds: 0.001}}
comparison: {{name: small, strategies: [single, sc-allreduce], learners: [2]}}
decoding: {{acoustic_scales: [0.1]}}
simulation: {{max_learners: 4}}
"""
KALDI = """\
corpus: {{kind: kaldi, path: {corpus}, max_bad_fraction: 0.5}}
features: {{kind: fbank, shards: {{train: 1}}}}
hmm: {{import_from: tri_ali}}
model: {{preset: demo, layers: 1, cells: 32}}
comparison: {{name: small, strategies: [single], learners: [1]}}
decoding: {{acoustic_scales: [0.1]}}
"""
PREPARE = [
    "corpus", "features fbank --split train --shard 0000", "features fbank --split dev --shard 0000",
    "features mfcc --split train --shard 0000", "hmm", "graph unigram",
]  # fmt: skip
UTTERANCES = 6  # a split: one for each kind of audio file
AUDIO = ("wav", "flac", "sph", "ogg", "ark", "segment")
FST_FILES = ("phones.txt", "words.txt", "L.fst", "L_disambig.fst")


def an4(folder: Path) -> Path:
    """A comparison of two runs with everything that its stages write, made once."""
    if not (folder / "results" / "mlflow" / "tracked.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(AN4.format(corpora=ROOT / "corpora"))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--profile", str(ROOT / "profiles" / "local")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / ".cache")}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        shutil.copytree(ROOT / "corpora" / "an4" / "etc", folder / "own" / "etc")
        (folder / "own" / "wav").symlink_to(ROOT / "corpora" / "an4" / "wav")
        (folder / "own.yaml").write_text(AN4.format(corpora="own").replace("own/an4", "own"))
        clusters.save(presets.load("ethernet-25g"), folder / "cluster.yaml")
    return folder


def kaldi(folder: Path, finished: Path) -> Path:
    """A corpus in Kaldi's form with every kind of audio file, the same as features, and an alignment folder;
    `finished`: what an4() gave."""
    if not (folder / "config.yaml").is_file():
        results = finished / "results"
        for split in ("train", "dev", "test"):
            entries = read_data_dir(results / "corpus" / split / "shards" / "0000", Rejects("corpus"))
            _audio_split(folder / "corpus" / split, entries[:UTTERANCES])
            shard = Shard.open(results / "features" / "mfcc" / split / "0000")
            _features_split(folder / "features" / split, shard, entries[:UTTERANCES])
        _language(folder, results)
        _alignment(folder / "tri_ali", results)
        shutil.copytree(results / "runs" / RUN, folder / "results" / "runs" / RUN)
        for corpus, name in (("features", "features.yaml"), ("corpus", "config.yaml")):
            (folder / name).write_text(KALDI.format(corpus=corpus))
        for command in PREPARE:
            subprocess.run([sys.executable, "-m", "dasr", *command.split()], cwd=folder, check=True)
    return folder


def _audio_split(folder: Path, entries: list[Entry]) -> None:
    folder.mkdir(parents=True)
    places, segments = {}, ""
    for kind, entry in zip(AUDIO, entries, strict=True):
        samples, rate = soundfile.read(entry.audio, dtype="int16")
        file = folder / f"{entry.utterance}.{kind}"
        places[entry.utterance] = _in_project(file)
        match kind:
            case "sph":
                soundfile.write(file, samples, rate, format="NIST", subtype="PCM_16")
            case "ogg":
                shutil.copy(entry.audio, file)
            case "flac" | "wav":
                soundfile.write(file, samples, rate)
            case "ark":
                file.write_bytes(f"{entry.utterance} ".encode() + _riff(samples, rate))
                places[entry.utterance] += f":{len(entry.utterance.encode()) + 1}"
            case _:
                soundfile.write(file.with_suffix(".wav"), np.concatenate([samples, samples]), rate)
                del places[entry.utterance]
                places["twice"] = _in_project(file.with_suffix(".wav"))
                segments = f"{entry.utterance} twice 0.0 {len(samples) / rate:.3f}\n"
    (folder / "segments").write_text(segments)
    _tables(folder, "wav.scp", places, entries)


def _in_project(file: Path) -> str:
    """PROJECT/corpus/dev/x.wav as corpus/dev/x.wav: a copy of the project reads the file of the copy."""
    return "/".join(file.parts[-3:])


def _riff(samples: NDArray[np.int16], rate: int) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return stream.getvalue()


def _features_split(folder: Path, shard: Shard, entries: list[Entry]) -> None:
    """feats.scp and two archives: one of floats, one in Kaldi's compressed form."""
    import kaldiio

    folder.mkdir(parents=True)
    places: dict[str, str] = {}
    for name, method, part in (
        ("raw", {}, entries[::2]),
        ("packed", {"compression_method": 2}, entries[1::2]),
    ):
        matrices = {e.utterance: _frames(shard, e.utterance) for e in part}
        scp = folder / f"{name}.scp"
        kaldiio.save_ark(str(folder / f"{name}.ark"), matrices, scp=str(scp), **method)
        for line in scp.read_text().splitlines():
            key, _, place = line.partition(" ")
            places[key] = _in_project(Path(place))
        scp.unlink()
    _tables(folder, "feats.scp", places, entries)


def _frames(shard: Shard, utterance: str) -> NDArray[np.float32]:
    return shard.utterance(shard.utterances.index(utterance)).astype(np.float32)


def _tables(folder: Path, name: str, places: dict[str, str], entries: list[Entry]) -> None:
    (folder / name).write_text("".join(f"{key} {place}\n" for key, place in sorted(places.items())))
    (folder / "text").write_text("".join(f"{e.utterance} {' '.join(e.words)}\n" for e in entries))
    (folder / "utt2spk").write_text("".join(f"{e.utterance} {e.speaker}\n" for e in entries))


def _language(folder: Path, results: Path) -> None:
    """A lexicon and a language model for either corpus: one packed, one not."""
    for corpus in ("corpus", "features"):
        (folder / corpus / "lang").mkdir()
        shutil.copy(results / "corpus" / "lang" / "lexicon.txt", folder / corpus / "lang")
    shutil.copy(results / "lm" / "ngram.arpa", folder / "features" / "lang" / "lm.arpa")
    with gzip.open(folder / "corpus" / "lang" / "lm_tgsmall.arpa.gz", "wb") as out:
        out.write((results / "lm" / "ngram.arpa").read_bytes())


def _alignment(folder: Path, results: Path) -> None:
    """An alignment folder as Kaldi's align_si.sh leaves one."""
    (folder / "lang").mkdir(parents=True)
    for name in FST_FILES:
        shutil.copy(results / "hmm" / name, folder / "lang" / name)
    for name in ("tree", "final.mdl", "final.mat"):
        shutil.copy(results / "hmm" / name, folder / name)
    transitions = HmmSystem.load(results / "hmm").transitions
    first = {int(pdf): tid for tid, pdf in reversed(list(enumerate(transitions.pdf_of))[1:])}
    lines = []
    for split in ("train", "dev", "test"):
        shard = Shard.open(results / "features" / "mfcc" / split / "0000")
        labels: Any = _labels(results, split, shard)
        for index in range(min(UTTERANCES, len(shard.utterances))):
            pdfs = labels[shard.offsets[index] : shard.offsets[index + 1]]
            ids = (str(first[max(0, int(pdf))]) for pdf in pdfs)
            lines.append(f"{shard.utterances[index]} {' '.join(ids)}\n")
    with gzip.open(folder / "ali.1.gz", "wb") as out:
        out.write("".join(sorted(lines)).encode())


def _labels(results: Path, split: str, shard: Shard) -> NDArray[np.int32]:
    """Of a split that is not aligned (test), any."""
    folder = results / "alignments" / split / "0000"
    return read_labels(folder, shard) if folder.is_dir() else np.zeros(shard.num_frames, np.int32)
