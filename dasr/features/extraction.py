"""One shard of a data directory to one feature shard: from audio, or from Kaldi's own features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from dasr.config import FRAME_SHIFT_S, Config
from dasr.corpora import archives, rxfilename
from dasr.corpora.datadir import Entry, read_data_dir
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.features.audio import AudioReader, BadAudio
from dasr.features.mel import Kind, MelConfig, MelFeatures
from dasr.features.store import Utterance, write_shard
from dasr.progress import progress
from dasr.results.layout import Layout

MFCC_BINS = 23  # Kaldi's default; the bootstrap uses Kaldi's MFCCs whatever the fbank's bins
READERS = 2  # threads that decode audio ahead of the extraction
BATCH = 32  # utterances extracted together


def make(config: Config, kind: Kind, split: str, shard: str) -> dict[str, Any]:
    """Write the feature shard and return its manifest. Raises UserError for bad input."""
    layout, corpus = Layout.of(config), config.corpus
    rejects = Rejects("features")
    folder = layout.data_shard(split, shard)
    entries = read_data_dir(folder, rejects, corpus.allow_pipes)
    bins = config.features.bins if kind == "fbank" else MFCC_BINS
    settings = MelConfig(kind, bins, corpus.sample_rate)
    imported = importable(entries, settings)
    if imported:
        found = list(import_features(entries, rejects))
    else:
        reader = AudioReader(corpus.sample_rate, corpus.resample, corpus.allow_pipes)
        found = list(extract(entries, MelFeatures(settings), reader, rejects, f"{kind} {shard}"))
    rejects.check(f"{kind} features of {split}/{shard}", len(found) + len(rejects), corpus.max_bad_fraction)
    about = {
        "split": split,
        "shard": int(shard),
        "seconds": round(sum(len(u.frames) for u in found) * FRAME_SHIFT_S, 2),
        "features": {"imported": True} if imported else vars(settings),
        "rejected": [{"utterance": row["utterance"], "reason": row["reason"]} for row in rejects.rows()],
    }
    return write_shard(layout.feature_shard(kind, split, shard), found, kind, about)


def importable(entries: Sequence[Entry], settings: MelConfig) -> bool:
    """Whether feats.scp holds this kind: 13 dimensions are MFCCs, anything else goes where fbank would.

    Raises UserError if it does not and there is no audio either.
    """
    given = [entry.feats for entry in entries if entry.feats]
    if not given:
        return False
    dim = _dimension(given)
    if (dim == settings.cepstra) == (settings.kind == "mfcc"):
        return True
    if not any(entry.audio for entry in entries):
        raise UserError(f"feats.scp has {dim} dimensions, so no {settings.kind}, and there is no wav.scp")
    return False


def _dimension(places: Sequence[str]) -> int:
    """Columns of the first of these matrices that can be read. Raises UserError where none of ten can."""
    for place in places[:10]:
        try:
            return int(archives.read_matrix(rxfilename.parse(place)).shape[1])
        except (archives.BadArchive, UserError) as error:
            first = f"feats.scp: {place} cannot be read: {error}"
    raise UserError(first)


def extract(
    entries: Sequence[Entry], extractor: MelFeatures, reader: AudioReader, rejects: Rejects, what: str
) -> Iterator[Utterance]:
    """Features from audio, in the order of `entries`; what cannot be used goes to `rejects`."""

    def read(entry: Entry) -> Any:
        try:
            wave = reader(entry)
            if extractor.config.num_frames(len(wave)) == 0:
                raise BadAudio(f"too short for one frame: {len(wave)} samples")
            return wave
        except BadAudio as error:
            return error

    with ThreadPoolExecutor(READERS, "dasr-audio") as pool:
        batches = [entries[first : first + BATCH] for first in range(0, len(entries), BATCH)]
        ahead = [pool.submit(read, entry) for entry in (batches[0] if batches else [])]
        for number, batch in enumerate(progress(batches, f"{what} (batches of {BATCH} utterances)")):
            waves = [future.result() for future in ahead]
            following = batches[number + 1] if number + 1 < len(batches) else []
            ahead = [pool.submit(read, entry) for entry in following]
            good = [(e, wave) for e, wave in zip(batch, waves, strict=True) if not isinstance(wave, BadAudio)]
            rejects.update(
                (e.utterance, str(w)) for e, w in zip(batch, waves, strict=True) if isinstance(w, BadAudio)
            )
            for (entry, _), found in zip(good, extractor([wave for _, wave in good]), strict=True):
                yield from checked(Utterance(entry.utterance, entry.speaker, found.numpy()), rejects)


def import_features(entries: Sequence[Entry], rejects: Rejects) -> Iterator[Utterance]:
    """Kaldi's own features, from the entries' feats.scp values."""
    dim: int | None = None
    for entry in progress(entries, "import feats.scp"):
        if entry.feats is None:
            rejects.add(entry.utterance, "not in feats.scp")
            continue
        try:
            frames = archives.read_matrix(rxfilename.parse(entry.feats))
        except (archives.BadArchive, UserError) as error:
            rejects.add(entry.utterance, f"{entry.feats} cannot be read: {error}")
            continue
        if frames.ndim != 2 or len(frames) == 0 or frames.shape[1] != (dim or frames.shape[1]):
            rejects.add(
                entry.utterance, f"{entry.feats} has shape {list(frames.shape)}, expected [frames, {dim}]"
            )
            continue
        dim = frames.shape[1]
        yield from checked(Utterance(entry.utterance, entry.speaker, frames), rejects)


def checked(utterance: Utterance, rejects: Rejects) -> Iterator[Utterance]:
    """The utterance in float16, unless that cannot hold its features (NaN, infinity)."""
    with np.errstate(over="ignore"):
        frames = utterance.frames.astype(np.float16)
    if np.isfinite(frames).all():
        yield Utterance(utterance.name, utterance.speaker, frames)
    else:
        rejects.add(utterance.name, "features with NaN or infinity")
