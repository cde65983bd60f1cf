"""How the database grows and when its disk is full: a sample an hour, and a straight line through the last week."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from telltale.jobs.models import DiskSample

KEPT = timedelta(days=60)
WINDOW = timedelta(days=7)
# A few hours of a day say nothing of a day.
SPAN_MIN = timedelta(hours=20)


@dataclass(frozen=True, slots=True)
class Growth:
    """What samples from `since` to `at` say: bytes a day, and days until the disk is full as it grows now.

    None where it is not known: too short a time, no growth, or a disk that is not this machine's.
    """

    at: datetime
    since: datetime
    database_bytes: int
    free_bytes: int | None
    bytes_a_day: float | None
    days_to_full: float | None


def free_bytes() -> int | None:
    """Free bytes where the database of this machine lies; None where it is another machine's."""
    host = str(connection.settings_dict["HOST"] or "")
    is_embedded = not os.environ.get("TELLTALE_DATABASE_URL", "").strip() and host.startswith("/")
    if not is_embedded:
        return None
    home = settings.TELLTALE_HOME
    return shutil.disk_usage(home if home.exists() else "/").free


def take_sample(now: datetime) -> DiskSample:
    """Write down how large the database is, once an hour at most, and forget what is two months old."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        size = int(cursor.fetchone()[0])
    hour = now.replace(minute=0, second=0, microsecond=0)
    sample, _ = DiskSample.objects.update_or_create(
        at=hour, defaults={"database_bytes": size, "free_bytes": free_bytes()}
    )
    DiskSample.objects.filter(at__lt=now - KEPT).delete()
    return sample


def read_growth(now: datetime) -> Growth | None:
    """How it grows; None before the first sample. One query."""
    samples = list(DiskSample.objects.filter(at__gte=now - WINDOW).order_by("at"))
    if not samples:
        return None
    first, last = samples[0], samples[-1]
    span = last.at - first.at
    a_day = to_full = None
    if span >= SPAN_MIN:
        a_day = (last.database_bytes - first.database_bytes) / (span / timedelta(days=1))
        if a_day > 0 and last.free_bytes is not None:
            to_full = last.free_bytes / a_day
    return Growth(last.at, first.at, last.database_bytes, last.free_bytes, a_day, to_full)
