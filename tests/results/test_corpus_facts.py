"""How much speech there was."""

from pathlib import Path

import pytest

from dasr import config as dasr_config
from dasr.config import Config
from dasr.errors import UserError
from dasr.files import write_json
from dasr.results import corpus_facts
from dasr.results.layout import Layout


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = dasr_config.complete({"results": str(tmp_path / "results"), "features": {"kind": "fbank"}})
    layout = Layout.of(config)
    for shard, (utterances, seconds) in enumerate([(3, 1800.0), (4, 5400.0)]):
        folder = layout.feature_shard("fbank", "train", shard)
        folder.mkdir(parents=True)
        facts = {"num_utterances": utterances, "seconds": seconds, "checksum": f"crc32:{shard}"}
        write_json(folder / "manifest.json", facts)
    layout.data("train").mkdir(parents=True)
    (layout.data("train") / "utt2spk").write_text("a-1 a\na-2 a\nb-1 b\n")
    return config


def test_shards_are_added_up_and_splits_without_features_left_out(config: Config) -> None:
    (train,) = corpus_facts.gather(config)
    assert (train.split, train.utterances, train.speakers, train.hours) == ("train", 7, 2, 2.0)


def test_the_digest_changes_with_any_shard(config: Config) -> None:
    (before,) = corpus_facts.gather(config)
    folder = Layout.of(config).feature_shard("fbank", "train", 1)
    write_json(folder / "manifest.json", {"num_utterances": 4, "seconds": 5400.0, "checksum": "crc32:9"})
    (after,) = corpus_facts.gather(config)
    assert before.digest != after.digest


def test_a_damaged_manifest_is_an_error_that_names_it(config: Config) -> None:
    (Layout.of(config).feature_shard("fbank", "train", 0) / "manifest.json").write_text("{")
    with pytest.raises(UserError, match=r"manifest\.json"):
        corpus_facts.gather(config)
