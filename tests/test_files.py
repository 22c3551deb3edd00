"""Atomic writes: whole or not at all."""

from pathlib import Path

import pytest

from dasr import files
from dasr.errors import UserError


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"a": 1})
    with pytest.raises(RuntimeError), files.atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == '{\n  "a": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "store"
    for name in ("old", "new"):
        with files.atomic(target) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert [path.name for path in target.iterdir()] == ["new"]


def test_a_file_that_is_written_in_place_is_not_written_through_a_link(tmp_path: Path) -> None:
    precious, link = tmp_path / "precious", tmp_path / "metrics.jsonl"
    precious.write_text("data")
    link.symlink_to(precious)
    for mode in ("ab", "a+b", "w"):
        with pytest.raises(UserError, match=r"metrics\.jsonl is a link"):
            files.open_own(link, mode)
    assert precious.read_text() == "data"
    link.unlink()
    with files.open_own(link, "ab") as stream:
        stream.write(b"mine")
    assert link.read_bytes() == b"mine"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A confined results folder, itself reached through a link."""
    monkeypatch.setattr(files, "_confined", set())
    (tmp_path / "scratch").mkdir()
    (tmp_path / "outside").mkdir()
    link = tmp_path / "results"
    link.symlink_to(tmp_path / "scratch")
    files.confine(link)
    return link


WRITES = {
    "atomic": lambda path: files.write_text(path, "mine"),
    "in place": lambda path: files.open_own(path, "a+b"),
    "folder": files.make_folder,
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("deep", ["", "a/b/"])
def test_nothing_is_written_through_a_link_that_leads_out_of_the_results(
    results: Path, tmp_path: Path, write: str, deep: str
) -> None:
    (results / "runs").symlink_to(tmp_path / "outside")
    place = results / "runs" / deep / "x"
    with pytest.raises(UserError, match=f"^{results}/runs is a link that leads out of {results}"):
        WRITES[write](place)
    assert not list((tmp_path / "outside").iterdir())
    with pytest.raises(UserError, match=r"results/runs is a link that leads out"):
        files.check_links(results)


def test_links_within_the_results_and_to_them_are_followed(results: Path) -> None:
    files.write_text(results / "scratch" / "a", "one")
    (results / "runs").symlink_to(results / "scratch")
    files.write_text(results / "runs" / "b", "two")
    files.check_links(results)
    assert (results / "scratch" / "b").read_text() == "two"


def test_a_link_at_the_place_of_a_file_is_replaced_and_not_followed(results: Path, tmp_path: Path) -> None:
    precious = tmp_path / "outside" / "precious"
    precious.write_text("data")
    (results / "report.html").symlink_to(precious)
    files.write_text(results / "report.html", "mine")
    assert precious.read_text() == "data" and (results / "report.html").read_text() == "mine"


def test_a_link_at_the_place_of_a_folder_is_replaced_and_what_it_points_to_stays(
    results: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside" / "precious").write_text("data")
    (results / "hmm").symlink_to(tmp_path / "outside")
    with files.atomic(results / "hmm") as folder:
        folder.mkdir()
        (folder / "mine").touch()
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["precious"]
    assert [path.name for path in (results / "hmm").iterdir()] == ["mine"]


def test_other_folders_are_written_through_links(results: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    files.write_text(tmp_path / "link" / "a", "mine")
    assert (tmp_path / "outside" / "a").read_text() == "mine"
