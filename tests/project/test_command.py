"""`dasr init` in this process; tests/test_package.py runs it from an installed wheel."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dasr import config as dasr_config
from dasr.errors import UserError
from dasr.project import FOLDER
from dasr.project.command import init


def initialise(*arguments: str | Path) -> None:
    CliRunner().invoke(init, [str(word) for word in arguments], catch_exceptions=False, standalone_mode=False)


def test_a_project_has_the_shipped_config_the_profiles_and_the_whole_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "project"
    initialise(folder)
    assert (folder / "config.yaml").read_text() == (FOLDER / "config.yaml").read_text()
    for profile in ("local", "slurm"):
        assert (folder / profile / "config.yaml").samefile(folder / "profiles" / profile / "config.yaml")
    recordings = sorted(path.relative_to(folder) for path in folder.glob("corpora/an4/wav/**/*.ogg"))
    assert len(recordings) == 948 + 130
    assert (folder / "corpora" / "an4" / "LICENSE").is_file()


def test_a_corpus_of_ones_own_is_named_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "swb: a").mkdir()
    monkeypatch.chdir(tmp_path)
    initialise("project", "--corpus", "swb: a")
    config = dasr_config.load(tmp_path / "project" / "config.yaml")
    assert (config.corpus.kind, str(config.corpus.path)) == ("kaldi", str(tmp_path / "swb: a"))
    assert config.comparison.name == "swb-a"
    assert not (tmp_path / "project" / "corpora").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"has config\.yaml already.*choose another folder"):
        initialise(tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_dangling_link_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "slurm").symlink_to("nowhere")
    with pytest.raises(UserError, match="has slurm already"):
        initialise(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a-file"], "a-file is not a directory"),
        (["new", "--corpus", "missing"], "missing is not a directory"),
    ],
)
def test_a_wrong_place_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    with pytest.raises(UserError, match=message):
        initialise(*arguments)
