"""Make this folder's wav/ and etc/ from the lossless AN4 distribution: audio as Ogg Opus, everything else as
it is.

    python corpora/an4/encode.py /path/to/an4 corpora/an4 [--kbits 48]

Needs soundfile and numpy only. Takes wav, flac or sph. Every file is decoded again and must have exactly the
sample count of its source, so frame counts and alignments agree between the lossless corpus and this one.
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile

TEXTS = ("an4.dic", "an4.filler", "an4.phone", "an4.lm", "feat.params")
LOWEST, HIGHEST = 6.0, 256.0  # kbit/s of libsndfile's Opus writer at compression level 1 and 0


def encode(source: Path, target: Path, kbits: float) -> tuple[int, float]:
    """Write `target` (Ogg Opus); return (samples, signal-to-noise ratio in dB)."""
    audio, rate = soundfile.read(source, dtype="int16")
    target.parent.mkdir(parents=True, exist_ok=True)
    level = (HIGHEST - kbits) / (HIGHEST - LOWEST)
    soundfile.write(target, audio, rate, format="OGG", subtype="OPUS", compression_level=level)
    again, again_rate = soundfile.read(target, dtype="int16")
    if again.shape != audio.shape or again_rate != rate:
        sys.exit(
            f"{target}: {again.shape} samples at {again_rate} Hz, but {source} has {audio.shape} at {rate} Hz"
        )
    signal = audio.astype(np.float64)
    noise = signal - again.astype(np.float64)
    return len(audio), float(10 * np.log10((signal**2).sum() / max((noise**2).sum(), 1.0)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder with wav/ and etc/ of AN4")
    parser.add_argument("target", type=Path)
    parser.add_argument("--kbits", type=float, default=48.0, help="aimed-at kbit/s (default 48)")
    arguments = parser.parse_args()
    samples, size = 0, 0
    ratios: list[float] = []
    for split in ("train", "test"):
        ids = (arguments.source / "etc" / f"an4_{split}.fileids").read_text(encoding="ascii").split()
        for name in ids:
            found = [
                p for s in ("wav", "flac", "sph") if (p := arguments.source / "wav" / f"{name}.{s}").is_file()
            ]
            if not found:
                sys.exit(f"{arguments.source / 'wav' / name}: no .wav, .flac or .sph")
            target = arguments.target / "wav" / f"{name}.ogg"
            count, ratio = encode(found[0], target, arguments.kbits)
            samples, size, ratios = samples + count, size + target.stat().st_size, [*ratios, ratio]
    for name in (*TEXTS, *(f"an4_{s}.{e}" for s in ("train", "test") for e in ("fileids", "transcription"))):
        (arguments.target / "etc").mkdir(exist_ok=True)
        shutil.copyfile(arguments.source / "etc" / name, arguments.target / "etc" / name)
    shutil.copyfile(arguments.source / "LICENSE", arguments.target / "LICENSE")
    seconds = samples / 16000
    print(f"{len(ratios)} files, {samples} samples ({seconds / 3600:.3f} h), {size} bytes, ", end="")
    print(f"{size * 8 / seconds / 1000:.1f} kbit/s, median SNR {np.median(ratios):.1f} dB")


if __name__ == "__main__":
    main()
