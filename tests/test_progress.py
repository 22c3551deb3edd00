"""Progress is a line now and then where there is no terminal, and never breaks what it reports on."""

import pytest

from dasr.progress import Meter, progress


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dasr")
    meter = Meter("run", "samples", every_s=60.0)
    for done in (0, 500, 1000):
        meter.show(done, 4000, "loss 1.234")
    assert caplog.messages == ["run: 0 % (0 of 4,000 samples), loss 1.234"]
    caplog.clear()
    eager = Meter("run", "samples", every_s=0.0)
    for done in (1000, 4000):
        eager.show(done, 4000, "loss 1")
    eager.close()
    assert caplog.messages == [
        "run: 25 % (1,000 of 4,000 samples), loss 1",
        "run: 100 % (4,000 of 4,000 samples), loss 1",
    ]


def test_items_pass_through_and_the_end_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dasr")
    assert list(progress(range(3), "counting")) == [0, 1, 2]
    assert caplog.messages == ["counting: 3 done"]
