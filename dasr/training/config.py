"""How a model is trained: the config's section `training`, completed by the preset of the model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from dasr import config as configuration
from dasr.errors import UserError
from dasr.learner import schedule
from dasr.learner.learner import Budget
from dasr.learner.schedule import Schedule
from dasr.models import config as model_config
from dasr.strategies import registry
from dasr.tasks.augment import AugmentConfig


@dataclass(frozen=True)
class TrainingConfig:
    """Fields of the config's section `training`. Epochs are passes over train by all learners together."""

    epochs: float = 16.0  # the budget
    chunk_frames: int = 21  # frames of a sample
    learning_rate: float = 0.1  # for a batch of `reference_batch` chunks
    reference_batch: int = 256  # other batches get a rate in proportion, larger ones reach it by the warm-up
    schedule: str = "warmup-anneal"
    warmup_epochs: float = 0.0
    anneal_after_epochs: float = 10.0  # from then on times 1/sqrt(2) an epoch
    momentum: float = 0.0  # local, never averaged
    clip: float | None = None  # longest gradient that is applied as it is
    gradients: str = "float32"  # on GPUs; bfloat16: half the bytes in memory and on the wire
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    snapshots: int = 10  # points of the held-out curve
    checkpoint_seconds: float = 60.0

    def budget(self, num_chunks: int, batch: int, learners: int) -> Budget:
        """What all learners compute together, for a training set of `num_chunks` chunks. Raises UserError."""
        return Budget(max(1, round(self.epochs * num_chunks / batch)), batch, learners)

    def rates(self, num_chunks: int, batch: int) -> Schedule:
        """The learning rate as a function of the samples that all learners have seen."""
        return schedule.make(
            self.schedule,
            self.learning_rate,
            samples_per_epoch=num_chunks,
            warmup_epochs=self.warmup_epochs,
            anneal_after_epochs=self.anneal_after_epochs,
            scale=batch / self.reference_batch,
        )


# swb2000: the paper's baseline. Its large batches warm up over the first ten epochs: warmup_epochs: 10.
PRESETS: dict[str, TrainingConfig] = {
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


def from_config(config: dict[str, Any]) -> TrainingConfig:
    """The whole configuration's training: the preset of its model, with what is given beside it.

    Raises UserError where it does not fit the model."""
    preset, given = PRESETS[config["model"]["preset"]], dict(config["training"])
    augmentation = replace(preset.augment, **given.pop("augment", {}))
    training = replace(preset, augment=augmentation, **given)
    subsampling = model_config.from_config(config["model"]).subsampling
    if training.chunk_frames % subsampling:
        raise UserError(
            f"training.chunk_frames ({training.chunk_frames}) must be a multiple of model.subsampling "
            f"({subsampling})"
        )
    return training


def check_runs(config: dict[str, Any]) -> None:
    """Raises UserError for a run of the comparison that could not be trained, hours before its turn."""
    from_config(config)
    for run in configuration.runs(config):
        registry.check(run.strategy, dict(run.options))
        Budget(1, run.batch, run.learners)
