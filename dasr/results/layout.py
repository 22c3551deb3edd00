"""Every path below the results folder, and the names that its stages share.

R/corpus/SPLIT/{text,...}    R/corpus/SPLIT/shards/NNNN    R/corpus/lang
R/features/KIND/SPLIT/NNNN   R/hmm    R/alignments/SPLIT/NNNN    R/units    R/lm    R/graphs/LM
R/runs/RUN                   R/decode/RUN/LM
R/comparison.tsv, R/report.html, R/figures, R/simulation, R/plan, R/tune, R/mlflow,
R/config.yaml
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dasr.config import Config
from dasr.errors import UserError

LMS = ("unigram", "ngram")

MODEL = "model.safetensors"  # in a run's folder: the consensus model
METRICS = "metrics.jsonl"
HELDOUT = "heldout.jsonl"
LOGS = "logs"


def number(shard: int | str) -> str:
    """A shard's folder: 3 is 0003."""
    return f"{int(shard):04d}"


@dataclass(frozen=True)
class Layout:
    """What lies where below the results folder `root`."""

    root: Path

    @classmethod
    def of(cls, config: Config) -> Layout:
        return cls(Path(config.results))

    def data(self, split: str) -> Path:
        """The Kaldi data directory of a split."""
        return self.root / "corpus" / split

    def text(self, split: str) -> Path:
        """The transcripts of a split."""
        return self.data(split) / "text"

    def data_shard(self, split: str, shard: int | str) -> Path:
        return self.data(split) / "shards" / number(shard)

    @property
    def lang(self) -> Path:
        return self.root / "corpus" / "lang"

    @property
    def lexicon(self) -> Path:
        return self.lang / "lexicon.txt"

    def features(self, kind: str, split: str) -> Path:
        """The shards of a split, for one kind of features."""
        return self.root / "features" / kind / split

    def feature_shard(self, kind: str, split: str, shard: int | str) -> Path:
        return self.features(kind, split) / number(shard)

    @property
    def hmm(self) -> Path:
        return self.root / "hmm"

    def alignment(self, split: str, shard: int | str) -> Path:
        return self.root / "alignments" / split / number(shard)

    @property
    def units(self) -> Path:
        """The pieces of words that `dasr units` learns."""
        return self.root / "units"

    @property
    def lm(self) -> Path:
        """The folder of the n-gram model that is made from the training transcripts."""
        return self.root / "lm"

    def arpa(self, lm: str) -> Path:
        """The language model of that name, one of LMS."""
        return self.lm / "ngram.arpa" if lm == "ngram" else self.lang / "unigram.arpa"

    def graph(self, lm: str) -> Path:
        return self.root / "graphs" / lm

    def hclg(self, lm: str) -> Path:
        """The decoding graph itself."""
        return self.graph(lm) / "HCLG.fst"

    def run(self, name: str) -> Path:
        return self.root / "runs" / name

    def decoded(self, run: str, lm: str) -> Path:
        """Hypotheses, references and scores of a run with one language model."""
        return self.root / "decode" / run / lm

    def hypotheses(self, run: str, lm: str, split: str) -> Path:
        return self.decoded(run, lm) / f"{split}.jsonl"

    def score(self, run: str, lm: str) -> Path:
        return self.decoded(run, lm) / "score.json"

    @property
    def config(self) -> Path:
        """The completed configuration, for people; jobs read their own below R/config."""
        return self.root / "config.yaml"

    @property
    def comparison(self) -> Path:
        return self.root / "comparison.tsv"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def simulation(self) -> Path:
        return self.root / "simulation"

    @property
    def plan(self) -> Path:
        """The folder of `dasr plan`: plan.json, plan.svg, trainings."""
        return self.root / "plan"

    @property
    def tuned(self) -> Path:
        """The overlay of the configuration that `dasr tune` writes."""
        return self.root / "tune" / "tuned.yaml"

    @property
    def mlflow(self) -> Path:
        return self.root / "mlflow"

    @property
    def tracked(self) -> Path:
        """Where `dasr track` says what it wrote."""
        return self.mlflow / "tracked.json"


def model_shards(config: Config, split: str) -> list[Path]:
    """The split's shards for the acoustic model, in order. Raises UserError naming the stage to run."""
    kind = config.features.kind
    folder = Layout.of(config).features(kind, split)
    found = sorted(path.parent for path in folder.glob("[0-9]*/manifest.json"))
    if not found:
        stage = "dasr adapt" if kind == "fmllr" else f"dasr features {kind}"
        raise UserError(f"no {kind} features of '{split}' in {folder}: run `{stage} --split {split}`")
    return found
