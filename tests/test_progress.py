"""Progress is a line now and then where there is no terminal, and never breaks what it reports on."""

import pytest

from dasr.progress import Meter, progress


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter("run", "samples", every_s=60.0)
    for done in (0, 500, 1000):
        meter.show(done, 4000, "loss 1.234")
    assert capsys.readouterr().err == "run: 0 % (0 of 4,000 samples), loss 1.234\n"
    eager = Meter("run", "samples", every_s=0.0)
    for done in (1000, 4000):
        eager.show(done, 4000, "loss 1")
    eager.close()
    assert capsys.readouterr().err.splitlines() == [
        "run: 25 % (1,000 of 4,000 samples), loss 1",
        "run: 100 % (4,000 of 4,000 samples), loss 1",
    ]


def test_items_pass_through_and_the_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr().err == "counting: 3 done\n"
