"""Names of classes that users choose: read from source, nothing imported."""

from pathlib import Path

import pytest

from dasr import plugins

SOURCE = """
raise RuntimeError("imported")

class Mine:
    name: str = "mine"

class Nameless:
    pass
"""


@pytest.mark.parametrize(
    ("of_class", "title"), [("Mine", "mine"), ("Nameless", ""), ("Absent", "")], ids=lambda each: each or "-"
)
def test_a_class_by_path_is_called_by_its_name_where_it_has_one(
    tmp_path: Path, of_class: str, title: str
) -> None:
    path = tmp_path / "own.py"
    path.write_text(SOURCE)
    identity = f"{path}:{of_class}"
    assert plugins.title(identity) == (title or identity)


@pytest.mark.parametrize("text", ["class Mine(:", "\0"])
def test_a_file_that_cannot_be_read_is_called_by_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.py").write_text(text)
    for name in ("own.py", "absent.py"):
        assert plugins.title(f"{tmp_path / name}:Mine") == f"{tmp_path / name}:Mine"


def test_a_name_of_a_package_is_itself() -> None:
    assert plugins.title("sc-allreduce") == "sc-allreduce"
