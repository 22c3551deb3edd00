"""A learner for tests of the launcher: it steps, saves and dies as told. No torch, so it starts at once.

usage: learner_of_tests.py FOLDER STEPS [RANK:STEP:GENERATION:KILL|REPLACE|HANG|MISTAKE]

REPLACE: as KILL, and the others go on until the replacement has come.
"""

import os
import signal
import sys
import time
from pathlib import Path

folder, steps = Path(sys.argv[1]), int(sys.argv[2])
rank, generation = int(os.environ["RANK"]), os.environ["DASR_GENERATION"]
saved = folder / f"saved.{rank}"
step = int(saved.read_text()) if saved.exists() else 0
print(f"learner {rank} starts at step {step}, replacement {os.environ['DASR_REPLACEMENT']}", flush=True)
trouble = sys.argv[3].split(":") if len(sys.argv) > 3 else None


replaced = folder / "replaced"
if os.environ["DASR_REPLACEMENT"] == "1":
    replaced.touch()


def save() -> None:
    """Whole or not at all, whenever the process is killed."""
    new = saved.with_suffix(f".{rank}.new")
    new.write_text(str(step))
    new.replace(saved)


def leave(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # not again while it saves
    save()
    sys.exit(75)


signal.signal(signal.SIGTERM, leave)  # stands for the stop key, which needs torch to be read
while step < steps:
    time.sleep(0.02)
    step += 1
    save()
    if (
        trouble
        and trouble[:3] == [str(rank), str(step), generation]
        and os.environ["DASR_REPLACEMENT"] == "0"
    ):
        match trouble[3]:
            case "KILL" | "REPLACE":
                os.kill(os.getpid(), signal.SIGKILL)
            case "MISTAKE":
                print("dasr: error: the loss is nan at step 3", file=sys.stderr)
                sys.exit(2)
            case "HANG":
                time.sleep(600)
while trouble and trouble[3] == "REPLACE" and not replaced.exists():
    time.sleep(0.02)
if rank == 0:
    (folder / "model.safetensors").write_text("trained")
