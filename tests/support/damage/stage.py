"""One command of `dasr` in a child process that begins with everything imported: how it ends."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dasr import cli

HANGS_S = 300.0  # far more than any of these commands takes on a busy machine
IMPORTED = (
    "torch", "torchaudio", "zarr", "soundfile", "safetensors.torch", "kaldifst", "kaldi_hmm_gmm",
    "kaldi_decoder", "kaldiio", "scipy", "mlflow", "matplotlib.pyplot", "encodings.utf_8_sig",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A command that has ended: `status` as the shell has it, negative for a signal; None: it hangs."""

    status: int | None
    said: str

    @property
    def error(self) -> str | None:
        """The one line that `dasr` ends with when it refuses something; None if it did not."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        refused = self.status == 2 and lines and lines[-1].startswith("dasr: error: ")
        return lines[-1] if refused and "Traceback" not in self.said else None


def import_everything() -> None:
    """Import what the commands use, without starting a thread: a thread's locks would not survive a fork."""
    for module, _ in (place.split(":") for place, _ in cli.COMMANDS.values()):
        importlib.import_module(module)
    for name in IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # a collection in the child would copy every page


def run(arguments: Sequence[str], folder: Path) -> Ended:
    """`dasr ARGUMENTS` in `folder`."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _be_the_command(arguments, folder, output.fileno())
        status = _wait(child)
        output.seek(0)
        return Ended(status, output.read().decode("utf-8", "replace"))


def _be_the_command(arguments: Sequence[str], folder: Path, output: int) -> None:
    status = 1
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        sys.argv = ["dasr", *arguments]
        cli.main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _wait(child: int) -> int | None:
    began = time.monotonic()
    while time.monotonic() - began < HANGS_S:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
