"""`dasr init`: a folder in which `snakemake --profile local` runs a comparison, without a clone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click

from dasr.errors import UserError
from dasr.files import atomic, write_text
from dasr.project import FOLDER

SNAKEFILE = """\
# The workflow of the installed dasr, as a module. Rules of your own may follow.
from dasr import project


configfile: "config.yaml"


module dasr:
    snakefile:
        project.SNAKEFILE
    config:
        config


use rule * from dasr
"""
PROFILES = ("local", "slurm")
CORPUS = "corpora/an4"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--corpus",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="a Kaldi data directory of your own (with train/, test/, lang/lexicon.txt) instead of a copy of AN4",
)
def init(folder: Path, corpus: Path | None) -> None:
    """Write config.yaml, profiles and a Snakefile into FOLDER, for comparisons that need no clone."""
    if corpus is not None and not corpus.is_dir():
        raise UserError(f"--corpus: {corpus} is not a directory")
    names = ["Snakefile", "config.yaml", "profiles", *PROFILES, *([] if corpus else [CORPUS])]
    there = [name for name in names if (folder / name).exists() or (folder / name).is_symlink()]
    if there or (folder.exists() and not folder.is_dir()):
        found = f"{folder} has {', '.join(there)} already" if there else f"{folder} is not a directory"
        raise UserError(f"{found}, and `dasr init` overwrites nothing: choose another folder")
    try:
        _write(folder, corpus)
    except OSError as error:
        raise UserError(f"cannot write the project {folder}: {error.strerror}") from None
    print(
        f"{folder}/config.yaml compares strategies on {corpus or 'AN4'}. Change it as you like, then run:\n"
    )
    print(f"    cd {folder}\n    snakemake --profile local      # or, after a look into it, --profile slurm")


def _write(folder: Path, corpus: Path | None) -> None:
    if corpus is None:
        _copy("corpora/an4", folder)
    for profile in PROFILES:
        _copy(f"profiles/{profile}", folder)
        # Snakemake looks for `--profile slurm` in the working folder, not in profiles/.
        (folder / profile).symlink_to(f"profiles/{profile}")
    write_text(folder / "Snakefile", SNAKEFILE)
    write_text(folder / "config.yaml", _config(corpus))


def _copy(name: str, folder: Path) -> None:
    with atomic(folder / name) as temporary:
        shutil.copytree(FOLDER / name, temporary, ignore=shutil.ignore_patterns("*.py", "__pycache__"))


def _config(corpus: Path | None) -> str:
    """The configuration that the package ships, with the user's corpus in it."""
    text = (FOLDER / "config.yaml").read_text(encoding="utf-8")
    if corpus is None:
        return text
    import yaml

    section = yaml.safe_dump({"corpus": {"kind": "kaldi", "path": str(corpus.resolve())}})
    before, _, rest = text.partition("corpus:\n")
    _, _, after = rest.partition("\n\n")
    return f"{before}{section}\n{after}".replace("an4-demo", re.sub(r"[^\w.-]+", "-", corpus.resolve().name))
