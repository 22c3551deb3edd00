"""How fast features are extracted, beside kaldi-native-fbank in the same run.

    python -m benchmarks.features --record benchmarks/results

One core, audio already in memory: the embedded AN4's test set, repeated to the length asked for. Prints
multiples of real time, the ratio of the two, and the largest difference between their features.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # per core means one

import kaldi_native_fbank as knf
import numpy as np
import soundfile
import torch

from benchmarks import commandline, records
from dasr.errors import UserError
from dasr.features.mel import MelConfig, MelFeatures

AN4 = Path(__file__).resolve().parent.parent / "corpora" / "an4"


def kaldi(wave: np.ndarray, config: MelConfig) -> Any:
    """kaldi-native-fbank's computer, all frames computed (fetching them one by one is not counted)."""
    options = knf.FbankOptions() if config.kind == "fbank" else knf.MfccOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = config.bins
    computer = (knf.OnlineFbank if config.kind == "fbank" else knf.OnlineMfcc)(options)
    computer.accept_waveform(config.sample_rate, wave)
    computer.input_finished()
    return computer


def best(work: Callable[[], object], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(config: MelConfig, waves: list[np.ndarray], repeat: int) -> dict[str, object]:
    seconds = sum(map(len, waves)) / config.sample_rate
    tensors = [torch.from_numpy(wave) for wave in waves]
    ours, theirs = MelFeatures(config), [kaldi(wave, config) for wave in waves[:130]]
    error = 0.0
    for frames, computer in zip(ours(tensors[:130]), theirs, strict=True):
        expected = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
        error = max(error, float(np.abs(frames.numpy() - expected).max()))
    row: dict[str, object] = {"kind": config.kind, "dim": config.dim, "seconds": round(seconds)}
    # Alternating, so that both meet the same neighbours on a shared machine.
    pairs = [
        (best(lambda: ours(tensors), 1), best(lambda: [kaldi(wave, config) for wave in waves], 1))
        for _ in range(repeat)
    ]
    mine, other = (min(column) for column in zip(*pairs, strict=True))
    row |= {"dasr_x_real_time": round(seconds / mine), "knf_x_real_time": round(seconds / other)}
    row |= {"ratio": round(other / mine, 2), "largest_difference": float(f"{error:.1e}")}
    return row


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=1200, help="audio (default 1200)")
    parser.add_argument("--repeat", type=int, default=5, help="the best of so many (default 5)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted(AN4.glob("wav/an4test_clstk/*/*.ogg"))
    if not files:
        raise UserError(f"no audio below {AN4}: the embedded corpus is incomplete")
    once = [soundfile.read(file, dtype="int16")[0].astype(np.float32) for file in files]
    times = max(1, round(arguments.seconds * 16000 / sum(map(len, once))))
    rows = []
    for config in (MelConfig("fbank", 40), MelConfig("mfcc", 23)):
        rows.append(measure(config, once * times, arguments.repeat))
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    commandline.keep(records.make("features", rows), arguments.record)


if __name__ == "__main__":
    commandline.run(main)
