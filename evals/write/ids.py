"""Ids that grow with time and need no sequence."""

from __future__ import annotations

import secrets
import time
from datetime import datetime, timedelta

from telltale.lib import clock


def new_id() -> int:
    """A positive 63-bit id that grows with the millisecond."""
    return (time.time_ns() // 1_000_000) << 20 | secrets.randbits(20)


def new_ids(n: int) -> list[int]:
    """`n` different ids of this millisecond, ascending."""
    base = (time.time_ns() // 1_000_000) << 20
    low = secrets.randbits(20) % max((1 << 20) - n, 1)
    return [base + low + at for at in range(n)]


def first_id_at(at: datetime) -> int:
    """The id that nothing made from `at` on is below, and everything made before it is."""
    return ((at - clock.EPOCH) // timedelta(milliseconds=1)) << 20
