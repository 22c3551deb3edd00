"""The front end against kaldi-native-fbank, Kaldi's C++ code on its own, on all of AN4's test set."""

from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from dasr.features.mel import MelConfig, MelFeatures

AN4 = Path(__file__).parents[2] / "corpora" / "an4"


@pytest.fixture(scope="module")
def waves() -> list[NDArray[np.float32]]:
    files = sorted(AN4.glob("wav/an4test_clstk/*/*.ogg"))
    assert len(files) == 130
    return [soundfile.read(file, dtype="int16")[0].astype(np.float32) for file in files]


def kaldi(wave: NDArray[np.float32], config: MelConfig) -> NDArray[np.float32]:
    options = knf.FbankOptions() if config.kind == "fbank" else knf.MfccOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = config.sample_rate
    options.mel_opts.num_bins = config.bins
    computer = (knf.OnlineFbank if config.kind == "fbank" else knf.OnlineMfcc)(options)
    computer.accept_waveform(config.sample_rate, wave)
    computer.input_finished()
    frames = [computer.get_frame(index) for index in range(computer.num_frames_ready)]
    return np.stack(frames) if frames else np.zeros((0, config.dim), np.float32)


@pytest.mark.parametrize("config", [MelConfig("fbank", 40), MelConfig("mfcc", 23)], ids=lambda c: c.kind)
def test_it_equals_kaldi_within_1e_3_on_all_of_an4s_test_set(
    waves: list[NDArray[np.float32]], config: MelConfig
) -> None:
    found = MelFeatures(config)([torch.from_numpy(wave) for wave in waves])
    for wave, frames in zip(waves, found, strict=True):
        expected = kaldi(wave, config)
        assert frames.shape == expected.shape and frames.dtype == torch.float32
        assert float(np.abs(frames.numpy() - expected).max()) < 1e-3


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_it_equals_kaldi_at_other_rates_bins_and_lengths(rate: int) -> None:
    rng = np.random.default_rng(rate)
    lengths = [0, 1, rate // 40 - 1, rate // 40, rate // 40 + rate // 100, rate, 3 * rate + 17]
    noise = [rng.normal(300, 2000, length).astype(np.float32) for length in lengths]
    for config in (MelConfig("fbank", 80, rate), MelConfig("mfcc", 23, rate)):
        found = MelFeatures(config)([torch.from_numpy(wave) for wave in noise])
        for wave, frames in zip(noise, found, strict=True):
            assert len(frames) == config.num_frames(len(wave))
            np.testing.assert_allclose(frames.numpy(), kaldi(wave, config), atol=1e-3)


def test_digital_silence_gives_kaldis_floor() -> None:
    silence = np.zeros(1600, np.float32)
    config = MelConfig("fbank", 40)
    frames = MelFeatures(config)([torch.from_numpy(silence)])[0].numpy()
    np.testing.assert_allclose(frames, kaldi(silence, config), atol=1e-4)
