"""The gate before the work: so many requests, so many bytes at a time; what does not fit is refused, not queued.

Memory of a web process is bounded by concurrency x (compressed + decompressed body) x about 6 for the decoded objects
(measured), and large bodies pass one at a time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

WAIT_SECONDS = 1.0
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

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One of the places; Busy after `WAIT_SECONDS` without one."""
        if not self._turns.acquire(timeout=WAIT_SECONDS):
            raise Busy("too many requests are being stored at the moment")
        try:
            yield
        finally:
            self._turns.release()

    @contextmanager
    def bytes(self, size: int) -> Iterator[None]:
        """Room for `size` bytes; Busy where the budget is used up. Large bodies wait for one another."""
        with self._lock:
            # A single body within the limit must always be able to pass, or its sender would retry for ever.
            if self._held and self._held + size > self._budget:
                raise Busy(f"more than {self._budget} bytes of request bodies are in flight")
            self._held += size
        try:
            with self._lane(size):
                yield
        finally:
            with self._lock:
                self._held -= size

    @contextmanager
    def _lane(self, size: int) -> Iterator[None]:
        if size <= LARGE_BYTES:
            yield
            return
        if not self._large.acquire(timeout=WAIT_SECONDS):
            raise Busy("another large request body is being stored")
        try:
            yield
        finally:
            self._large.release()


gate = Gate(settings.INGEST_CONCURRENCY, settings.INGEST_BYTES_IN_FLIGHT)
