"""One process the supervisor keeps alive: started, watched, started again with a growing pause, stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import IO

from telltale.run.home import LOG_MAX_BYTES, Home

# First restart at once, then these pauses; a child that lived this long starts over.
PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)
HEALTHY_AFTER_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(with_signal: int) -> Callable[[], None]:
    """A `preexec_fn` that has the kernel send `with_signal` when the supervisor ends, however it ends."""
    parent = os.getpid()

    def arrange() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, with_signal, 0, 0, 0)
            if os.getppid() != parent:  # it died between fork and here
                os._exit(1)

    return arrange


class Child:
    """A named process with its pid file and log. `start` makes the process from the open log."""

    def __init__(
        self, home: Home, name: str, start: Callable[[IO[bytes]], subprocess.Popen[bytes]], *, stop_with: int
    ) -> None:
        self.home = home
        self.name = name
        self.stop_with = stop_with
        self.process: subprocess.Popen[bytes] | None = None
        self.due_at: float | None = None
        self.restarts = 0
        self._start = start
        self._in_a_row = 0
        self._started_at = 0.0

    @property
    def log_path(self) -> str:
        """Where the child writes."""
        return str(self.home.log / f"{self.name}.log")

    def start(self) -> None:
        """Start the process and write its pid file; what `start` raises comes through."""
        self.due_at = None
        with open(self.log_path, "ab") as log:
            self.home.own(self.home.log / f"{self.name}.log", 0o600)
            self.process = self._start(log)
        self._started_at = time.monotonic()
        new = self.home.pid_file(self.name).with_suffix(".new")
        new.write_text(f"{self.process.pid}\n")
        self.home.own(new, 0o644)
        new.rename(self.home.pid_file(self.name))

    def look(self) -> str | None:
        """Notice an end and plan the next start, or start where that is due; what happened, for the log."""
        now = time.monotonic()
        if self.process is None:
            if self.due_at is not None and now >= self.due_at:
                self.restarts += 1
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        lived = now - self._started_at
        self._in_a_row = 0 if lived >= HEALTHY_AFTER_SECONDS else self._in_a_row
        pause = PAUSES_SECONDS[min(self._in_a_row, len(PAUSES_SECONDS) - 1)]
        self._in_a_row += 1
        self.process = None
        self.due_at = now + pause
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"{self.name} {how} after {lived:.1f} s; starting it again" + (f" in {pause:.1f} s" if pause else "")

    def stop(self, seconds: float) -> str | None:
        """Ask the process to end, and end it and what it left behind after `seconds`; a line where that was needed."""
        process, self.process, self.due_at = self.process, None, None
        self.home.pid_file(self.name).unlink(missing_ok=True)
        if process is None:
            return None
        said = None
        try:
            process.send_signal(self.stop_with)
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            said = f"{self.name} did not stop within {seconds:.0f} s and was killed"
            process.kill()
            process.wait(2)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return said

    def trim_log(self) -> None:
        """Cut the log where it has grown too long; the part before it is kept as `.1`."""
        path = self.home.log / f"{self.name}.log"
        try:
            if path.stat().st_size <= LOG_MAX_BYTES:
                return
            older = path.with_suffix(".log.1")
            older.write_bytes(path.read_bytes())
            self.home.own(older, 0o600)
            # The child holds the file open for appending and goes on at the new end.
            os.truncate(path, 0)
        except OSError:
            return
