"""Waiting for the database, but not for ever: a server that hangs neither closes connections nor keeps a time-out.

`statement_timeout` is the server's: a stopped process, a frozen machine or a lost network never applies it, and each
request would hold a thread until the database returns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import errors

T = TypeVar("T")
_local = threading.local()


@contextmanager
def answer_within(seconds: float) -> Iterator[None]:
    """Whatever this thread asks of the database inside must be answered within `seconds`, taken together.

    What is not raises psycopg.OperationalError and loses its connection. The innermost of several counts.
    """
    before: float | None = getattr(_local, "deadline", None)
    _local.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        _local.deadline = before


class PatientConnection(psycopg.Connection[Any]):
    """A connection that keeps the deadline of `answer_within`, also while the pool tries it before lending it."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """What `gen` returns, at the latest by the deadline of this thread."""
        deadline: float | None = getattr(_local, "deadline", None)
        if deadline is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, max(deadline - time.monotonic(), 0.01))
        except errors._WaitTimeout:
            self.close()  # in the middle of an answer: of no use to anybody
            raise psycopg.OperationalError("the database did not answer in time") from None
