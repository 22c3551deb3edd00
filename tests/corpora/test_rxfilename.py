"""What a value of wav.scp or feats.scp may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.corpora.rxfilename import Place, parse
from dasr.errors import UserError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a b.wav", Place(file=Path("a b.wav"))),
        ("x.ark:9", Place(None, Path("x.ark"), 9)),
        ("x.ark:9[0:3]", Place(None, Path("x.ark"), 9, (0, 3))),
        ("x.ark:9[0:3,5:6]", Place(None, Path("x.ark"), 9, (0, 3), (5, 6))),
        ("x.ark[,5:6]", Place(None, Path("x.ark"), None, None, (5, 6))),
        ("sox x -t wav - |", Place(command="sox x -t wav - ")),
        ("C:x.wav", Place(file=Path("C:x.wav"))),
    ],
)
def test_each_form_is_read_and_written_alike(text: str, place: Place) -> None:
    assert parse(text) == place
    assert parse(str(place)) == place


@pytest.mark.parametrize("suffix", [":0", "[0:1]", ":0[0:1]"])
def test_only_a_pipe_at_the_end_is_a_command(suffix: str) -> None:
    assert parse(f"x;touch y;|{suffix}").command is None


@pytest.mark.parametrize("text", ["-", "", "| gzip > x"])
def test_standard_input_and_output_pipes_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="neither a file nor a command"):
        parse(text)


def test_an_existing_file_is_a_file_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "x:5"
    file.write_text("")
    assert parse(str(file)) == Place(file=file)
