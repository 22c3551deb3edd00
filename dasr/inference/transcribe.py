"""A trained run's model on any audio: the stages of the workflow, a group of pieces after the other.

Features, first pass, adaptation and search are those of `dasr features`, `adapt` and `decode`, so the words
are the same where the utterances and speakers are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dasr.config import Config
from dasr.corpora.datadir import Entry
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError
from dasr.features.audio import AudioReader
from dasr.features.extraction import MFCC_BINS, extract
from dasr.features.mel import Kind, MelConfig, MelFeatures
from dasr.features.store import Shard, read_manifest, write_shard
from dasr.files import atomic
from dasr.inference import pieces
from dasr.results.layout import Layout


@dataclass(frozen=True)
class Task:
    """What transcribes: a run of a comparison with one of its language models."""

    config: Config
    run: str
    lm: str
    jobs: int
    device: str


@dataclass
class Transcript:
    """Words of one utterance and when they are said: (begin, end), seconds from the recording's start."""

    utterance: str
    recording: str
    words: list[str] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)


def transcribe(task: Task, entries: Sequence[Entry], rejects: Rejects) -> Iterator[Transcript]:
    """Each good entry's transcript, in their order. Raises UserError."""
    import torch

    from dasr.decoding import outputs, scoring, search
    from dasr.decoding.decoder import Decoder
    from dasr.models import acoustic

    config, layout = task.config, Layout.of(task.config)
    _check_features(config)
    torch.set_num_threads(max(1, task.jobs // 2))  # as `dasr decode`
    model = acoustic.load(layout.run(task.run), task.device, config.model.kind)
    of_model = outputs.of(config, model)
    graph = layout.hclg(task.lm)
    decoder = Decoder(
        [graph],
        [search.read_words(graph.with_name("words.txt"))],
        of_model.times,
        [[scoring.chosen_setting(Path(config.results), task.run, task.lm)]],
        of_model.shift_s,
        search.SearchConfig(config.decoding.beam, config.decoding.max_active),
        task.jobs,
    )
    whole: dict[str, Entry] = {}  # piece -> what it was cut from
    begins: dict[str, float] = {}

    def cut() -> Iterator[Entry]:
        for entry in entries:
            for piece in pieces.cut(entry):
                whole[piece.utterance], begins[piece.utterance] = entry, piece.begin or 0.0
                yield piece

    shards = _shards(task, pieces.groups(cut()), rejects)
    now: Transcript | None = None
    for ((said,),) in decoder.decode(of_model.scores(shards)):
        entry, begin = whole.pop(said.utterance), begins.pop(said.utterance)
        if now is None or now.utterance != entry.utterance:
            if now is not None:
                yield now
            now = Transcript(entry.utterance, entry.recording)
        now.words += said.words
        now.times += [(begin + first, begin + last) for first, last in said.times]
    if now is not None:
        yield now


def _check_features(config: Config) -> None:
    kind = "mfcc" if config.features.kind == "fmllr" else config.features.kind
    for folder in sorted(Layout.of(config).features(kind, "train").glob("[0-9]*"))[:1]:
        if read_manifest(folder).get("features", {}).get("imported"):
            raise UserError(
                f"the model of {config.results} was trained on features from feats.scp, which are not made "
                "from audio here"
            )


def _shards(task: Task, groups: Iterable[list[Entry]], rejects: Rejects) -> Iterator[Path]:
    """A feature shard of each group; it is there until the next is asked for."""
    config = task.config
    corpus = config.corpus
    adapts = config.features.kind == "fmllr"
    kind: Kind = "mfcc" if adapts else "fbank"
    bins = MFCC_BINS if adapts else config.features.bins
    extractor = MelFeatures(MelConfig(kind, bins, corpus.sample_rate))
    reader = AudioReader(corpus.sample_rate, True, corpus.allow_pipes)
    for number, group in enumerate(groups):
        found = list(extract(group, extractor, reader, rejects, f"{kind} of group {number}"))
        if not found:
            continue
        with tempfile.TemporaryDirectory(prefix="dasr-") as temporary:
            folder = Path(temporary) / kind
            write_shard(folder, found, kind, {})
            if adapts:
                folder = _adapted(task, folder)
            yield folder


def _adapted(task: Task, folder: Path) -> Path:
    from dasr.adaptation.features import recognised_and_adapted
    from dasr.hmm.system import HmmSystem

    layout = Layout.of(task.config)
    system, hclg = HmmSystem.load(layout.hmm), layout.hclg("unigram")
    target = folder.with_name("fmllr")
    write_shard(target, recognised_and_adapted(Shard.open(folder), system, hclg, task.jobs), "fmllr", {})
    return target


def write(transcripts: Sequence[Transcript], folder: Path) -> None:
    """`text`, `hyp.trn` and `hyp.ctm` (times within the recording) in `folder`."""
    lines = {
        "text": (" ".join([one.utterance, *one.words]) for one in transcripts),
        "hyp.trn": (" ".join([*one.words, f"({one.utterance})"]) for one in transcripts),
        "hyp.ctm": (
            f"{one.recording} 1 {begin:.3f} {max(end - begin, 0.001):.3f} {word}"
            for one in transcripts
            for word, (begin, end) in zip(one.words, one.times, strict=True)
        ),
    }
    for name, content in lines.items():
        with atomic(folder / name) as temporary, open(temporary, "w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in content)
