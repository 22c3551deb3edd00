"""Every kind of file that some stage reads: one file of the kind, the commands that read it, and what these
write."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.damage.projects import RUN

R = "results"
RUNS, DECODED = f"{R}/runs/{RUN}", f"{R}/decode/{RUN}/unigram"


@dataclass(frozen=True)
class Kind:
    """`file`: a pattern below the project's folder, of which the first match is damaged. `commands`: of
    `dasr`, one after another. `outputs`: patterns of what may not change silently; without any, the file is
    one of the user's own, without a checksum, in which another byte may be another right input."""

    name: str
    file: str
    commands: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    project: str = "an4"
    without: str = ""  # a file that the commands would not run beside: removed


def _made(name: str, file: str, command: str, *outputs: str) -> Kind:
    """A file that a stage has written, in the comparison on AN4."""
    return Kind(name, file, (command,), outputs)


def _own(name: str, file: str, *commands: str, config: str = "") -> Kind:
    """A file of the user's own, in the corpus of Kaldi's form."""
    chosen = tuple(f"{command} --config {config}" if config else command for command in commands)
    return Kind(name, file, chosen, project="kaldi")


FEATURES = "features fbank --split dev --shard 0000"
IMPORTED = "features mfcc --split dev --shard 0000"
ALIGN = "align --split dev --shard 0 --jobs 1"
ADAPT = "adapt --split dev --shard 0"
GRAPH = "graph unigram"
DECODE = f"decode {RUN} unigram dev --jobs 1"
EVALUATE = f"evaluate {RUN}"
SCORE = f"score {RUN} unigram"
FBANK_OUT = f"{R}/features/fbank/dev/0000/**/*"
ALIGN_OUT = f"{R}/alignments/dev/0000/**/*"
ADAPT_OUT = f"{R}/features/fmllr/dev/0000/**/*"
GRAPH_OUT = f"{R}/graphs/unigram/*"
DECODE_OUT = f"{DECODED}/dev.jsonl"
HELDOUT_OUT = f"{RUNS}/heldout.jsonl"
SCORE_OUT = f"{DECODED}/score.json"
TABLE_OUT = f"{R}/comparison.tsv"
SHARD, MFCC = f"{R}/corpus/dev/shards/0000", f"{R}/features/mfcc/dev/0000"
FMLLR, LABELS = f"{R}/features/fmllr/dev/0000", f"{R}/alignments/dev/0000"
IMPORT = ("hmm", "graph unigram", "align --split train --shard 0000")

MADE = [
    _made("corpus: wav.scp of a shard", f"{SHARD}/wav.scp", FEATURES, FBANK_OUT),
    _made("corpus: text of a shard", f"{SHARD}/text", FEATURES, FBANK_OUT),
    _made("corpus: utt2spk of a shard", f"{SHARD}/utt2spk", FEATURES, FBANK_OUT),
    _made("corpus: manifest.json of a shard", f"{SHARD}/manifest.json", FEATURES, FBANK_OUT),
    _made("corpus: text of train", f"{R}/corpus/train/text", "lm", f"{R}/lm/*"),
    _made("corpus: text of test", f"{R}/corpus/test/text", SCORE, SCORE_OUT),
    _made("corpus: utt2spk of test", f"{R}/corpus/test/utt2spk", SCORE, f"{DECODED}/ref.stm"),
    _made("lang: lexicon.txt", f"{R}/corpus/lang/lexicon.txt", "lm", f"{R}/lm/*"),
    _made("lang: unigram.arpa", f"{R}/corpus/lang/unigram.arpa", GRAPH, GRAPH_OUT),
    _made("lang: manifest.json", f"{R}/corpus/lang/manifest.json", "lm", f"{R}/lm/*"),
    _made("lm: ngram.arpa", f"{R}/lm/ngram.arpa", "graph ngram", f"{R}/graphs/ngram/*"),
    _made("features: frames/zarr.json", f"{MFCC}/frames.zarr/frames/zarr.json", ALIGN, ALIGN_OUT),
    _made("features: zarr.json", f"{MFCC}/frames.zarr/zarr.json", ALIGN, ALIGN_OUT),
    _made("features: chunk of frames", f"{MFCC}/frames.zarr/frames/c/0/0", ALIGN, ALIGN_OUT),
    _made("features: chunk of offsets", f"{MFCC}/frames.zarr/offsets/c/0", ALIGN, ALIGN_OUT),
    _made("features: manifest.json", f"{MFCC}/manifest.json", ALIGN, ALIGN_OUT),
    _made("features: speaker means", f"{FMLLR}/frames.zarr/speaker_mean/c/0/0", EVALUATE, HELDOUT_OUT),
    _made("hmm: tree", f"{R}/hmm/tree", ALIGN, ALIGN_OUT),
    _made("hmm: final.mdl", f"{R}/hmm/final.mdl", ALIGN, ALIGN_OUT),
    _made("hmm: final.alimdl", f"{R}/hmm/final.alimdl", ADAPT, ADAPT_OUT),
    _made("hmm: final.mat", f"{R}/hmm/final.mat", ADAPT, ADAPT_OUT),
    _made("hmm: L.fst", f"{R}/hmm/L.fst", ALIGN, ALIGN_OUT),
    _made("hmm: L_disambig.fst", f"{R}/hmm/L_disambig.fst", GRAPH, GRAPH_OUT),
    _made("hmm: words.txt", f"{R}/hmm/words.txt", ALIGN, ALIGN_OUT),
    _made("hmm: phones.txt", f"{R}/hmm/phones.txt", GRAPH, GRAPH_OUT),
    _made("hmm: pdf_counts.txt", f"{R}/hmm/pdf_counts.txt", DECODE, DECODE_OUT),
    _made("hmm: manifest.json", f"{R}/hmm/manifest.json", ALIGN, ALIGN_OUT),
    _made("graph: HCLG.fst", f"{R}/graphs/unigram/HCLG.fst", DECODE, DECODE_OUT),
    _made("graph: words.txt", f"{R}/graphs/unigram/words.txt", DECODE, DECODE_OUT),
    _made("graph: manifest.json", f"{R}/graphs/unigram/manifest.json", DECODE, DECODE_OUT),
    _made("alignment: zarr.json", f"{LABELS}/labels.zarr/zarr.json", EVALUATE, HELDOUT_OUT),
    _made("alignment: labels/zarr.json", f"{LABELS}/labels.zarr/labels/zarr.json", EVALUATE, HELDOUT_OUT),
    _made("alignment: chunk of labels", f"{LABELS}/labels.zarr/labels/c/0", EVALUATE, HELDOUT_OUT),
    _made("alignment: manifest.json", f"{LABELS}/manifest.json", EVALUATE, HELDOUT_OUT),
    _made("run: model.safetensors", f"{RUNS}/model.safetensors", DECODE, DECODE_OUT),
    _made("run: snapshot", f"{RUNS}/snapshots/0001/rank0000.safetensors", EVALUATE, HELDOUT_OUT),
    _made("run: metrics.jsonl", f"{RUNS}/metrics.jsonl", "compare", TABLE_OUT),
    _made("run: heldout.jsonl", f"{RUNS}/heldout.jsonl", "compare", TABLE_OUT),
    _made("run: config.yaml", f"{RUNS}/config.yaml", "report", f"{R}/report.html"),
    _made("decoding: dev.jsonl", f"{DECODED}/dev.jsonl", SCORE, SCORE_OUT),
    _made("decoding: test.jsonl", f"{DECODED}/test.jsonl", SCORE, f"{DECODED}/*"),
    _made("decoding: score.json", SCORE_OUT, "compare", TABLE_OUT),
    _made("decoding: test.trn", f"{DECODED}/test.trn", "compare", TABLE_OUT),
    _made("decoding: ref.trn", f"{DECODED}/ref.trn", "compare", TABLE_OUT),
    _made("comparison.tsv", TABLE_OUT, "compare --show", TABLE_OUT),
    _made("simulation: speedup.jsonl", f"{R}/simulation/speedup.jsonl", "report", f"{R}/report.html"),
    _made("resolved configuration", f"{R}/config/*.yaml", "compare --config FILE", TABLE_OUT),
    _made("MLflow: mlflow.db", f"{R}/mlflow/mlflow.db", "track"),
]
SIMULATE = "simulate --strategy sd --learners 2 --steps 3"
JOBS = [
    Kind(name, f"{RUNS}/{file}", (f"train {RUN}",), outputs, without=f"{RUNS}/model.safetensors")
    for name, file, outputs in (
        ("run: checkpoint", "checkpoints/rank0000/*.ckpt", (f"{RUNS}/model.safetensors",)),
        ("run: job.json", "job.json", ()),
        ("run: outcome.json", "outcome.json", ()),
    )
]
OWN = [
    _own("config.yaml", "config.yaml", "corpus"),
    _own("wav.scp", "corpus/dev/wav.scp", "corpus", FEATURES),
    _own("text", "corpus/dev/text", "corpus", FEATURES),
    _own("utt2spk", "corpus/dev/utt2spk", "corpus", FEATURES),
    _own("segments", "corpus/dev/segments", "corpus", FEATURES),
    _own("feats.scp", "features/dev/feats.scp", "corpus", IMPORTED, config="features.yaml"),
    _own("feats.ark", "features/dev/raw.ark", "corpus", IMPORTED, config="features.yaml"),
    _own("compressed feats.ark", "features/dev/packed.ark", "corpus", IMPORTED, config="features.yaml"),
    _own("lexicon.txt", "corpus/lang/lexicon.txt", "corpus", "lm"),
    _own("*.arpa.gz", "corpus/lang/*.arpa.gz", "corpus"),
    _own("*.arpa", "features/lang/lm.arpa", "corpus", "hmm", GRAPH, config="features.yaml"),
    *(_own(f"audio: {name}", f"corpus/dev/*.{name}", "corpus", FEATURES)
      for name in ("wav", "flac", "sph", "ogg")),
    _own("audio: archive", "corpus/dev/*.ark", "corpus", FEATURES),
    _own("Kaldi: tree", "tri_ali/tree", *IMPORT),
    _own("Kaldi: final.mdl", "tri_ali/final.mdl", *IMPORT),
    _own("Kaldi: final.mat", "tri_ali/final.mat", *IMPORT),
    _own("Kaldi: ali.1.gz", "tri_ali/ali.1.gz", *IMPORT),
    _own("Kaldi: words.txt", "tri_ali/lang/words.txt", *IMPORT, DECODE),
    _own("Kaldi: phones.txt", "tri_ali/lang/phones.txt", *IMPORT, DECODE),
    _own("Kaldi: L.fst", "tri_ali/lang/L.fst", *IMPORT, DECODE),
    _own("Kaldi: L_disambig.fst", "tri_ali/lang/L_disambig.fst", *IMPORT),
    Kind("cluster.yaml", "cluster.yaml", (f"{SIMULATE} --cluster cluster.yaml",)),
    *(Kind(f"AN4: {file}", f"own/etc/{file}", ("corpus --config own.yaml",))
      for file in ("an4_test.transcription", "an4_test.fileids", "an4.dic", "an4.lm")),
]  # fmt: skip
KINDS = {kind.name: kind for kind in [*MADE, *JOBS, *OWN]}
