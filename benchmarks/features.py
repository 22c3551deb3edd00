"""How fast features are extracted, beside kaldi-native-fbank in the same run.

    python benchmarks/features.py [--seconds 1200] [--repeat 5] [--json]

One core, audio already in memory: the embedded AN4's test set, repeated to the length asked for. With a CUDA
device also its speed there, from and to the host's memory. Prints multiples of real time, the ratio of the
two, and the largest difference between their features.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # per core means one

import kaldi_native_fbank as knf
import numpy as np
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from dasr.features.frontend import Frontend, FrontendConfig

AN4 = Path(__file__).resolve().parent.parent / "corpora" / "an4"


def kaldi(wave: np.ndarray, config: FrontendConfig) -> object:
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


def measure(config: FrontendConfig, waves: list[np.ndarray], repeat: int) -> dict[str, object]:
    seconds = sum(map(len, waves)) / config.sample_rate
    tensors = [torch.from_numpy(wave) for wave in waves]
    ours, theirs = Frontend(config), [kaldi(wave, config) for wave in waves[:130]]
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
    if torch.cuda.is_available():
        device = Frontend(config, "cuda")
        device(tensors)
        row["cuda_x_real_time"] = round(seconds / best(lambda: device(tensors), repeat))
        row["cuda"] = torch.cuda.get_device_name()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1200, help="audio (default 1200)")
    parser.add_argument("--repeat", type=int, default=5, help="the best of so many (default 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted(AN4.glob("wav/an4test_clstk/*/*.ogg"))
    if not files:
        sys.exit(f"no audio below {AN4}")
    once = [soundfile.read(file, dtype="int16")[0].astype(np.float32) for file in files]
    times = max(1, round(arguments.seconds * 16000 / sum(map(len, once))))
    for config in (FrontendConfig("fbank", 40), FrontendConfig("mfcc", 23)):
        row = measure(config, once * times, arguments.repeat)
        print(
            json.dumps(row) if arguments.json else "  ".join(f"{k} {v}" for k, v in row.items()), flush=True
        )


if __name__ == "__main__":
    main()
