"""`dasr <stage>`: each rule of the DAG is one such command, so each stage can be rerun by hand."""

import getpass
import importlib
import os
from collections.abc import Callable

import click

from dasr import __version__, log
from dasr.errors import UserError, fail, nearest, of_system

# Where each command lives. Imported only when it is called: `dasr --help` must not wait for torch.
COMMANDS = {
    "init": (
        "dasr.project.command:init",
        "Write a project that needs no clone: config, profiles, Snakefile.",
    ),
    "corpus": (
        "dasr.corpora.command:corpus",
        "Make Kaldi data directories from a corpus.",
    ),
    "features": ("dasr.features.command:features", "Extract one shard of features into a Zarr store."),
    "hmm": ("dasr.hmm.command:hmm", "Train the GMM-HMM bootstrap: topology, tree, transition model."),
    "align": ("dasr.hmm.command:align", "Align one shard: a state label for every frame."),
    "units": ("dasr.criteria.command:units", "Learn the pieces of words for CTC."),
    "lm": ("dasr.hmm.command:lm", "Estimate an n-gram language model from transcripts."),
    "graph": (
        "dasr.hmm.command:graph",
        "Compile a decoding graph HCLG.",
    ),
    "adapt": ("dasr.adaptation.command:adapt", "Adapt one shard to its speakers: fMLLR features."),
    "train": ("dasr.launch.command:train", "Submit one training run (submitit), watch it, re-attach to it."),
    "learner": (
        "dasr.training.command:learner",
        "One learner of a run (`dasr train` starts it).",
    ),
    "evaluate": (
        "dasr.training.command:evaluate",
        "Held-out loss of a run's consensus model.",
    ),
    "decode": ("dasr.decoding.command:decode", "Decode dev or test with one run's model."),
    "score": (
        "dasr.decoding.command:score",
        "Choose the LM weight on dev, score test: WER with its interval.",
    ),
    "compare": ("dasr.reporting.command:compare", "Gather all runs of a comparison into comparison.tsv."),
    "track": ("dasr.tracking.command:track", "Write a comparison to MLflow."),
    "report": ("dasr.reporting.command:report", "Draw the figures and write report.html."),
    "transcribe": ("dasr.inference.command:transcribe", "Transcribe audio with a trained run's model."),
    "export": ("dasr.inference.command:export", "Write a run's model as ONNX or TorchScript."),
    "results": ("dasr.results.command:results", "Compare two results folders: `dasr results diff A B`."),
    "check": ("dasr.planning.check:check", "Check a configuration, or a strategy, before anything runs."),
    "simulate": (
        "dasr.planning.command:simulate",
        "Run a strategy on virtual learners.",
    ),
    "predict": ("dasr.planning.predict:predict", "Predict the compared strategies' speed-up."),
    "plan": ("dasr.planning.plan:plan", "Which strategy reaches a loss first on a cluster?"),
    "tune": ("dasr.planning.tune:tune", "Find each strategy's learning rate in virtual time."),
    "calibrate": (
        "dasr.planning.command:calibrate",
        "Time compute and network here.",
    ),
    "strategies": ("dasr.planning.listing:strategies", "List the strategies, with their options."),
    "models": ("dasr.planning.listing:models", "List the kinds of models, with their options."),
    "clusters": ("dasr.planning.listing:clusters", "List the clusters that `dasr simulate` knows."),
    "doctor": ("dasr.doctor:doctor", "What can this machine do? What is missing?"),
}


# What a user may type in a project in which `make run` has ended; a test runs each. A learner is not typed:
# `dasr train` starts it.
EXAMPLES = {
    "init": ("dasr init my-project", "dasr init my-project --corpus path/to/kaldi/data"),
    "corpus": (
        "dasr corpus",
        "dasr corpus --strict",
        "dasr corpus import --from librispeech path/to/LibriSpeech/dev-clean data/dev",
    ),
    "features": ("dasr features fbank --split test --shard 0000",),
    "hmm": ("dasr hmm --jobs 4",),
    "align": ("dasr align --split dev --shard 0",),
    "units": ("dasr units",),
    "lm": ("dasr lm",),
    "graph": ("dasr graph unigram",),
    "adapt": ("dasr adapt --split test --shard 0",),
    "train": (
        "dasr train ad-L4-B32-S0",
        "dasr train ad-L4-B32-S0 --executor slurm --tasks-per-node 2 --gpus-per-task 1",
    ),
    "evaluate": ("dasr evaluate ad-L4-B32-S0",),
    "decode": ("dasr decode ad-L4-B32-S0 unigram dev", "dasr decode ad-L4-B32-S0 all dev,test --jobs 2"),
    "score": ("dasr score ad-L4-B32-S0 all",),
    "compare": ("dasr compare", "dasr compare --show --tsv"),
    "track": ("dasr track",),
    "report": ("dasr report",),
    "transcribe": (
        "dasr transcribe ad-L4-B32-S0 corpora/an4/wav/an4test_clstk/fcaw/an406-fcaw-b.ogg",
        "dasr transcribe ad-L4-B32-S0 results/corpus/test --lm unigram --out transcripts",
    ),
    "export": (
        "dasr export ad-L4-B32-S0 --to torchscript",
        "dasr export ad-L4-B32-S0 --to onnx --out m.onnx",
    ),
    "results": ("dasr results diff results results",),
    "check": ("dasr check", "dasr check ad --option mixing=random-ring", "dasr check mine.py:Mine"),
    "simulate": (
        "dasr simulate --strategy ad --learners 64 --cluster ethernet-25g",
        "dasr simulate --strategy sd --strategy ad --slow 3:2",
        "dasr simulate --task quadratic --strategy bmuf --steps 40",
    ),
    "predict": ("dasr predict --seconds 5",),
    "plan": ("dasr plan --cluster ethernet-1g --step-seconds 0.02 --seeds 1 --no-what-if",),
    "tune": ("dasr tune --rates 0.5,1",),
    "calibrate": ("dasr calibrate --out here.yaml",),
    "strategies": ("dasr strategies",),
    "models": ("dasr models",),
    "clusters": ("dasr clusters",),
    "doctor": ("dasr doctor",),
}


def _log_from(level: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def configure(_context: click.Context, _option: click.Parameter, given: bool) -> None:
        if given:
            os.environ[log.VARIABLE] = level  # of the learners too
            log.configure()

    return configure


LOUDNESS = [
    click.Option(
        [f"-{name[0]}", f"--{name}"], is_flag=True, expose_value=False, callback=_log_from(level), help=said
    )
    for name, level, said in [
        ("verbose", "DEBUG", "Say more, for who looks for a fault (DASR_LOG_LEVEL=DEBUG)."),
        ("quiet", "WARNING", "Say only what is wrong (DASR_LOG_LEVEL=WARNING)."),
    ]
]


class Stages(click.Group):
    """Commands imported on demand, with the nearest name for a mistyped one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            raise UserError(f"no command '{name}'{nearest(name, COMMANDS)} (see `dasr --help`)")
        module, attribute = COMMANDS[name][0].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        if name in EXAMPLES:
            command.epilog = "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in EXAMPLES[name])])
        command.params = [*(one for one in command.params if one not in LOUDNESS), *LOUDNESS]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Stages"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


EPILOG = """\b
Examples:
  dasr doctor
  dasr check
  dasr train sd-L4-B32-S0
  dasr simulate --strategy ad --learners 64 --cluster ethernet-25g
\b
Completion of commands, strategies, clusters and runs, in bash (zsh: zsh_source):
  eval "$(_DASR_COMPLETE=bash_source dasr)"
"""


@click.group(cls=Stages, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__)
def dasr() -> None:
    """Train one acoustic model with every distributed SGD strategy and compare them."""


def main() -> None:
    """Entry point: a user's mistake is one line on stderr and exit status 2, never a stack trace.

    So are a full disk and a folder that cannot be written."""
    _name_user()
    try:
        log.configure()
        dasr()
    except UserError as error:
        fail(error)
    except OSError as error:
        message = of_system(error)
        if message is None:
            raise
        fail(message)


def _name_user() -> None:
    """Containers often run as a uid without a passwd entry, where getpass (MLflow, locks) would fail."""
    try:
        getpass.getuser()
    except (OSError, KeyError):
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
