"""What a run is trained with: its entry's values before its strategy's before the configuration's."""

from __future__ import annotations

from typing import Any

import pytest

from dasr.config import TrainingConfig, complete
from dasr.errors import UserError
from dasr.learner import recipe


def training(**options: Any) -> TrainingConfig:
    return complete({"training": options}).training


def test_a_strategy_that_is_defined_with_an_optimizer_brings_a_rate_for_it() -> None:
    demo = complete({}).training
    found = recipe.training_of(demo, "diloco")
    assert (found.optimizer.kind, found.learning_rate, found.rate_rule) == ("adamw", 4e-3, "none")
    assert found.model_dump(exclude={"optimizer", "learning_rate", "rate_rule"}) == demo.model_dump(
        exclude={"optimizer", "learning_rate", "rate_rule"}
    )
    assert recipe.training_of(demo, "sc-allreduce") is demo


def test_the_configurations_rate_counts_where_its_optimizer_is_the_strategys_own() -> None:
    adamw = training(optimizer={"kind": "adamw", "weight_decay": 0.3}, learning_rate=1e-3)
    assert recipe.training_of(adamw, "diloco") is adamw


def test_what_an_entry_says_counts_most() -> None:
    demo = complete({}).training
    assert recipe.training_of(demo, "diloco", {"learning_rate": 1e-3}).learning_rate == 1e-3
    plain = recipe.training_of(demo, "diloco", {"optimizer": "sgd"})
    assert (plain.optimizer.kind, plain.learning_rate) == ("sgd", demo.learning_rate)
    with pytest.raises(UserError, match="did you mean 'cosine'"):
        recipe.training_of(demo, "sd", {"schedule": "cosin"})


@pytest.mark.parametrize(
    ("strategy", "rule", "clip"),
    [
        ("sc-allreduce", "none", 1.0),
        ("ad", "none", 1.0),
        ("sc-allreduce", "local-batch", 1.0),  # the mean of the reference batch
        ("ad", "local-batch", 2.0),  # a fourth of it
    ],
)
def test_the_clip_of_a_local_batch_is_longer_as_its_noise_is(strategy: str, rule: str, clip: float) -> None:
    said = training(clip=1.0, clip_rule=rule, reference_batch=32)
    assert recipe.clip_of(said, strategy, batch=32, learners=4) == pytest.approx(clip)
