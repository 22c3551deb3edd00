"""config.yaml: the one definition of its sections, keys, defaults and ranges; and the runs that it asks for.

    config = load("config.yaml")             # UserError with the place, and the nearest right key or choice
    config.model.shape.layers                # the preset's, unless the section says otherwise
    for run in runs(config): print(run.name)

Everything here is free of torch: the workflow reads it while it is parsed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    field_validator,
    model_validator,
)

from dasr import plugins
from dasr.errors import UserError, nearest
from dasr.files import confine
from dasr.validation import allows_text, plain_value, read_text, read_yaml, shown, to_yaml, validated

Split = Literal["train", "dev", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
FRAME_SHIFT_S = 0.01  # of all features and labels
LARGEST_OPTION = 1e12  # what is larger is a mistake, and overflows somewhere
LONGEST_NAME = 200  # characters of a run's name: a folder's, and part of longer names


def _keep_whole(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    checked = check(value)
    return value if type(value) is int else checked


Number = Annotated[float, WrapValidator(_keep_whole)]
"""A number; a whole one stays an int, so that files and names show it as it was written."""


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(f"{shown(text)} must be a text of printable characters on one line")
    return text


Line = Annotated[str, Field(max_length=1000), AfterValidator(_one_line)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, types are not guessed, numbers are finite."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=False
    )

    @model_validator(mode="before")
    @classmethod
    def _numbers_from_text(cls, given: Any) -> Any:
        given = plain_value(given)
        if not isinstance(given, dict):
            return given
        typed = {}
        for key, value in given.items():
            field = cls.model_fields.get(key) if isinstance(key, str) else None
            if field is not None and not allows_text(field.annotation):
                value = [plain_value(one) for one in value] if isinstance(value, list) else plain_value(value)
            typed[key] = value
        return typed


class CorpusConfig(Section):
    """Where the speech comes from."""

    kind: Literal["an4", "kaldi"] = Field(
        default="an4",
        description="an4: the embedded corpus or its original distribution; kaldi: Kaldi data directories",
    )
    path: Line = Field(
        default="corpora/an4",
        description="an4: the folder with wav/ and etc/; kaldi: the folder with train, test and perhaps dev",
    )
    dev_speakers: int = Field(
        default=8,
        ge=1,
        le=1_000_000,
        description="training speakers held out as dev where the corpus has none",
    )
    limit: Annotated[int, Field(ge=1, le=10**12)] | None = Field(
        default=None, description="at most this many utterances a split (for trials)"
    )
    sample_rate: int = Field(default=16000, ge=8000, le=192_000, description="Hz; of all audio")
    resample: bool = Field(
        default=False, description="resample audio of another rate instead of rejecting it"
    )
    allow_pipes: bool = Field(default=False, description="an entry of wav.scp that ends in | runs a command")
    max_bad_fraction: Number = Field(
        default=0.01,
        ge=0,
        le=1,
        description="of utterances that a stage may reject; beyond it the stage stops",
    )


class ShardCounts(Section):
    """Into how many shards the features of each split are cut: one job, one file a shard."""

    train: int = Field(default=4, ge=1, le=9999, description="shards of the training set")
    dev: int = Field(default=1, ge=1, le=9999, description="shards of the held-out set")
    test: int = Field(default=1, ge=1, le=9999, description="shards of the test set")

    def of(self, split: str) -> int:
        """The number of shards of that split."""
        count: int = getattr(self, split)
        return count


class FeatureConfig(Section):
    """What the acoustic model sees."""

    kind: Literal["fmllr", "fbank"] = Field(
        default="fmllr",
        description="fmllr: LDA+MLLT+fMLLR features of the GMM (40 dimensions); fbank: log-mel energies",
    )
    bins: int = Field(default=40, ge=10, le=256, description="log-mel bins of fbank")
    shards: ShardCounts = Field(default=ShardCounts(), description="number of shards of each split")


class HmmConfig(Section):
    """The GMM-HMM system that makes the alignments, or the one that is imported."""

    leaves: int = Field(default=400, ge=20, le=100_000, description="tied states that the tree aims at")
    gaussians: int = Field(default=3000, ge=100, le=10_000_000, description="of the context-dependent GMM")
    monophone_iterations: int = Field(
        default=20, ge=1, le=1000, description="EM iterations of the monophones"
    )
    triphone_iterations: int = Field(
        default=15, ge=1, le=1000, description="EM iterations of each stage with triphones"
    )
    hours: Number = Field(
        default=20, gt=0, le=1e6, description="at most this much speech, spread over train, makes the GMM"
    )
    import_from: Line | None = Field(
        default=None,
        description="a Kaldi alignment folder (tree, final.mdl, ali.*.gz, and its lang folder as lang/) "
        "to use instead of training a GMM",
    )


# What an entry of comparison.strategies may change for itself
OVERRIDES = (
    "optimizer", "learning_rate", "rate_rule", "schedule", "warmup_epochs", "momentum", "clip", "clip_rule",
    "average",
)  # fmt: skip


def _is_usable(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= LARGEST_OPTION  # False for nan


def _options(given: Any) -> dict[str, Any]:
    """Options of a strategy or a model: texts, numbers, null. Raises ValueError."""
    if not isinstance(given, dict):
        raise ValueError(f"{shown(given)} is not a mapping of options")
    values = {key: plain_value(value) for key, value in given.items()}
    for key, value in values.items():
        if not isinstance(key, str) or not key.isidentifier():
            raise ValueError(f"{shown(key)} is not the name of an option")
        if not isinstance(value, str | None) and not _is_usable(value):
            raise ValueError(
                f"the option '{key}' must be text, null or a number up to 1e12, but is {shown(value)}"
            )
        if isinstance(value, str):
            _one_line(value)
    return values


Options = Annotated[Any, AfterValidator(_options), WithJsonSchema({"type": "object"})]
BLSTM = "blstm"
BLSTM_OPTIONS = ("layers", "cells", "bottleneck", "dropout")  # keys of the section itself


class ModelConfig(Section):
    """The acoustic model: its kind and options, and what it sees of each frame."""

    kind: Line = Field(
        default=BLSTM,
        description="blstm, dnn, tdnnf, conformer, or path/to/file.py:Class: docs/add-a-model.md",
    )
    options: Options = Field(
        default={}, description="options of a kind other than blstm, whose options are the next four keys"
    )
    layers: int = Field(default=2, ge=1, le=100, description="blstm: bidirectional LSTM layers")
    cells: int = Field(default=128, ge=1, le=16384, description="blstm: LSTM cells a direction")
    bottleneck: int = Field(
        default=128, ge=1, le=65536, description="blstm: width of the linear layer before the outputs"
    )
    deltas: int = Field(
        default=0, ge=0, le=2, description="orders of differences added to the static features"
    )
    splice: int = Field(
        default=0, ge=0, le=100, description="more frames of context on either side of each output's own"
    )
    subsampling: int = Field(
        default=3, ge=1, le=100, description="one output for this many frames, which are stacked"
    )
    dropout: Number = Field(
        default=0.0,
        ge=0,
        le=0.9,
        description="blstm: between LSTM layers and before the bottleneck, in training",
    )

    @property
    def network_options(self) -> dict[str, Any]:
        """The options of the network that were given: all of them, for a blstm."""
        return {name: getattr(self, name) for name in BLSTM_OPTIONS} if self.kind == BLSTM else self.options

    def values(self) -> dict[str, Any]:
        """What counts for this kind: as identity, in records and tables."""
        left_out = {"options"} if self.kind == BLSTM else set(BLSTM_OPTIONS)
        return self.model_dump(exclude=left_out)

    @property
    def margin(self) -> int:
        """Frames on either side of a chunk that its inputs depend on (a difference reaches two)."""
        return 2 * self.deltas + self.splice

    def inputs(self, feature_dim: int) -> int:
        """Width of the network's input, for stored features of `feature_dim` a frame."""
        return feature_dim * (1 + self.deltas) * (self.subsampling + 2 * self.splice)


# swb2000 is the paper's network: with its 260 features a frame (40 FMLLR, 100 i-vector, 120 log-mel with
# deltas; imported through feats.scp) and 32,000 states it has 43,154,944 parameters, both biases counted.
MODELS: dict[str, ModelConfig] = {
    "demo": ModelConfig(splice=2),
    "an4": ModelConfig(cells=256, bottleneck=256, splice=3, subsampling=1, dropout=0.4),
    "swb2000": ModelConfig(layers=6, cells=512, bottleneck=256, deltas=0, splice=0, subsampling=1),
}


# What a network of another kind sees: the presets' front ends are made for the BLSTM.
PLAIN_FRAMES = ModelConfig(subsampling=1)


class ModelSection(ModelConfig):
    """The acoustic model: a preset, and values that override it. Without a value, the preset's counts.

    With a kind other than blstm the preset gives the training only, and each frame is seen as it is."""

    preset: Literal["demo", "an4", "swb2000"] = Field(
        default="demo",
        description="demo: minutes on a laptop; an4: best on AN4; swb2000: the paper's network",
    )

    @property
    def shape(self) -> ModelConfig:
        """The model's shape, the preset's values filled in."""
        return ModelConfig.model_construct(**self.model_dump(exclude={"preset"}))

    @model_validator(mode="after")
    def _options_are_of_the_kind(self) -> ModelSection:
        if self.kind == BLSTM and self.options:
            raise ValueError(f"the options of a blstm are keys of the section: {', '.join(BLSTM_OPTIONS)}")
        foreign = [name for name in BLSTM_OPTIONS if name in self.model_fields_set]
        if self.kind != BLSTM and foreign:
            raise ValueError(
                f"'{foreign[0]}' is a key of the kind blstm: options of {self.kind} stand under model.options"
            )
        return self


class AugmentConfig(Section):
    """Samples changed at random each time they are seen (log-mel features only); zeros leave them alone."""

    stretch: Number = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="a chunk is played up to this fraction faster or slower; an utterance as recorded, or so "
        "much faster or slower",
    )
    warp: Number = Field(
        default=0.0, ge=0, le=0.5, description="its frequency axis is scaled by up to this fraction"
    )
    mask_bins: int = Field(
        default=0, ge=0, le=256, description="up to so many neighbouring bins are hidden, twice a chunk"
    )
    mask_frames: int = Field(
        default=0, ge=0, le=10_000, description="up to so many neighbouring frames are hidden, once a chunk"
    )

    def __bool__(self) -> bool:
        return self != AugmentConfig()


class OptimizerConfig(Section):
    """The step that a learner makes with a gradient; its state is local, never averaged."""

    kind: Literal["sgd", "momentum", "adamw"] = Field(
        default="sgd",
        description="momentum: heavy ball with training.momentum, as sgd where that is above 0",
    )
    beta1: Number = Field(default=0.9, ge=0, lt=1, description="of adamw: DiLoCo's")
    beta2: Number = Field(default=0.95, ge=0, lt=1, description="of adamw: DiLoCo's")
    epsilon: Number = Field(default=1e-8, gt=0, le=1, description="of adamw")
    weight_decay: Annotated[Number, Field(ge=0, le=1e3)] | None = Field(
        default=None, description="decoupled: weights shrink by rate x this; null: 0.1 with adamw, else 0"
    )


class TrainingConfig(Section):
    """How the model is trained, whatever the strategy. Without a value, that of the model's preset counts."""

    criterion: Literal["ce", "ctc"] = Field(
        default="ce", description="ce: tied states of the alignment; ctc: units of the transcript, no GMM"
    )
    samples: Literal["chunks", "utterances"] = Field(
        default="chunks", description="of what a batch has so many; with ctc always utterances"
    )
    units: Literal["characters", "phones", "bpe"] = Field(
        default="characters", description="of ctc; bpe: pieces of words, learned from the transcripts"
    )
    pieces: int = Field(default=100, ge=2, le=100_000, description="of bpe: how many are learned")
    buckets: Literal["aligned", "independent"] = Field(
        default="aligned", description="aligned: all learners have utterances of one padded length in a step"
    )
    epochs: Number = Field(
        default=16.0, gt=0, le=1e6, description="the budget: passes over train, by all learners together"
    )
    chunk_frames: int = Field(default=21, ge=1, le=10_000, description="frames of a sample")
    learning_rate: Number = Field(
        default=0.1, gt=0, le=1e6, description="for a batch of reference_batch chunks"
    )
    reference_batch: int = Field(
        default=256, ge=1, le=10**9, description="the batch that learning_rate and clip are meant for"
    )
    rate_rule: Literal["none", "sqrt", "linear"] = Field(
        default="linear",
        description="how the rate follows the batch; a larger batch reaches its rate by the warm-up",
    )
    optimizer: OptimizerConfig = Field(default=OptimizerConfig(), description="the local optimizer")
    schedule: Literal["constant", "warmup-anneal", "inverse-sqrt", "cosine"] = Field(
        default="warmup-anneal", description="of the learning rate; cosine ends at 0"
    )
    warmup_epochs: Number = Field(default=0.0, ge=0, le=1e6, description="linear warm-up")
    anneal_after_epochs: Number = Field(
        default=10.0, ge=0, le=1e6, description="from then on the rate is multiplied by 1/sqrt(2) an epoch"
    )
    momentum: Number = Field(
        default=0.0, ge=0, le=0.999, description="local to each learner; 0 with optimizer momentum: 0.9"
    )
    clip: Annotated[Number, Field(gt=0, le=1e30)] | None = Field(
        default=None, description="longest gradient that is applied as it is"
    )
    clip_rule: Literal["none", "local-batch"] = Field(
        default="none",
        description="local-batch: a gradient of b samples may be sqrt(reference_batch / b) times as long",
    )
    gradients: Literal["float32", "bfloat16"] = Field(
        default="float32", description="on GPUs; bfloat16: half the bytes in memory and on the wire"
    )
    augment: AugmentConfig = Field(default=AugmentConfig(), description="random changes of the samples")
    snapshots: int = Field(default=10, ge=1, le=10_000, description="points of the held-out curve")
    average: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="the model that is evaluated and decoded is the mean of so many last snapshots",
    )
    checkpoint_seconds: Number = Field(
        default=60.0, gt=0, le=1e9, description="from one checkpoint to the next"
    )

    @model_validator(mode="after")
    def _there_are_snapshots_to_average(self) -> TrainingConfig:
        if self.average > self.snapshots:
            raise ValueError(f"average ({self.average}) is more than there are snapshots ({self.snapshots})")
        return self

    @property
    def whole_utterances(self) -> bool:
        """Whether samples are utterances, not chunks of them."""
        return self.criterion == "ctc" or self.samples == "utterances"


# swb2000: the paper's baseline. Its large batches warm up over the first ten epochs: warmup_epochs: 10.
TRAININGS: dict[str, TrainingConfig] = {
    "demo": TrainingConfig(
        epochs=8,
        chunk_frames=42,
        learning_rate=2.0,
        reference_batch=32,
        warmup_epochs=0.5,
        anneal_after_epochs=4,
        clip=1.0,
    ),
    "an4": TrainingConfig(
        epochs=16,
        chunk_frames=63,
        learning_rate=2.0,
        reference_batch=24,
        warmup_epochs=0.5,
        anneal_after_epochs=7,
        clip=1.0,
        augment=AugmentConfig(stretch=0.1),
    ),
    "swb2000": TrainingConfig(),
}


def _strategy(entry: Any) -> Any:
    """A strategy's id, or a mapping with the id and options. Raises ValueError."""
    if isinstance(entry, str):
        return _one_line(entry)
    if not isinstance(entry, dict):
        raise ValueError(f"{shown(entry)} is neither the id of a strategy nor a mapping with `strategy: id`")
    if "strategy" not in entry:
        raise ValueError(f"the entry {shown(entry)} lacks the key 'strategy'")
    values = {"strategy": entry["strategy"]} | _options(
        {key: value for key, value in entry.items() if key != "strategy"}
    )
    if not isinstance(values["strategy"], str):
        raise ValueError(f"strategy: {shown(values['strategy'])} is not text")
    _one_line(values["strategy"])
    return values


StrategyEntry = Annotated[Any, AfterValidator(_strategy), WithJsonSchema({"type": ["string", "object"]})]


class ComparisonConfig(Section):
    """What is compared: one training run for each strategy, number of learners, batch and seed."""

    name: Line = Field(default="an4-demo", max_length=200, description="the parent run in MLflow")
    strategies: list[StrategyEntry] = Field(
        default=["single", "sc-allreduce", "sd", "ad", "bmuf"],
        min_length=1,
        description="an id, or a mapping with the id under `strategy` and beside it options of that strategy "
        "and its own optimizer, learning_rate, rate_rule, schedule, warmup_epochs, momentum, clip, clip_rule",
    )
    learners: list[Annotated[int, Field(ge=1, le=100_000)]] = Field(
        default=[4], min_length=1, description="numbers of learners; `single` has one whatever is said here"
    )
    batch: list[Annotated[int, Field(ge=1, le=10**9)]] = Field(
        default=[32], min_length=1, description="chunks a step of all learners together"
    )
    local_batch: list[Annotated[int, Field(ge=1, le=10**9)]] | None = Field(
        default=None, min_length=1, description="chunks a step of each learner, in the place of `batch`"
    )
    seeds: list[Annotated[int, Field(ge=0, le=2**32 - 1)]] = Field(
        default=[0], min_length=1, description="of initial weights and order of the data"
    )


class SimulationConfig(Section):
    """The predicted speed-up that the report shows, and `dasr plan`."""

    cluster: Line = Field(
        default="paper", description="a preset of `dasr simulate`, or a file that `dasr calibrate` wrote"
    )
    max_learners: int = Field(
        default=1024, ge=1, le=1_000_000, description="the largest number of learners in that figure"
    )
    target: Line | None = Field(
        default=None, description="of `dasr plan`, as ce<=1.9; without a value the loss that all reach"
    )


class DecodingConfig(Section):
    """How the models are decoded."""

    diverged: bool = Field(
        default=False, description="decode also runs that ended worse than they began, or than guessing"
    )
    beam: Number = Field(default=15.0, gt=0, le=1e6, description="of the search, in scaled log-likelihood")
    max_active: int = Field(
        default=2000, ge=100, le=10**9, description="tokens kept a frame; 7000 for large vocabularies"
    )
    ngram_order: int = Field(default=3, ge=1, le=4, description="of the language model made from train")
    acoustic_scales: list[Annotated[Number, Field(gt=0, le=1000)]] = Field(
        default=[0.05, 0.07, 0.1, 0.14, 0.2], min_length=1, description="inverse LM weights tried on dev"
    )
    blank_penalties: list[Annotated[Number, Field(ge=0, le=100)]] = Field(
        default=[0, 1, 2, 4],
        min_length=1,
        description="of ctc: taken from the blank's log-probability; tried on dev with each scale",
    )


class Config(Section):
    """A whole configuration. Every section and every key has a default."""

    results: Line = Field(default="results", description="the folder that receives everything")
    corpus: CorpusConfig = CorpusConfig()
    features: FeatureConfig = FeatureConfig()
    hmm: HmmConfig = HmmConfig()
    model: ModelSection = Field(default=ModelSection(), validate_default=True)
    training: TrainingConfig = Field(default=TrainingConfig(), validate_default=True)
    comparison: ComparisonConfig = ComparisonConfig()
    simulation: SimulationConfig = SimulationConfig()
    decoding: DecodingConfig = DecodingConfig()

    @field_validator("results")
    @classmethod
    def _is_a_folder_of_its_own(cls, results: str) -> str:
        here, there = Path.cwd(), Path(os.path.abspath(results))
        if there == here or there in here.parents:
            raise ValueError(f"{shown(results)} is not a folder of its own: everything in it may be replaced")
        if set("{}") & set(results):
            raise ValueError(f"{shown(results)}: braces mean something to Snakemake, choose another name")
        return results

    @field_validator("model")
    @classmethod
    def _shape_of_preset(cls, section: ModelSection) -> ModelSection:
        shape = MODELS[section.preset] if section.kind == BLSTM else PLAIN_FRAMES
        filled: ModelSection = _filled(section, shape, never=("kind", "options"))
        return filled

    @field_validator("training")
    @classmethod
    def _training_of_preset(cls, section: TrainingConfig, info: ValidationInfo) -> TrainingConfig:
        if "model" not in info.data:  # refused itself
            return section
        model: ModelSection = info.data["model"]
        preset = TRAININGS[model.preset]
        augment = _filled(section.augment, preset.augment)
        section = _filled(section, preset.model_copy(update={"augment": augment}), always=("augment",))
        if section.chunk_frames % model.subsampling and not section.whole_utterances:
            raise ValueError(
                f"chunk_frames ({section.chunk_frames}) must be a multiple of model.subsampling "
                f"({model.subsampling})"
            )
        return section

    def plain(self) -> dict[str, Any]:
        """As config.yaml could say it in full; of model and training what was given beside the preset."""
        full = self.model_dump()
        full["model"] = {"preset": self.model.preset, **self.model.model_dump(exclude_unset=True)}
        full["training"] = self.training.model_dump(exclude_unset=True)
        return full

    def text(self) -> str:
        """plain() as YAML."""
        return to_yaml(self.plain())

    @property
    def digest(self) -> str:
        """A name for this configuration: equal for equal ones."""
        return _digest(self.text().encode())


def _filled(section: Any, preset: Section, always: tuple[str, ...] = (), never: tuple[str, ...] = ()) -> Any:
    """`section` with the preset's values where none was given; what counts as given stays the same."""
    given = section.model_fields_set - set(always) | set(never)
    names = [name for name in type(preset).model_fields if name not in given]
    values = {**dict(section), **{name: getattr(preset, name) for name in names}}
    return type(section).model_construct(_fields_set=set(section.model_fields_set), **values)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def load(path: Path | str) -> Config:
    """The configuration in the YAML file at `path`, defaults filled in. Raises UserError.

    A workflow's own, R/config/DIGEST.yaml, must have the contents that its name says."""
    path = Path(path)
    resolved = path.parent.name == "config" and re.fullmatch(r"[0-9a-f]{16}", path.stem)
    if resolved and path.is_file() and _digest(path.read_bytes()) != path.stem:
        raise UserError(f"{path} is damaged: its contents are not those of its name; delete it")
    config = complete(read_yaml(path) or {}, str(path))
    confine(config.results)  # a command that has read its configuration is about to write
    return config


def parse(text: str, where: str) -> Config:
    """The configuration that a YAML text holds, defaults filled in. Raises UserError."""
    return complete(read_text(text, where) or {}, where)


def complete(given: Any, where: str = "config") -> Config:
    """Check `given` and fill in defaults. Raises UserError with the nearest key or choice."""
    if not isinstance(given, dict):
        raise UserError(f"{where} must be a mapping of sections, but is a {type(given).__name__}")
    return validated(Config, given, where)


@dataclass(frozen=True)
class Run:
    """One training run of a comparison: what differs between runs, and its name (a folder's, a job's)."""

    strategy: str
    options: tuple[tuple[str, Any], ...]
    learners: int
    batch: int  # chunks a step of all learners together
    seed: int
    training: tuple[tuple[str, Any], ...] = ()  # what it overrides of the section `training`

    @property
    def label(self) -> str:
        """The strategy with what was given beside it, as tables and figures show it."""
        given = self.options + self.training
        return plugins.title(self.strategy) + "".join(f"-{key}={value}" for key, value in given)

    @property
    def name(self) -> str:
        return re.sub(r"[^\w.=-]", "_", f"{self.label}-L{self.learners}-B{self.batch}-S{self.seed}")


def runs(config: Config) -> list[Run]:
    """Every run of the comparison; `single` has one learner whatever the list says. Raises UserError."""
    found: dict[str, Run] = {}
    for run in _runs(config.comparison):
        name = run.name
        overridden(config.training, dict(run.training), f"comparison.strategies: {run.strategy}")
        if found.setdefault(name, run) != run:
            raise UserError(
                f"comparison.strategies: '{found[name].strategy}' and '{run.strategy}' have one run name, "
                f"{name}: give one of the classes another `name`"
            )
        if len(name) > LONGEST_NAME:
            raise UserError(f"comparison.strategies: the run name {shown(name)} is too long")
    return list(found.values())


def _runs(comparison: ComparisonConfig) -> Iterator[Run]:
    for entry in comparison.strategies:
        options = dict(entry) if isinstance(entry, dict) else {"strategy": entry}
        strategy = str(options.pop("strategy"))
        training = tuple((key, options.pop(key)) for key in OVERRIDES if key in options)
        for (learners, batch), seed in itertools.product(_sizes(comparison), comparison.seeds):
            learners = 1 if strategy == "single" else learners
            yield Run(strategy, tuple(sorted(options.items())), learners, batch, seed, training)


def _sizes(comparison: ComparisonConfig) -> list[tuple[int, int]]:
    """(learners, batch) of every run."""
    if comparison.local_batch is None:
        return list(itertools.product(comparison.learners, comparison.batch))
    return [
        (learners, learners * local) for learners in comparison.learners for local in comparison.local_batch
    ]


def overridden(training: TrainingConfig, changes: Mapping[str, Any], where: str) -> TrainingConfig:
    """`training` with other values of some keys of OVERRIDES. Raises UserError."""
    if not changes:
        return training
    values = training.model_dump() | dict(changes)
    if "optimizer" in changes:  # its kind
        values["optimizer"] = training.optimizer.model_dump() | {"kind": changes["optimizer"]}
    return validated(TrainingConfig, values, where)


def find_run(config: Config, name: str) -> Run:
    """The run of that name. Raises UserError naming the nearest."""
    known = {run.name: run for run in runs(config)}
    if name not in known:
        some = ", ".join([*known][:8]) + (", ..." if len(known) > 8 else "")
        raise UserError(f"no run '{name}' in this comparison{nearest(name, known)} (known: {some})")
    return known[name]
