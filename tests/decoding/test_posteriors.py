"""Scores for the search: from real shards and a real network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dasr import config as dasr_config
from dasr.config import Config, ModelConfig
from dasr.decoding import posteriors
from dasr.errors import UserError
from dasr.features.store import Utterance, write_shard
from dasr.models.acoustic import AcousticModel
from dasr.results.layout import model_shards

PDFS = 7
PRIORS = np.log(np.arange(1, PDFS + 1, dtype=np.float32) / 28)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    draw = np.random.default_rng(0)
    for shard, names in (("0000", ["a-1", "a-2"]), ("0001", ["b-1"])):
        frames = [draw.normal(size=(20 + 7 * k, 10)).astype(np.float32) for k in range(len(names))]
        utterances = [Utterance(name, name[0], one) for name, one in zip(names, frames, strict=True)]
        write_shard(tmp_path / "features" / "fmllr" / "dev" / shard, utterances, "fmllr", {})
    return dasr_config.complete({"results": str(tmp_path)})


def model(outputs: int = PDFS) -> AcousticModel:
    torch.manual_seed(0)
    return AcousticModel(ModelConfig(layers=1, cells=8, bottleneck=8, subsampling=2), 10, outputs).eval()


def test_every_frame_has_posteriors_less_priors_that_sum_to_one(config: Config) -> None:
    found = dict(posteriors.scores(model_shards(config, "dev"), model(), PRIORS))
    assert {name: len(one) for name, one in found.items()} == {"a-1": 20, "a-2": 27, "b-1": 20}
    assert posteriors.count(config, "dev") == 3
    for one in found.values():
        assert np.exp(one + PRIORS).sum(axis=1) == pytest.approx(np.ones(len(one)), abs=1e-5)


def test_a_model_of_another_tree_or_that_diverged_is_one_clear_line(config: Config) -> None:
    with pytest.raises(UserError, match="9 outputs, the HMM system 7 tied states"):
        list(posteriors.scores(model_shards(config, "dev"), model(9), PRIORS))
    broken = model()
    torch.nn.init.constant_(next(broken.parameters()), float("nan"))
    with pytest.raises(UserError, match=r"a-1 .* is not finite"):
        list(posteriors.scores(model_shards(config, "dev"), broken, PRIORS))
    with pytest.raises(UserError, match="run `dasr adapt --split test`"):
        posteriors.count(config, "test")
