"""The gate before the work: so many requests, so many bytes at a time; what does not fit is refused, not queued.

Memory of the web processes is bounded by the bytes in flight of each, which are counted while they come in, and by one
large body at a time that is unfolded and decoded, on the whole machine; others wait on disk
(`python -m benchmarks.chaos --only huge-bodies`).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings

from telltale.projects.keys import KeyHolder

WAIT_SECONDS = 1.0
# Of TELLTALE_WEB_THREADS (10) some must stay free to refuse and to answer /healthz: so many may wait for a turn, the
# rest is refused at once. Waiting without this bound put requests of all kinds behind 10 s of others
# (benchmarks.overload).
MAX_WAITING = 2
# A refusal waits this long, which costs nothing: senders that come back at once would otherwise take the CPU of those
# being served.
PACE_SECONDS = 0.02
SENDERS_MAX = 4096
KEY_HEADERS = ("HTTP_HELICONE_AUTH", "HTTP_X_API_KEY", "HTTP_AUTHORIZATION")


class Busy(Exception):
    """The gate is full; the sender should try again after `retry_after` seconds."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = random.randint(1, 3)  # noqa: S311 - jitter, so that senders do not come back together


class _Waiter:
    """A request that waits for a turn."""

    def __init__(self, key_id: int) -> None:
        self.key_id = key_id
        self.called = threading.Event()


class Gate:
    """A bounded number of requests and bytes in flight in this process, and a fair part of them for each key.

    The last free turn and the last place to wait belong to keys that have none: whoever sends most cannot keep the
    others out. Of those who wait, the key with the fewest turns is called first.
    """

    def __init__(self, concurrency: int, bytes_in_flight: int) -> None:
        self._large = threading.BoundedSemaphore(1)
        self._lock = threading.Lock()
        self._free = concurrency
        self._spare = 1 if concurrency > 1 else 0
        self._turns: dict[int, int] = {}
        self._waiting: list[_Waiter] = []
        self._senders: dict[int, KeyHolder] = {}
        self._budget = bytes_in_flight
        self._held = 0

    @contextmanager
    def turn(self, key_id: int) -> Iterator[None]:
        """One of the places; Busy after `WAIT_SECONDS` without one, or at once where enough others wait."""
        self._enter(key_id)
        try:
            yield
        finally:
            self._leave(key_id)

    def know(self, environ: Mapping[str, Any], holder: KeyHolder) -> None:
        """Remember whose key these headers carry, for `who_is_refused`."""
        if len(self._senders) >= SENDERS_MAX:
            self._senders.clear()
        self._senders[_mark(environ)] = holder

    @property
    def is_crowded(self) -> bool:
        """Whether there are requests that would not get a turn at once; a glance without a lock."""
        return self._free <= self._spare or bool(self._waiting)

    def who_is_refused(self, environ: Mapping[str, Any]) -> KeyHolder | bool:
        """Whether a request with these headers would be refused at once if it came in now: the key's holder or True.

        A glance without a lock, for requests that nothing else is known of yet.
        """
        holder = self._senders.get(_mark(environ))
        if holder is None:
            return len(self._waiting) >= MAX_WAITING
        return False if self._may_go(holder.key_id) or self._may_wait(holder.key_id) else holder

    def _may_go(self, key_id: int) -> bool:
        return self._free > (self._spare if self._turns.get(key_id) else 0)

    def _may_wait(self, key_id: int) -> bool:
        has_some = self._turns.get(key_id) or any(waiter.key_id == key_id for waiter in self._waiting)
        return len(self._waiting) < MAX_WAITING - (1 if has_some and MAX_WAITING > 1 else 0)

    def _take(self, key_id: int) -> None:
        self._free -= 1
        self._turns[key_id] = self._turns.get(key_id, 0) + 1

    def _enter(self, key_id: int) -> None:
        with self._lock:
            if self._may_go(key_id):
                self._take(key_id)
                return
            if not self._may_wait(key_id):
                raise Busy("too many requests are being stored at the moment")
            waiter = _Waiter(key_id)
            self._waiting.append(waiter)
        if waiter.called.wait(WAIT_SECONDS):
            return
        with self._lock:
            if waiter.called.is_set():  # at the very end of the wait
                return
            self._waiting.remove(waiter)
        raise Busy("too many requests are being stored at the moment")

    def _leave(self, key_id: int) -> None:
        with self._lock:
            self._free += 1
            left = self._turns[key_id] - 1
            if left:
                self._turns[key_id] = left
            else:
                del self._turns[key_id]
            # Sorting keeps the order of arrival among equals.
            for waiter in sorted(self._waiting, key=lambda waiter: self._turns.get(waiter.key_id, 0)):
                if self._may_go(waiter.key_id):
                    self._waiting.remove(waiter)
                    self._take(waiter.key_id)
                    waiter.called.set()

    @contextmanager
    def room(self) -> Iterator[Callable[[int], None]]:
        """Room for the bytes of one request, as they come: call it with each number of bytes more, or fewer.

        Busy where the budget is used up. Whoever sends slowly takes no more room than what has come.
        """
        own = 0

        def take(size: int) -> None:
            nonlocal own
            with self._lock:
                # A single body within the limit must always be able to pass, or its sender would retry for ever.
                if size > 0 and self._held > own and self._held + size > self._budget:
                    raise Busy(f"more than {self._budget} bytes of request bodies are in flight")
                self._held += size
                own += size

        try:
            yield take
        finally:
            with self._lock:
                self._held -= own

    @contextmanager
    def lane(self) -> Iterator[None]:
        """Large bodies pass one at a time, in all web processes together; Busy after `WAIT_SECONDS` without a turn.

        Taken once a request: taken twice it would wait for itself.
        """
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


def _mark(environ: Mapping[str, Any]) -> int:
    """A number that stands for the headers which may carry a key; the key itself is not kept."""
    return hash(tuple(environ.get(name) for name in KEY_HEADERS))


gate = Gate(settings.INGEST_CONCURRENCY, settings.INGEST_BYTES_IN_FLIGHT)
