"""Removing entries of the audit log that are older than the operator keeps them."""

from __future__ import annotations

from django.conf import settings
from django.db import connection, transaction

KEEP_DAYS_LEAST = 365
NIGHTLY = "nightly pruning"


class TooFew(ValueError):
    """Fewer days than the log is kept at least."""


def prune(keep_days: int, who: str) -> int:
    """Remove entries older than `keep_days` days; how many. The database writes `audit.prune` by `who` where some went.

    TooFew below `KEEP_DAYS_LEAST`; the database refuses that, too.
    """
    if keep_days < KEEP_DAYS_LEAST:
        raise TooFew(f"The audit log is kept for {KEEP_DAYS_LEAST} days at least.")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT audit_prune(%s, %s)", [keep_days, who])
        return int(cursor.fetchone()[0])


def prune_nightly() -> int:
    """Remove what is past the installation's days; 0 where it keeps everything."""
    days = int(settings.TELLTALE_AUDIT_DAYS)
    return prune(days, NIGHTLY) if days else 0
