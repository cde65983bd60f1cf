"""A line in the log for each request that was refused to somebody: who, what, from where, under which reference.

The address is told by its pattern, never as it was sent: a link that opens something may be part of it. A process
writes at most `LINES_A_MINUTE`; the first line of the next minute says how many more there were.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

logger = logging.getLogger("telltale.refused")
LINES_A_MINUTE = 60
# No key or session, not allowed, too many tries. A 404 counts where it is known who asked: not yours looks like that.
REFUSED = frozenset({401, 403, 405, 429})

_lock = threading.Lock()
_minute = 0
_written = 0


def note(request: HttpRequest, status: int, reference: str) -> None:
    """Write down that `request` was answered `status`, where that is a refusal."""
    if status not in REFUSED and status != 404:
        return
    who = _who(request)
    if status == 404 and who == "nobody":
        return
    left_out = _take()
    if left_out is None:
        return
    route = getattr(getattr(request, "resolver_match", None), "route", None)
    address = request.META.get("REMOTE_ADDR") or "an unknown address"
    method = request.method if str(request.method).isalpha() else "a method"
    more = f"; {left_out} more in the minute before" if left_out else ""
    where = f"/{route}" if route is not None else "an address that is none"
    logger.warning(
        "refused with %d: %s %s by %s from %s%s", status, method, where, who, address, more,
        extra={"reference": reference},
    )  # fmt: skip


def _who(request: HttpRequest) -> str:
    """The number of the key or the person: names and addresses of mail are no matter of logs."""
    # A page's user who was not asked for so far is none: here the database may be the very thing that is away.
    user: Any = getattr(request, "_cached_user", None) or vars(request).get("user")
    if user is None or isinstance(user, SimpleLazyObject) or not user.is_authenticated:
        return "nobody"
    holder = getattr(user, "holder", None)
    return f"key {holder.key_id}" if holder is not None else f"person {user.pk}"


def _take() -> int | None:
    """How many lines were left out in the minute before this one; None where this minute is full."""
    global _minute, _written
    now = int(time.monotonic() // 60)
    with _lock:
        left_out = 0
        if now != _minute:
            left_out = max(_written - LINES_A_MINUTE, 0)
            _minute, _written = now, 0
        _written += 1
        return left_out if _written <= LINES_A_MINUTE else None
