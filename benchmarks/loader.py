"""How fast the feed is, beside kaldiio with a DataLoader in the same run; and that its memory stays constant.

    python -m benchmarks.loader speed --record benchmarks/results
    python -m benchmarks.loader memory --record benchmarks/results

speed: a synthetic corpus (40 dimensions, float16, labels) written to disk as shards, and two shards of it as
Kaldi archives for the other side; shuffled 21-frame chunks. memory: a corpus of 2,000 hours' shape, its
shards being links to a few real ones, so that index, order and reading are those of the whole while the disk
holds little; resident memory is sampled all along.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import kaldiio
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks import commandline, records
from dasr.features.feed import Feed
from dasr.features.store import Shard, Utterance, write_arrays, write_shard
from dasr.files import write_json
from dasr.progress import progress

DIM, CHUNK = 40, 21
FRAMES_AN_HOUR = 360_000


def make_shard(folder: Path, number: int, hours: float) -> None:
    """20 speakers, utterances of 1 to 15 s, as telephone speech has them."""
    rng = np.random.default_rng(number)
    lengths: list[int] = []
    while sum(lengths) < hours * FRAMES_AN_HOUR:
        lengths.append(int(rng.integers(100, 1500)))
    noise = rng.normal(12, 3, (60_000, DIM)).astype(np.float16)
    starts = rng.integers(0, len(noise) - 1500, len(lengths))
    utterances = [
        Utterance(f"u{number}-{i}", f"s{number}-{i * 20 // len(lengths)}", noise[start : start + length])
        for i, (length, start) in enumerate(zip(lengths, starts, strict=True))
    ]
    write_shard(folder / f"f{number:04d}", utterances, "fbank", {"rejected": []})
    labels = rng.integers(0, 32_000, sum(lengths)).astype(np.int32)
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    write_arrays(folder / f"a{number:04d}" / "labels.zarr", {"labels": labels, "offsets": offsets}, {})
    write_json(folder / f"a{number:04d}" / "manifest.json", {"rejected": []})


def shards(folder: Path, count: int, real: int, hours: float) -> tuple[list[Path], list[Path]]:
    """`count` shards of which `real` are files, the others links to those."""
    for number in progress(range(real), "write shards"):
        make_shard(folder, number, hours)
    for number in range(real, count):
        for letter in "fa":
            (folder / f"{letter}{number:04d}").symlink_to(folder / f"{letter}{number % real:04d}")
    return [folder / f"f{n:04d}" for n in range(count)], [folder / f"a{n:04d}" for n in range(count)]


class ArchiveChunks(Dataset[tuple[np.ndarray, np.ndarray]]):
    """The usual way: an item is a chunk, read with kaldiio from the utterance's archive entry."""

    def __init__(self, folder: Path, features: list[Path]) -> None:
        scp: dict[str, str] = {}
        for number, path in enumerate(features):
            shard = Shard.open(path)
            matrices = {
                name: shard.utterance(i).astype(np.float32) for i, name in enumerate(shard.utterances)
            }
            kaldiio.save_ark(str(folder / f"{number}.ark"), matrices, scp=str(folder / f"{number}.scp"))
            scp |= dict(line.split() for line in (folder / f"{number}.scp").read_text().splitlines())
        self.rows = [
            (scp[name], start)
            for path in features
            for shard in [Shard.open(path)]
            for name, length in zip(shard.utterances, np.diff(shard.offsets).tolist(), strict=True)
            for start in range(0, length - CHUNK + 1, CHUNK)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        place, start = self.rows[index]
        return kaldiio.load_mat(place)[start : start + CHUNK].astype(np.float16), np.zeros(CHUNK, np.int32)


def rate(batches: Iterator[object], batch: int, seconds: float) -> float:
    """kframes/s over that many seconds, after the first batch."""
    next(batches)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(batches)
        count += 1
    return count * batch * CHUNK / (time.perf_counter() - start) / 1000


def endless(feed: Feed) -> Iterator[object]:
    while True:
        yield feed.next()


def epochs(loader: DataLoader[object]) -> Iterator[object]:
    while True:
        yield from loader


def drop_page_cache(folder: Path) -> None:
    """Ask the kernel to forget the files, so that reading is from the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def speed(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    count = max(8, round(arguments.hours / arguments.shard_hours))
    features, alignments = shards(folder, count, count, arguments.shard_hours)
    drop_page_cache(folder)
    row: dict[str, object] = {
        "hours": count * arguments.shard_hours,
        "batch": arguments.batch,
        "context": arguments.context,
    }
    for name, context in (("feed_kframes_per_s", 0), ("feed_with_context_kframes_per_s", arguments.context)):
        feed = Feed(features, alignments, CHUNK, arguments.batch, 0, 1, seed=0, context=context)
        row[name] = round(rate(endless(feed), arguments.batch, arguments.seconds), 1)
        feed.close()
    dataset = ArchiveChunks(folder, features[:2])
    for workers in (0, 2):
        loader = DataLoader(dataset, arguments.batch, shuffle=True, num_workers=workers, drop_last=True)
        name = f"kaldiio_dataloader_{workers}_workers_kframes_per_s"
        row[name] = round(rate(epochs(loader), arguments.batch, arguments.seconds / 3), 1)
    return row


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def memory(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    count = max(8, round(arguments.hours / arguments.shard_hours))
    features, alignments = shards(folder, count, 8, arguments.shard_hours)
    before, start = resident_mb(), time.perf_counter()
    feed = Feed(features, alignments, CHUNK, arguments.batch, 0, 1, seed=0)
    opened = time.perf_counter() - start
    batches = int(feed.num_chunks * arguments.epochs) // arguments.batch
    samples, start = [], time.perf_counter()
    for number in progress(range(batches), "batches"):
        feed.next()
        if number % max(1, batches // 200) == 0:
            samples.append(resident_mb())
    seconds = time.perf_counter() - start
    feed.close()
    fifth = max(1, len(samples) // 5)
    return {
        "hours": count * arguments.shard_hours,
        "shards": count,
        "chunks_million": round(feed.num_chunks / 1e6, 2),
        "open_seconds": round(opened, 1),
        "epochs": arguments.epochs,
        "kframes_per_s": round(batches * arguments.batch * CHUNK / seconds / 1000, 1),
        "mb_before": round(before),
        "mb_first_fifth_max": round(max(samples[:fifth])),
        "mb_last_fifth_max": round(max(samples[-fifth:])),
    }


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("what", choices=["speed", "memory"], help="what is measured")
    parser.add_argument("--hours", type=float, help="of the corpus (default 20 for speed, 2000 for memory)")
    parser.add_argument("--shard-hours", type=float, default=2.0, help="of each shard (default 2)")
    parser.add_argument("--batch", type=int, default=256, help="chunks (default 256)")
    parser.add_argument("--context", type=int, default=5, help="frames, for the second speed (default 5)")
    parser.add_argument("--seconds", type=float, default=15, help="how long to measure (default 15)")
    parser.add_argument("--epochs", type=float, default=0.5, help="how far to go for memory (default 0.5)")
    parser.add_argument("--folder", type=Path, help="where to put the corpus (default: a temporary folder)")
    arguments = parser.parse_args()
    arguments.hours = arguments.hours or (20 if arguments.what == "speed" else 2000)
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="dasr-loader-", dir=arguments.folder))
    try:
        row = (speed if arguments.what == "speed" else memory)(arguments, folder)
    finally:
        shutil.rmtree(folder)
    print("\n".join(f"{key:45} {value}" for key, value in row.items()))
    what: records.What = "feed-speed" if arguments.what == "speed" else "feed-memory"
    commandline.keep(records.make(what, [row]), arguments.record)


if __name__ == "__main__":
    commandline.run(main)
