"""Audio files of every container, whole or truncated."""

import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from dasr.config import Config
from dasr.corpora.datadir import Entry
from dasr.features.audio import AudioReader, BadAudio
from tests.features.test_extraction import audio_of


@pytest.mark.parametrize("cut", [1, 900, 4500])
def test_a_truncated_opus_file_is_not_taken_for_whole(small: Config, tmp_path: Path, cut: int) -> None:
    _, audio, _ = audio_of(small, 2)
    (tmp_path / "cut.ogg").write_bytes(audio.read_bytes()[:-cut])
    with pytest.raises(BadAudio, match=r"truncated|cannot be decoded"):
        AudioReader()(Entry("u", "s", ("A",), audio=str(tmp_path / "cut.ogg")))


@pytest.mark.parametrize("cut", [2, 900, 15000])
def test_a_truncated_wav_file_is_not_taken_for_whole(tmp_path: Path, cut: int) -> None:
    soundfile.write(tmp_path / "whole.wav", np.zeros(8000), 16000, subtype="PCM_16")
    reader, whole = AudioReader(), (tmp_path / "whole.wav").read_bytes()
    assert len(reader(Entry("u", "s", ("A",), audio=str(tmp_path / "whole.wav")))) == 8000
    (tmp_path / "cut.wav").write_bytes(whole[:-cut])
    with pytest.raises(BadAudio, match=rf"truncated: its header promises {cut} bytes more"):
        reader(Entry("u", "s", ("A",), audio=str(tmp_path / "cut.wav")))
    (tmp_path / "piped.wav").write_bytes(whole[:4] + b"\xff\xff\xff\xff" + whole[8:])
    assert len(reader(Entry("u", "s", ("A",), audio=str(tmp_path / "piped.wav")))) == 8000


def test_another_rate_is_resampled_if_the_config_says_so(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", tone, 8000, subtype="FLOAT")
    entry = Entry("u", "s", ("A",), audio=str(tmp_path / "tone.wav"))
    wave = AudioReader(resample=True)(entry).numpy() / 32768
    assert len(wave) == 16000
    np.testing.assert_allclose(
        wave[500:-500], np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)[500:-500], atol=0.01
    )


def test_every_container_gives_the_same_samples(tmp_path: Path) -> None:
    samples = (3000 * np.sin(np.arange(4000) / 9)).astype(np.int16)
    places = [str(tmp_path / f"a.{suffix}") for suffix in ("wav", "flac", "sph", "little.raw", "big.raw")]
    soundfile.write(places[0], samples, 16000)
    soundfile.write(places[1], samples, 16000)
    soundfile.write(places[2], samples, 16000, format="NIST", subtype="PCM_16")
    samples.astype("<i2").tofile(places[3])
    samples.astype(">i2").tofile(places[4])
    ark = str(tmp_path / "a.ark")
    kaldiio.save_ark(ark, {"a": (16000, samples)}, scp=str(tmp_path / "a.scp"))
    places += [(tmp_path / "a.scp").read_text().split()[1], f"cat {places[0]} |"]
    for place in places:
        entry = Entry("u", "s", ("A",), audio=place, begin=0.1, end=0.2)
        np.testing.assert_array_equal(
            AudioReader(allow_pipes=True)(entry).numpy(), samples[1600:3200], err_msg=place
        )


def test_a_decoder_that_looks_before_the_beginning_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in soundfile's callback would be printed as a traceback."""
    unseen: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unseen.append)
    soundfile.write(tmp_path / "whole.aiff", np.zeros(16000, np.float32), 16000)
    (tmp_path / "cut.aiff").write_bytes((tmp_path / "whole.aiff").read_bytes()[:44])
    with pytest.raises(BadAudio):
        AudioReader(16000, allow_pipes=True)(Entry("u", "s", ("A",), "r", f"cat {tmp_path}/cut.aiff |"))
    assert unseen == []
