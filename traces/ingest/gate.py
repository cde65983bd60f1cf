"""The gate before the work: so many requests, so many bytes at a time; what does not fit is refused, not queued.

Memory of the web processes is bounded by concurrency x bodies up to `LARGE_BYTES`, and one large body at a time on the
whole machine. Measured with four 60 MB bodies at once and two processes: 610 MiB in protobuf, 1,060 MiB in JSON.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings

WAIT_SECONDS = 1.0
# Of TELLTALE_WEB_THREADS (8) some must stay free to refuse and to answer /healthz: so many may wait for a turn, the
# rest is refused at once. Waiting without this bound put requests of all kinds behind 10 s of others
# (benchmarks.overload).
MAX_WAITING = 2
# A refusal waits this long, which costs nothing: senders that come back at once would otherwise take the CPU of those
# being served.
PACE_SECONDS = 0.02
LARGE_BYTES = 8 * 1024 * 1024


class Busy(Exception):
    """The gate is full; the sender should try again after `retry_after` seconds."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = random.randint(1, 3)  # noqa: S311 - jitter, so that senders do not come back together


class Gate:
    """A bounded number of requests and bytes in flight in this process."""

    def __init__(self, concurrency: int, bytes_in_flight: int) -> None:
        self._turns = threading.BoundedSemaphore(concurrency)
        self._large = threading.BoundedSemaphore(1)
        self._lock = threading.Lock()
        self._budget = bytes_in_flight
        self._held = 0
        self._waiting = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One of the places; Busy after `WAIT_SECONDS` without one, or at once where enough others wait."""
        if not (self._turns.acquire(blocking=False) or self._wait_for_turn()):
            raise Busy("too many requests are being stored at the moment")
        try:
            yield
        finally:
            self._turns.release()

    @property
    def is_full(self) -> bool:
        """Whether a request that came now would be refused at once; a glance without a lock."""
        return self._waiting >= MAX_WAITING

    def _wait_for_turn(self) -> bool:
        with self._lock:
            if self._waiting >= MAX_WAITING:
                return False
            self._waiting += 1
        try:
            return self._turns.acquire(timeout=WAIT_SECONDS)
        finally:
            with self._lock:
                self._waiting -= 1

    @contextmanager
    def bytes(self, size: int) -> Iterator[None]:
        """Room for `size` bytes; Busy where the budget is used up."""
        with self._lock:
            # A single body within the limit must always be able to pass, or its sender would retry for ever.
            if self._held and self._held + size > self._budget:
                raise Busy(f"more than {self._budget} bytes of request bodies are in flight")
            self._held += size
        try:
            yield
        finally:
            with self._lock:
                self._held -= size

    @contextmanager
    def lane(self, size: int) -> Iterator[None]:
        """Large bodies pass one at a time, in all web processes together; Busy after `WAIT_SECONDS` without a turn.

        Taken once a request, for the body as it is decoded: taken twice it would wait for itself.
        """
        if size <= LARGE_BYTES:
            yield
            return
        deadline = time.monotonic() + WAIT_SECONDS
        if not self._large.acquire(timeout=WAIT_SECONDS):
            raise Busy("another large request body is being stored")
        try:
            while not _lock_machine():
                if time.monotonic() >= deadline:
                    raise Busy("another large request body is being stored")
                time.sleep(0.02)
            try:
                yield
            finally:
                _unlock_machine()
        finally:
            self._large.release()


# Opened before gunicorn forks, so that every web process locks the same file. A record lock belongs to the process and
# goes with it, however it ends.
_machine, _name = tempfile.mkstemp(prefix="telltale-large-")
os.unlink(_name)


def _lock_machine() -> bool:
    try:
        fcntl.lockf(_machine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock_machine() -> None:
    _trim()
    fcntl.lockf(_machine, fcntl.LOCK_UN)


def _trim() -> None:
    """Give what a large body took back to the machine: glibc would keep it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


gate = Gate(settings.INGEST_CONCURRENCY, settings.INGEST_BYTES_IN_FLIGHT)
