"""What a training uses of its machine."""

import psutil

from dasr.training.system import SystemUse


def test_a_sample_agrees_with_what_the_system_says_of_itself() -> None:
    use = SystemUse("cpu")
    sum(range(3_000_000))
    found = use.sample()
    assert 0 < found["cpu_percent"] <= 100
    assert 0 < found["process_memory_mb"] < found["memory_mb"] < psutil.virtual_memory().total / 1e6
    assert "gpu_memory_mb" not in found


def test_memory_that_is_held_is_seen() -> None:
    use = SystemUse("cpu")
    before = use.sample()["process_memory_mb"]
    held = bytearray(b"x" * 200_000_000)
    assert use.sample()["process_memory_mb"] - before > 150, len(held)
