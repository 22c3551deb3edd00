"""Alignments that Kaldi made."""

import gzip
import shutil
from pathlib import Path

import kaldiio
import yaml

from dasr.corpora.rejects import Rejects
from dasr.hmm import alignment
from dasr.hmm.command import align, hmm
from tests.support.small_corpus import call, load


def test_kaldis_alignments_can_stand_in_for_our_own(aligned: Path, tmp_path: Path) -> None:
    given, system = load(aligned)
    found = alignment.align(given, system, 1, Rejects("test"))
    ours = {name: ids for name, ids in zip(given.utterances, found, strict=True) if ids is not None}
    kaldi = tmp_path / "tri_ali"
    kaldi.mkdir()
    shutil.copytree(aligned / "hmm", kaldi / "lang")
    for name in ("tree", "final.mdl"):
        shutil.copy(aligned / "hmm" / name, kaldi)
    with gzip.open(kaldi / "ali.1.gz", "wb") as stream:
        kaldiio.save_ark(stream, ours)
    results = tmp_path / "results"
    shutil.copytree(aligned / "features", results / "features")
    config = yaml.safe_load((aligned / "config.yaml").read_text())
    config |= {"results": str(results), "hmm": {"import_from": str(kaldi)}}
    (results / "config.yaml").write_text(yaml.safe_dump(config))
    call(hmm, results)
    call(align, results, "--split", "train", "--shard", "0")
    for name in ("hmm/pdf_counts.txt", "hmm/final.mdl", "alignments/train/0000/labels.zarr/labels/c/0"):
        assert (results / name).read_bytes() == (aligned / name).read_bytes()
