"""Shards from audio and from Kaldi's features, and one clear line for each kind of bad
input.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dasr.config import Config, complete
from dasr.corpora.command import make as make_corpus
from dasr.errors import UserError
from dasr.features.command import features
from dasr.features.extraction import make
from dasr.features.store import Shard
from tests.features.conftest import small_config


def audio_of(config: Config, index: int) -> tuple[str, Path, Path]:
    """(utterance, its audio, the shard's wav.scp)."""
    scp = Path(config.results) / "corpus" / "train" / "shards" / "0000" / "wav.scp"
    name, place = scp.read_text().splitlines()[index].split()
    return name, Path(place), scp


def replace_audio(config: Config, index: int, place: str) -> str:
    name, old, scp = audio_of(config, index)
    scp.write_text(scp.read_text().replace(str(old), place))
    scp.with_name("manifest.json").unlink(missing_ok=True)  # as in a folder that dasr did not write
    return name


def test_a_shard_holds_every_utterance_with_speaker_statistics_and_a_true_manifest(
    small: Config,
) -> None:
    path = Path(small.results) / "config.yaml"
    path.write_text(small.text())
    result = CliRunner().invoke(
        features, ["fbank", "--split", "train", "--shard", "0", "--config", str(path)]
    )
    assert result.exit_code == 0, result.output
    shard = Shard.open(Path(small.results) / "features" / "fbank" / "train" / "0000")
    assert len(shard.utterances) == 12 and shard.frames.shape == (shard.num_frames, 40)
    assert (
        shard.manifest["seconds"] == pytest.approx(shard.num_frames / 100)
        and shard.manifest["kind"] == "fbank"
    )
    for speaker in range(len(shard.speakers)):
        mine = [shard.normalised(i) for i in range(12) if shard.speaker_of[i] == speaker]
        np.testing.assert_allclose(np.concatenate(mine).mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(np.concatenate(mine).std(0), 1, atol=1e-4)
    length = soundfile.info(audio_of(small, 3)[1]).frames
    assert shard.offsets[4] - shard.offsets[3] == 1 + (length - 400) // 160


def _write(samples: Any, rate: int = 16000) -> Callable[[Path], None]:
    return lambda file: soundfile.write(
        file, np.asarray(samples), rate, subtype="FLOAT" if file.suffix == ".wav" else None
    )


BAD: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "corrupt": ("x.ogg", lambda f: f.write_bytes(b"OggS" + bytes(range(200))), "cannot be decoded"),
    "not audio": ("x.wav", lambda f: f.write_text("hello"), "cannot be decoded"),
    "empty": ("x.wav", _write(np.zeros(0)), "empty audio"),
    "too short": ("x.wav", _write(np.zeros(399)), "too short for one frame: 399 samples"),
    "wrong rate": (
        "x.wav",
        _write(np.zeros(8000), 8000),
        "sample rate 8000 instead of 16000 .*resample: true",
    ),
    "stereo": ("x.wav", _write(np.zeros((8000, 2))), "2 channels instead of one"),
    "NaN": ("x.wav", _write(np.full(8000, np.nan)), "audio with NaN"),
    "overflow": ("x.wav", _write(np.full(8000, 1e30) * (-1.0) ** np.arange(8000)), "NaN or infinity"),
    "odd bytes": ("x.raw", lambda f: f.write_bytes(b"123"), "3 bytes are no 16-bit samples"),
    "bad archive": (
        "x.ark:5",
        lambda f: f.with_name("x.ark").write_bytes(b"12345678"),
        "cannot be read from .*begins no audio file",
    ),
    "gone": ("x.wav", lambda f: None, "x.wav is missing"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_audio_is_rejected_and_beyond_the_fraction_stops_with_one_line(
    small: Config, tmp_path: Path, what: str
) -> None:
    place, create, reason = BAD[what]
    create(tmp_path / place)
    name = replace_audio(small, 2, str(tmp_path / place))
    manifest = make(small, "fbank", "train", "0000")
    assert [row["utterance"] for row in manifest["rejected"]] == [name] and manifest["num_utterances"] == 11
    plain = small.plain()
    small = complete({**plain, "corpus": {**plain["corpus"], "max_bad_fraction": 0}})
    with pytest.raises(UserError, match=rf"1 of 12 utterances are bad.*{name}: .*{reason}") as stopped:
        make(small, "fbank", "train", "0000")
    assert "\n" not in str(stopped.value)


def test_kaldis_own_features_are_imported_instead_of_extracted(small: Config, tmp_path: Path) -> None:
    shard = Path(small.results) / "corpus" / "train" / "shards" / "0000"
    names = [line.split()[0] for line in (shard / "text").read_text().splitlines()]
    matrices = {
        name: np.random.default_rng(1).normal(size=(20 + i, 7)).astype(np.float32)
        for i, name in enumerate(names)
    }
    matrices[names[4]][3, 3] = np.nan
    kaldiio.save_ark(str(tmp_path / "f.ark"), matrices, scp=str(shard / "feats.scp"))
    manifest = make(small, "fbank", "train", "0000")
    assert (manifest["dim"], manifest["num_utterances"]) == (7, 11)
    assert manifest["rejected"] == [{"utterance": names[4], "reason": "features with NaN or infinity"}]
    stored = Shard.open(Path(small.results) / "features" / "fbank" / "train" / "0000")
    np.testing.assert_allclose(stored.utterance(0), matrices[names[0]], atol=2e-3)
    assert make(small, "mfcc", "train", "0000")["dim"] == 13, "audio is there, and 7 dimensions are no MFCC"


def test_a_stage_that_fails_leaves_the_shard_that_was_there(small: Config) -> None:
    before = make(small, "fbank", "train", "0000")
    for index in range(3):
        replace_audio(small, index, "/nowhere.wav")
    with pytest.raises(
        UserError, match=r"3 of 12 utterances are bad, but corpus.max_bad_fraction \(0.1\) allows 2"
    ):
        make(small, "fbank", "train", "0000")
    assert Shard.open(Path(small.results) / "features/fbank/train/0000").manifest == before


def test_features_before_the_corpus_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no data directory"):
        make(small_config(tmp_path), "fbank", "train", "0000")


def test_extraction_is_the_same_bits_each_time(small: Config) -> None:
    assert make(small, "mfcc", "dev", "0000")["checksum"] == make(small, "mfcc", "dev", "0000")["checksum"]
    make_corpus(small)
