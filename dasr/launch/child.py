"""One learner process: in a session of its own, its output in a file, dead when its supervisor dies.

It ignores the signals that mean "stop": it is asked through the store."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dasr.files import make_folder, open_own
from dasr.launch.membership import STOP_SIGNALS

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before any fork


class Child:
    """A running learner. Start with `Child.start`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, offset: int):
        self._process = process
        self._log = log
        self._offset = offset

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], log: Path, title: str
    ) -> Child:
        """Run `command`; stdout and stderr are appended to `log` under a line with `title` and the time."""
        make_folder(log.parent)
        supervisor = os.getpid()

        def die_with_supervisor() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            for number in STOP_SIGNALS:  # what is ignored stays so across exec
                signal.signal(number, signal.SIG_IGN)
            if os.getppid() != supervisor:  # it died between fork and prctl
                os._exit(1)

        with open_own(log, "ab") as stream:
            stream.write(f"== {title}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            stream.flush()
            offset = stream.tell()
            process = await asyncio.create_subprocess_exec(
                *command,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=die_with_supervisor,
            )
        return cls(process, log, offset)

    async def wait(self) -> int:
        """Its exit status, negative for a signal. What it left running in its session is swept away."""
        code = await self._process.wait()
        self._signal(signal.SIGKILL)
        return code

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def abort(self, grace_s: float = 3.0) -> None:
        """Ask for a stack trace of every thread (Python's faulthandler answers SIGABRT), then kill."""
        self._signal(signal.SIGABRT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._process.wait()
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def tail(self, lines: int = 20, limit: int = 8192) -> str:
        """The last lines that it wrote (not those of a learner before it)."""
        try:
            with open(self._log, "rb") as stream:
                end = stream.seek(0, os.SEEK_END)
                stream.seek(max(self._offset, end - limit))
                text = stream.read().decode("utf-8", errors="replace")
        except OSError as error:
            return f"({self._log}: {error.strerror})"
        return "\n".join(text.rstrip().splitlines()[-lines:])


def describe_exit(code: int) -> str:
    """`exited with status 3`, or `was killed by SIGKILL`."""
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
