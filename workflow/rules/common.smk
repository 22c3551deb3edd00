import shlex
import sys
from pathlib import Path

import yaml

from dasr import config as dasr_config
from dasr import files
from dasr.corpora import kaldi, tables
from dasr.errors import UserError

# Every command reads the resolved configuration, so that `--config` and `--configfile` reach it too. Rules name
# the sections they depend on in `params`, which is what makes Snakemake rerun them, and only them.
try:
    _where = " + ".join(map(str, workflow.configfiles)) or "config.yaml"
    _resolved = dasr_config.complete(config, _where)
    RUNS = [run.name for run in dasr_config.runs(_resolved)]
    config = _resolved.plain()
    R = config["results"]
    RESOLVED = f"{R}/config.yaml"
    _text = yaml.safe_dump(config, sort_keys=False)
    if (
        not Path(RESOLVED).is_file()
        or Path(RESOLVED).read_text(encoding="utf-8") != _text
    ):
        from dasr.planning.check import (
            check_runs,
        )  # seconds, so only after a change

        check_runs(_resolved)
        files.write_text(RESOLVED, _text)
except UserError as error:
    raise WorkflowError(str(error)) from None
LMS = ["unigram", "ngram"]
FEATURES = f"features/{config['features']['kind']}"  # what the acoustic model sees
SHARDS = {
    split: [f"{n:04d}" for n in range(count)]
    for split, count in config["features"]["shards"].items()
}


# `dasr` is the one beside the Python that runs Snakemake, activated or not, on the nodes too.
shell.prefix(f'set -euo pipefail; export PATH="{Path(sys.executable).parent}:$PATH"; ')


wildcard_constraints:
    split="train|dev|test",
    kind="fbank|mfcc",
    shard=r"\d{4}",
    lm="|".join(LMS),
    run=r"[^/]+",


def manifests(what, *splits):
    """Manifests of all shards of `splits` below R/<what>."""
    return [
        f"{R}/{what}/{split}/{shard}/manifest.json"
        for split in splits
        for shard in SHARDS[split]
    ]


def corpus_sources(wildcards):
    """What the data directories are made from. Audio is an input of the shard that holds it, not of this."""
    path = Path(config["corpus"]["path"])
    if config["corpus"]["kind"] == "an4":
        return sorted(str(file) for file in path.glob("etc/*") if file.is_file())
    return [str(file) for file in kaldi.files_read(path)]


def audio_of_shard(wildcards):
    """The audio files that a shard's wav.scp names (pipes and archives are not files to watch)."""
    checkpoints.corpus.get()
    scp = Path(f"{R}/corpus/{wildcards.split}/shards/{wildcards.shard}/wav.scp")
    places = [tables.key_and_rest(line)[1] for _, line in tables.text_lines(scp)]
    return [str(scp)] + sorted(
        {place for place in places if not place.endswith("|") and Path(place).is_file()}
    )


LAUNCH = (
    "executor nodes tasks_per_node cpus_per_task gpus_per_task mem_mb runtime "
    "slurm_partition slurm_account qos constraint slurm_extra python"
).split()


def launch_options(wildcards, resources):
    """Options of `dasr train` from those resources that a profile or `--set-resources` gives."""
    given = {name: resources.get(name) for name in LAUNCH}
    return " ".join(
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}"
        for name, value in given.items()
        if value not in (None, "")
    )
