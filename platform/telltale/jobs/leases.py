"""Claiming rows: one holder at a time, for a while, and nobody waits for the dead.

A holder that was killed lets its lease run out; whoever sweeps next claims the row. A holder that was only stopped for
long finds at its next `renew` that the row is somebody else's, and gives up.
"""

from __future__ import annotations

import os
import secrets
import socket
from datetime import timedelta
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from telltale.jobs.models import Leased

LeasedRow = TypeVar("LeasedRow", bound=Leased)

# One name for a process' life: a restarted one is somebody else.
_TOKEN = secrets.token_hex(4)


def holder_name() -> str:
    """The name this process claims under."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{_TOKEN}"


def claim(rows: QuerySet[LeasedRow], *, seconds: float, limit: int = 1, holder: str = "") -> list[LeasedRow]:
    """Up to `limit` of `rows` that nobody holds, now held for `seconds`; lowest key first, attempts counted.

    Commits by itself outside of a transaction; inside of one the rows stay locked until its end.
    """
    model = rows.model
    with transaction.atomic():
        free = rows.filter(Q(lease_until=None) | Q(lease_until__lt=Now())).order_by("pk")
        keys = list(free.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:limit])
        if not keys:
            return []
        model._default_manager.filter(pk__in=keys).update(
            lease_by=holder or holder_name(),
            lease_until=Now() + timedelta(seconds=seconds),
            attempts=F("attempts") + 1,
        )
        return list(model._default_manager.filter(pk__in=keys).order_by("pk"))


def renew(row: Leased, *, seconds: float) -> bool:
    """Hold `row` for `seconds` more; False where it is somebody else's by now."""
    held = type(row)._default_manager.filter(pk=row.pk, lease_by=row.lease_by)
    return held.update(lease_until=Now() + timedelta(seconds=seconds)) == 1


def release(row: Leased) -> bool:
    """Let go of `row`; False where it was somebody else's already."""
    held = type(row)._default_manager.filter(pk=row.pk, lease_by=row.lease_by)
    return held.update(lease_by="", lease_until=None) == 1


_HOLD = """
INSERT INTO jobs_lease AS l (name, holder, until)
VALUES (%(name)s, %(holder)s, now() + %(seconds)s * interval '1 second')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE l.holder = excluded.holder OR l.until < now()
"""


def hold(name: str, *, seconds: float, holder: str = "") -> bool:
    """Take or keep the right `name` for `seconds`; False where another holds it. An expired one is free."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, {"name": name, "holder": holder or holder_name(), "seconds": seconds})
        return bool(cursor.rowcount == 1)


def let_go(name: str, *, holder: str = "") -> None:
    """Give the right `name` back early, if it is ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM jobs_lease WHERE name = %(name)s AND holder = %(holder)s",
            {"name": name, "holder": holder or holder_name()},
        )
