"""What keeps our own mistakes away from the application: guarded entries, and one log line for each kind of trouble."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

logger = logging.getLogger("telltale_sdk")

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")

# Kinds of trouble come from our own code and are few; a mistake of ours must not make them grow without end.
KINDS_MAX = 1000
_counts: Counter[str] = Counter()
_lock = threading.Lock()


def warn_once(kind: str, message: str, *arguments: object) -> None:
    """Log a trouble at WARNING the first time its kind occurs; count it always. Raises nothing."""
    with _lock:
        if kind not in _counts and len(_counts) >= KINDS_MAX:
            return
        _counts[kind] += 1
        if _counts[kind] > 1:
            return
    # A handler of the application's that raises is not to end its request.
    with contextlib.suppress(Exception):
        logger.warning(message + " (said once)", *arguments)


def trouble_count() -> int:
    """How many troubles there were, of all kinds."""
    with _lock:
        return _counts.total()


def forget_troubles() -> None:
    """Begin to count, and to tell, anew."""
    with _lock:
        _counts.clear()


def renew_locks() -> None:
    """In the child after a fork: another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()


def trouble(where: str, error: BaseException) -> None:
    """Tell of an error of ours: once for each place and type. Its words may hold what a mask was to hide: no log."""
    kind = type(error).__name__
    warn_once(f"{where}/{kind}", "%s failed with %s; the application was not disturbed", where, kind)


def guarded(default: D) -> Callable[[Callable[P, R]], Callable[P, R | D]]:
    """A function that gives `default` where it would have raised an Exception."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | D]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R | D:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - nothing of ours may end the application's request
                trouble(function.__name__, error)
                return default

        return call

    return decorate
