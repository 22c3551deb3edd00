import os
import shlex
import sys
from pathlib import Path

from dasr import config as dasr_config
from dasr import validation
from dasr.corpora import kaldi, recordings
from dasr.errors import UserError
from dasr.files import check_links
from dasr.launch.interrupt import Interrupt
from dasr.planning.check import check_corpus, check_inputs
from dasr.results.layout import LMS

# Parsing writes nothing. The configuration is resolved once, by the process that starts the workflow; its jobs are
# given the text in their environment. The first of them checks every run and writes R/config/DIGEST.yaml, which all
# commands read: whatever another workflow or a dry run resolves meanwhile, this one trains what it began with.
IN_ENVIRONMENT = "DASR_WORKFLOW_CONFIG"
try:
    if not workflow.is_main_process and IN_ENVIRONMENT in os.environ:
        _resolved = dasr_config.parse(os.environ[IN_ENVIRONMENT], IN_ENVIRONMENT)
    else:
        for _file in workflow.configfiles:
            validation.read_yaml(
                _file
            )  # Snakemake does not see a key that is given twice
        _where = " + ".join(map(str, workflow.configfiles)) or "config.yaml"
        _resolved = dasr_config.complete(config, _where)
        check_inputs(_resolved)
        check_corpus(_resolved)
        check_links(_resolved.results)  # rules write logs, Snakemake removes outputs
    RUNS = [run.name for run in dasr_config.runs(_resolved)]
except UserError as error:
    raise WorkflowError(str(error)) from None
os.environ[IN_ENVIRONMENT] = _resolved.text()
config = _resolved.plain()
R = config["results"]
RESOLVED = f"{R}/config/{_resolved.digest}.yaml"
CTC = _resolved.training.criterion == "ctc"  # no HMM system, no alignments
SPELLINGS = [f"{R}/corpus/lang/lexicon.txt"]  # of CTC
if _resolved.training.units == "bpe":
    SPELLINGS.append(f"{R}/units/manifest.json")
FEATURES = f"features/{config['features']['kind']}"  # what the acoustic model sees
SHARDS = {
    split: [f"{n:04d}" for n in range(count)]
    for split, count in config["features"]["shards"].items()
}


# `dasr` is the one beside the Python that runs Snakemake, activated or not, on the nodes too.
shell.prefix(
    f'set -euo pipefail; export PATH="{Path(sys.executable).parent}:$PATH"; '
    f"[ -f {shlex.quote(RESOLVED)} ] || "
    f'dasr check --config - --out {shlex.quote(RESOLVED)} <<<"${IN_ENVIRONMENT}"; '
)


if workflow.is_main_process:
    Interrupt().catch()


wildcard_constraints:
    split="|".join(dasr_config.SPLITS),
    kind="fbank|mfcc",
    shard=r"\d{4}",
    lm="|".join(LMS),
    run=r"[^/]+",


def resolved(wildcards, threads):
    """The file for --config. Derived from threads, in name: another configuration is no reason to rerun a rule.

    Rules name the sections they depend on in `params`, which is what makes Snakemake rerun them, and only them.
    """
    return RESOLVED


def manifests(what, *splits):
    """Manifests of all shards of `splits` below R/<what>."""
    return [
        f"{R}/{what}/{split}/{shard}/manifest.json"
        for split in splits
        for shard in SHARDS[split]
    ]


def targets(split):
    """What the acoustic model is trained on, besides features."""
    if CTC:
        return [f"{R}/corpus/{split}/text", *SPELLINGS]
    return manifests("alignments", split)


def corpus_sources(wildcards):
    """What the data directories are made from. Audio is looked at by the shard that holds it."""
    path = Path(config["corpus"]["path"])
    if not path.is_dir():
        return [str(path)]  # a missing input: what was made from it is used as it is
    if config["corpus"]["kind"] == "an4":
        return sorted(str(file) for file in path.glob("etc/*") if file.is_file())
    return [str(file) for file in kaldi.files_read(path)]


def table_of_shard(wildcards):
    """The shard's wav.scp, once the corpus stage has written it: what `audio_of_shard` then reads is final."""
    if Path(config["corpus"]["path"]).is_dir():
        checkpoints.corpus.get()
    return f"{R}/corpus/{wildcards.split}/shards/{wildcards.shard}/wav.scp"


def audio_of_shard(wildcards):
    """What stands for the shard's audio files, which are no inputs: Snakemake takes minutes for a million of them."""
    return recordings.state(
        Path(f"{R}/corpus/{wildcards.split}/shards/{wildcards.shard}/wav.scp")
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
